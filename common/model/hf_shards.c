/* Happy path: model.safetensors, or the files that the index names, each once; their headers are
 * read and checked against the file's size; the index's entries are sorted for whoever looks for
 * tensors; data is read later, shard after shard, with one file open at a time. */
#include "common/model/hf_shards.h"

#include "common/base/mem.h"
#include "common/format/numbers.h"
#include "common/json/json.h"
#include "common/json/json_file.h"
#include "common/model/model_files.h"
#include "common/model/model_in.h"
#include "common/model/not_a_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INDEX = 64 << 20 };

static ps_status read_header_of(const ps_disk *disk, int fd, const char *path, uint64_t size,
                                ps_safetensors **out)
{
    uint8_t first[8];
    uint64_t head = 0;
    ps_status st = size < sizeof first ? ps_fail(PS_CORRUPT, "not a safetensors file")
                                       : ps_model_file_read(disk, fd, path, 0, first, sizeof first);
    if (!st)
        st = ps_safetensors_header_bytes(ps_slice_of(first, sizeof first), &head);
    if (!st && head > size)
        st = ps_fail(PS_CORRUPT,
                     "the file is cut off: it has %" PRIu64 " bytes, and its header alone %" PRIu64
                     "; fetch it anew",
                     size, head);
    if (st)
        return st;
    uint8_t *bytes = ps_try_alloc_raw((size_t)head);
    if (!bytes)
        return ps_fail(PS_NO_MEMORY, "header of %" PRIu64 " bytes", head);
    st = ps_model_file_read(disk, fd, path, 0, bytes, (size_t)head);
    if (!st)
        st = ps_safetensors_parse(ps_slice_of(bytes, (size_t)head), size, out);
    ps_free(&bytes);
    return st;
}

/* st, as its header could not be read; what the file begins with counts only then. */
static ps_status what_it_is(ps_status st, const ps_disk *disk, int fd, const char *path,
                            uint64_t size)
{
    uint8_t first[PS_FOREIGN_BYTES];
    size_t n = size < sizeof first ? (size_t)size : sizeof first;
    ps_error error;
    ps_error_save(&error, ps_wrap(st, "%s", path));
    st = ps_model_file_read(disk, fd, path, 0, first, n);
    if (!st)
        st = ps_not_a_model(path, ps_slice_of(first, n));
    return st ? st : ps_error_raise(&error);
}

/* path becomes the shard's. */
static ps_status add_file(ps_hf_shards *s, char *path)
{
    s->at = ps_realloc(s->at, (s->n + 1) * sizeof *s->at);
    ps_hf_shard *shard = &s->at[s->n++];
    *shard = (ps_hf_shard){.path = path};
    int fd = -1;
    uint64_t size = 0;
    ps_status st = ps_model_input_open(s->disk, shard->path, &fd, &size);
    if (st)
        return st;
    st = read_header_of(s->disk, fd, shard->path, size, &shard->header);
    if (st)
        st = what_it_is(st, s->disk, fd, shard->path, size);
    ps_model_file_close(s->disk, fd);
    return st;
}

/* *out: the shard of this name, which is read unless it was before. */
static ps_status add_shard(ps_hf_shards *s, const char *folder, const char *name, size_t *out)
{
    for (size_t i = s->n; i-- > 0;) { /* names come in runs: the last is the likeliest */
        *out = i;
        if (!strcmp(s->at[i].path + strlen(folder) + 1, name))
            return PS_OK;
    }
    if (s->n == PS_HF_MAX_SHARDS)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d shards", PS_HF_MAX_SHARDS);
    *out = s->n;
    return add_file(s, ps_asprintf("%s/%s", folder, name));
}

/* ---- the index ---- */

/* Room for one more, doubling: the index is the sender's. */
static ps_status grow(ps_hf_shards *s)
{
    if (s->n_listed == PS_HF_MAX_LISTED)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d tensors", PS_HF_MAX_LISTED);
    if (!s->n_listed || (s->n_listed & (s->n_listed - 1)) == 0)
        s->listed = ps_realloc(s->listed, (s->n_listed ? 2 * s->n_listed : 1) * sizeof *s->listed);
    return PS_OK;
}

