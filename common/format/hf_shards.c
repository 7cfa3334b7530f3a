/* Happy path: model.safetensors, or the files that the index names, each once; their headers are
 * read and checked against the file's size; data is read later, shard after shard, with one file
 * open at a time. */
#include "common/format/hf_shards.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/format/half.h"
#include "common/format/json.h"
#include "common/format/model_in.h"
#include "common/format/regular_file.h"

#include <inttypes.h>
#include <unistd.h>

enum { MAX_INDEX = 64 << 20 };

static ps_status read_header_of(int fd, const char *path, uint64_t size, ps_safetensors **out)
{
    uint8_t first[8];
    uint64_t head = 0;
    ps_status st = size < sizeof first ? ps_fail(PS_CORRUPT, "%s: not a safetensors file", path)
                                       : ps_regular_read(fd, path, 0, first, sizeof first);
    if (!st)
        st = ps_safetensors_header_bytes(ps_slice_of(first, sizeof first), &head);
    if (!st && head > size)
        st = ps_fail(PS_CORRUPT, "header of %" PRIu64 " bytes in a file of %" PRIu64, head, size);
    if (st)
        return st;
    uint8_t *bytes = ps_try_alloc_raw((size_t)head);
    if (!bytes)
        return ps_fail(PS_NO_MEMORY, "header of %" PRIu64 " bytes", head);
    st = ps_regular_read(fd, path, 0, bytes, (size_t)head);
    if (!st)
        st = ps_safetensors_parse(ps_slice_of(bytes, (size_t)head), size, out);
    ps_free(&bytes);
    return st;
}

static ps_status add_shard(ps_hf_shards *s, const char *folder, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->at[i].path + strlen(folder) + 1, name))
            return PS_OK;
    if (s->n == PS_HF_MAX_SHARDS)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d shards", PS_HF_MAX_SHARDS);
    s->at = ps_realloc(s->at, (s->n + 1) * sizeof *s->at);
    ps_hf_shard *shard = &s->at[s->n++];
    *shard = (ps_hf_shard){.path = ps_asprintf("%s/%s", folder, name)};
    int fd = -1;
    uint64_t size = 0;
    ps_status st = ps_regular_open(shard->path, &fd, &size);
    if (st)
        return st;
    st = read_header_of(fd, shard->path, size, &shard->header);
    (void)close(fd);
    return st ? ps_wrap(st, "%s", shard->path) : PS_OK;
}

/* A name out of the index is hostile: it must be a file of this folder. */
static ps_status add_named(ps_hf_shards *s, const char *folder, ps_slice name)
{
    if (!name.len || name.len > 255 || name.data[0] == '.' || memchr(name.data, '/', name.len) ||
        memchr(name.data, 0, name.len))
        return ps_fail(PS_INVALID_ARGUMENT, "'%.40s' is no file of this folder",
                       (const char *)name.data);
    return add_shard(s, folder, (const char *)name.data);
}

/* {"metadata": {...}, "weight_map": {"name": "file"}} */
static ps_status read_index(ps_hf_shards *s, const char *folder, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &token);
    while (!st) {
        st = ps_json_next(r, &token);
        if (st || token.kind == PS_JSON_OBJECT_END)
            break;
        if (token.text.len != 10 || memcmp(token.text.data, "weight_map", 10) != 0) {
            st = ps_json_skip(r);
            continue;
        }
        st = ps_json_expect(r, PS_JSON_OBJECT, &token);
        while (!st) {
            st = ps_json_next(r, &token);
            if (st || token.kind == PS_JSON_OBJECT_END)
                break;
            st = ps_json_expect(r, PS_JSON_STRING, &token);
            if (!st)
                st = add_named(s, folder, token.text);
        }
    }
    return st ? st : ps_json_expect(r, PS_JSON_END, &token);
}

static ps_status open_index(ps_hf_shards *s, const char *folder)
{
    ps_buf text = PS_BUF_EMPTY;
    char *path = ps_asprintf("%s/model.safetensors.index.json", folder);
    ps_status st = ps_disk_read_file(&ps_disk_system, path, MAX_INDEX, &text);
    if (!st) {
        ps_json_reader r;
        ps_json_reader_init(&r, ps_buf_slice(&text));
        st = read_index(s, folder, &r);
        ps_json_reader_free(&r);
        st = st ? ps_wrap(st, "%s", path) : PS_OK;
    }
    ps_free(&path);
    ps_buf_free(&text);
    return st;
}

ps_status ps_hf_shards_open(const char *folder, ps_hf_shards *out)
{
    *out = (ps_hf_shards){.fd = -1, .bytes = ps_alloc(PS_MODEL_IN_PIECE * sizeof(float))};
    char *one = ps_asprintf("%s/model.safetensors", folder);
    ps_status st = access(one, F_OK) == 0 ? add_shard(out, folder, "model.safetensors")
                                          : open_index(out, folder);
    ps_free(&one);
    if (st == PS_NOT_FOUND && !out->n)
        st = ps_fail(PS_NOT_FOUND,
                     "%s has no weights: model.safetensors, or model.safetensors.index.json",
                     folder);
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

void ps_hf_shards_clear(ps_hf_shards *s)
{
    for (size_t i = 0; i < s->n; i++) {
        ps_free(&s->at[i].path);
        ps_safetensors_free(&s->at[i].header);
    }
    if (s->fd >= 0 && s->bytes)
        (void)close(s->fd);
    ps_free(&s->at);
    ps_free(&s->bytes);
    *s = (ps_hf_shards){.fd = -1};
}

static void convert(ps_safetensors_dtype dtype, const uint8_t *from, size_t n, float *out)
{
    if (dtype == PS_SAFETENSORS_F32)
        memcpy(out, from, n * sizeof *out);
    for (size_t i = 0; dtype != PS_SAFETENSORS_F32 && i < n; i++) {
        uint16_t half = (uint16_t)(from[2 * i] | from[2 * i + 1] << 8);
        out[i] = dtype == PS_SAFETENSORS_F16 ? ps_f16_value(half) : ps_bf16_value(half);
    }
}

ps_status ps_hf_shards_read(ps_hf_shards *s, size_t i, const ps_safetensors_tensor *tensor,
                            uint64_t first, size_t n, float *out)
{
    uint64_t ignored = 0;
    const ps_hf_shard *shard = &s->at[i];
    if (s->fd >= 0 && s->open != i) {
        (void)close(s->fd);
        s->fd = -1;
    }
    ps_status st = s->fd < 0 ? ps_regular_open(shard->path, &s->fd, &ignored) : PS_OK;
    if (st)
        return st;
    s->open = i;
    size_t size = ps_safetensors_dtype_size(tensor->dtype);
    st = ps_regular_read(s->fd, shard->path,
                         shard->header->data_start + tensor->begin + first * size, s->bytes,
                         n * size);
    if (!st)
        convert(tensor->dtype, s->bytes, n, out);
    return st;
}