/* A name out of the index is hostile: it must be a file of this folder. */
static ps_status add_listed(ps_hf_shards *s, const char *folder, const char *tensor, ps_slice file)
{
    if (!file.len || file.len > 255 || file.data[0] == '.' || memchr(file.data, '/', file.len) ||
        memchr(file.data, 0, file.len))
        return ps_fail(PS_INVALID_ARGUMENT, "'%.40s' is no file of this folder",
                       (const char *)file.data);
    size_t shard = 0;
    ps_status st = add_shard(s, folder, (const char *)file.data, &shard);
    if (!st)
        st = grow(s);
    if (!st)
        s->listed[s->n_listed++] = (ps_hf_listed){.name = ps_strdup(tensor), .shard = shard};
    return st;
}

/* {"name": "file"}, after its brace. */
static ps_status read_map(ps_hf_shards *s, const char *folder, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(r, &token, &st)) {
        char name[PS_SAFETENSORS_MAX_NAME + 1] = "";
        if (token.text.len >= sizeof name || memchr(token.text.data, 0, token.text.len))
            return ps_fail(PS_INVALID_ARGUMENT, "'%.40s' is no name of a tensor",
                           (const char *)token.text.data);
        memcpy(name, token.text.data, token.text.len);
        st = ps_json_expect(r, PS_JSON_STRING, &token);
        if (!st)
            st = add_listed(s, folder, name, token.text);
        if (st)
            return ps_wrap(st, "weight_map: %.100s", name);
    }
    return st;
}

static int by_name(const void *a, const void *b)
{
    const ps_hf_listed *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Sorted, and each once; that a tensor is in two files at once is a fault. */
static ps_status settle(ps_hf_shards *s)
{
    size_t n = 0;
    if (!s->n_listed)
        return ps_fail(PS_INVALID_ARGUMENT, "it has no weight_map, or an empty one: that says "
                                            "which file each tensor is in");
    qsort(s->listed, s->n_listed, sizeof *s->listed, by_name);
    for (size_t i = 0; i < s->n_listed; i++) {
        ps_hf_listed *before = n ? &s->listed[n - 1] : NULL, *one = &s->listed[i];
        if (!before || strcmp(before->name, one->name) != 0) {
            s->listed[n++] = *one;
            continue;
        }
        if (before->shard != one->shard)
            return ps_fail(PS_INVALID_ARGUMENT, "weight_map: %.100s is there twice", one->name);
        ps_free(&one->name);
    }
    s->n_listed = n;
    return PS_OK;
}

/* {"metadata": {...}, "weight_map": {"name": "file"}} */
static ps_status read_index(ps_hf_shards *s, const char *folder, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &token);
    while (ps_json_member(r, &token, &st)) {
        if (token.text.len != 10 || memcmp(token.text.data, "weight_map", 10) != 0) {
            st = ps_json_skip(r);
            continue;
        }
        st = ps_json_expect(r, PS_JSON_OBJECT, &token);
        if (!st)
            st = read_map(s, folder, r);
    }
    if (!st)
        st = ps_json_expect(r, PS_JSON_END, &token);
    return st ? st : settle(s);
}

static ps_status open_index(ps_hf_shards *s, const char *folder)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_status st = ps_json_file_read(s->disk, s->index, MAX_INDEX, &text);
    if (!st) {
        ps_json_reader r;
        ps_json_reader_init(&r, ps_buf_slice(&text));
        st = read_index(s, folder, &r);
        ps_json_reader_free(&r);
        st = st ? ps_wrap(st, "%s", s->index) : PS_OK;
    }
    ps_buf_free(&text);
    return st;
}

static ps_hf_shards empty(const ps_disk *disk)
{
    return (ps_hf_shards){
        .disk = disk, .fd = -1, .bytes = ps_alloc(PS_MODEL_IN_PIECE * sizeof(double))};
}

ps_status ps_hf_shards_open_file(const ps_disk *disk, const char *path, ps_hf_shards *out)
{
    *out = empty(disk);
    ps_status st = add_file(out, ps_strdup(path));
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

/* There is nothing that psd reads; maybe there is what it could be made of. */
static ps_status no_weights(const ps_disk *disk, const char *folder)
{
    char *pickle = ps_asprintf("%s/pytorch_model.bin", folder);
    char *pickles = ps_asprintf("%s/pytorch_model.bin.index.json", folder);
    bool there = ps_model_file_there(disk, pickle) || ps_model_file_there(disk, pickles);
    ps_free(&pickle);
    ps_free(&pickles);
    return ps_fail(PS_NOT_FOUND,
                   "%s has no weights: model.safetensors, or model.safetensors.index.json%s",
                   folder, there ? "; it has " PS_PICKLE : "");
}

ps_status ps_hf_shards_open(const ps_disk *disk, const char *folder, ps_hf_shards *out)
{
    *out = empty(disk);
    char *one = ps_asprintf("%s/model.safetensors", folder);
    char *index = ps_asprintf("%s/model.safetensors.index.json", folder);
    size_t first = 0;
    ps_status st;
    if (ps_model_file_there(disk, one)) { /* as transformers: the whole file wins */
        out->passed_over = ps_model_file_there(disk, index);
        st = add_shard(out, folder, "model.safetensors", &first); /* last: what it says counts */
        ps_free(&index);
    } else {
        out->index = index;
        st = open_index(out, folder);
    }
    ps_free(&one);
    if (st == PS_NOT_FOUND && !out->n)
        st = no_weights(disk, folder);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

void ps_hf_shards_clear(ps_hf_shards *s)
{
    for (size_t i = 0; i < s->n; i++) {
        ps_free(&s->at[i].path);
        ps_safetensors_free(&s->at[i].header);
    }
    for (size_t i = 0; i < s->n_listed; i++)
        ps_free(&s->listed[i].name);
    if (s->fd >= 0 && s->bytes)
        ps_model_file_close(s->disk, s->fd);
    ps_free(&s->at);
    ps_free(&s->listed);
    ps_free(&s->index);
    ps_free(&s->bytes);
    *s = (ps_hf_shards){.fd = -1};
}

static int is_named(const void *name, const void *listed)
{
    return strcmp(name, ((const ps_hf_listed *)listed)->name);
}

ps_hf_listed *ps_hf_shards_listed(const ps_hf_shards *s, const char *name)
{
    return s->n_listed ? bsearch(name, s->listed, s->n_listed, sizeof *s->listed, is_named) : NULL;
}

/* Shard i is the one that is open. */
static ps_status open_shard(ps_hf_shards *s, size_t i)
{
    uint64_t ignored = 0;
    if (s->fd >= 0 && s->open != i) {
        ps_model_file_close(s->disk, s->fd);
        s->fd = -1;
    }
    ps_status st =
        s->fd < 0 ? ps_model_input_open(s->disk, s->at[i].path, &s->fd, &ignored) : PS_OK;
    if (!st)
        s->open = i;
    return st;
}

ps_status ps_hf_shards_read_bytes(ps_hf_shards *s, size_t i, const ps_safetensors_tensor *tensor,
                                  uint8_t *out)
{
    const ps_hf_shard *shard = &s->at[i];
    ps_status st = open_shard(s, i);
    return st ? st
              : ps_model_file_read(s->disk, s->fd, shard->path,
                                   shard->header->data_start + tensor->begin, out,
                                   (size_t)(tensor->end - tensor->begin));
}

ps_status ps_hf_shards_read(ps_hf_shards *s, size_t i, const ps_safetensors_tensor *tensor,
                            uint64_t first, size_t n, float *out)
{
    const ps_hf_shard *shard = &s->at[i];
    ps_status st = open_shard(s, i);
    if (st)
        return st;
    size_t size = ps_safetensors_dtype_size(tensor->dtype);
    st = ps_model_file_read(s->disk, s->fd, shard->path,
                            shard->header->data_start + tensor->begin + first * size, s->bytes,
                            n * size);
    if (!st && tensor->dtype == PS_SAFETENSORS_F64)
        st = ps_numbers_check_wide(tensor->name, tensor->shape, tensor->n_dims, first, s->bytes, n);
    if (!st)
        ps_numbers_widen(tensor->dtype, s->bytes, n, out);
    return st;
}
