/* Happy path: config and headers are read; each tensor of the shards finds its place in the layout;
 * then psd's header is written into a buffer, and after it tensor by tensor, in the layout's order,
 * what comes out of the shards. */
#include "common/format/hf_read.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/format/hf_config.h"
#include "common/format/hf_shards.h"
#include "common/format/json.h"
#include "common/format/lm_layout.h"
#include "common/tokenizer/tokenizer.h"

#include <inttypes.h>

enum { MAX_CONFIG = 1 << 20 };

/* Where a tensor of the layout is. */
typedef struct place {
    const ps_safetensors_tensor *tensor; /* NULL: not found */
    size_t shard;
} place;

struct ps_hf_reader {
    ps_spec_model *model;
    ps_lm_tensor *layout;
    place *places;
    size_t n;
    const ps_lm_tensor **by_name;
    ps_hf_shards shards;
    ps_buf tokenizer; /* the text of tokenizer.json; empty: there is none */
    char *remark;
    ps_safetensors_writer *writer;
    ps_buf ready;  /* bytes of the file that nobody has taken */
    size_t at;     /* the tensor that comes next, */
    uint64_t done; /* and how many of its elements have come */
    float *piece;
};

/* ---- config and tokenizer ---- */

static ps_status read_config(ps_hf_reader *r, const char *folder)
{
    ps_buf json = PS_BUF_EMPTY;
    char *path = ps_asprintf("%s/config.json", folder);
    ps_status st = ps_disk_read_file(&ps_disk_system, path, MAX_CONFIG, &json);
    if (!st) {
        st = ps_hf_config_parse(ps_buf_slice(&json), &r->model);
        st = st ? ps_wrap(st, "%s", path) : PS_OK;
    }
    ps_free(&path);
    ps_buf_free(&json);
    return st;
}

/* tokenizer.json as it is, whatever tokenizer that is; but it must be JSON, as it goes into a
 * header. */
static ps_status read_tokenizer_text(ps_hf_reader *r, const char *folder)
{
    char *path = ps_asprintf("%s/tokenizer.json", folder);
    ps_status st = ps_disk_read_file(&ps_disk_system, path, PS_JSON_MAX_TEXT, &r->tokenizer);
    if (!st) {
        ps_json_reader json;
        ps_json_token token;
        ps_json_reader_init(&json, ps_buf_slice(&r->tokenizer));
        st = ps_json_skip(&json);
        if (!st)
            st = ps_json_expect(&json, PS_JSON_END, &token);
        ps_json_reader_free(&json);
        st = st ? ps_wrap(st, "%s", path) : PS_OK;
    }
    ps_free(&path);
    return st;
}

static ps_status read_tokenizer(ps_hf_reader *r, const char *folder)
{
    ps_tokenizer *t = NULL;
    ps_status opened = ps_tokenizer_open(folder, &t);
    if (opened == PS_NOT_FOUND)
        return PS_OK;
    if (opened)
        r->remark = ps_strdup(ps_error_message());
    else if (ps_tokenizer_vocab_size(t) > r->model->vocab_size)
        r->remark = ps_asprintf("%s: the tokenizer has %" PRIu32 " ids, vocab_size is %" PRId64,
                                folder, ps_tokenizer_vocab_size(t), r->model->vocab_size);
    ps_status st = read_tokenizer_text(r, folder);
    if (st == PS_NOT_FOUND && t) /* vocab.json and merges.txt */
        ps_tokenizer_to_json(t, &r->tokenizer);
    st = st == PS_NOT_FOUND ? PS_OK : st;
    if (!st && !r->remark) {
        ps_free(&r->model->tokenizer);
        r->model->tokenizer = ps_strdup(ps_tokenizer_name(t));
    }
    ps_tokenizer_free(&t);
    return st;
}

/* ---- tensors ---- */

static int compare(const void *a, const void *b)
{
    return strcmp((*(const ps_lm_tensor *const *)a)->name, (*(const ps_lm_tensor *const *)b)->name);
}

static bool ends(const char *name, const char *end)
{
    size_t n = strlen(name), e = strlen(end);
    return n >= e && !strcmp(name + n - e, end);
}

/* Buffers that follow from the config, and a head that is the embedding. */
static bool is_dropped(const ps_hf_reader *r, const char *name)
{
    if (r->model->tie_embeddings && !strcmp(name, "lm_head.weight"))
        return true;
    return strcmp(r->model->architecture, "gpt2")
               ? ends(name, ".rotary_emb.inv_freq")
               : ends(name, ".attn.bias") || ends(name, ".attn.masked_bias");
}

static ps_status check_tensor(const ps_lm_tensor *want, const ps_safetensors_tensor *have)
{
    bool same = want->n_dims == have->n_dims &&
                !memcmp(want->shape, have->shape, want->n_dims * sizeof *want->shape);
    if (!same)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tensor %s has another shape than config.json says: [%" PRIu64 ", %" PRIu64
                       "] is expected",
                       have->name, want->shape[0], want->shape[1]);
    if (have->dtype != PS_SAFETENSORS_F32 && have->dtype != PS_SAFETENSORS_F16 &&
        have->dtype != PS_SAFETENSORS_BF16)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is %s; allowed: F32, F16, BF16", have->name,
                       ps_safetensors_dtype_name(have->dtype));
    return PS_OK;
}

static ps_status find_place(ps_hf_reader *r, size_t shard, const ps_safetensors_tensor *tensor)
{
    static const char prefix[] = "transformer.";
    bool prefixed = !strcmp(r->model->architecture, "gpt2") &&
                    !strncmp(tensor->name, prefix, sizeof prefix - 1);
    const char *name = tensor->name + (prefixed ? sizeof prefix - 1 : 0);
    if (is_dropped(r, name))
        return PS_OK;
    ps_lm_tensor key = {.name = ""};
    const ps_lm_tensor *wanted = &key;
    if (strlen(name) < sizeof key.name)
        memcpy(key.name, name, strlen(name));
    const ps_lm_tensor **found = bsearch(&wanted, r->by_name, r->n, sizeof *r->by_name, compare);
    if (!found)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is none of a %s model", tensor->name,
                       r->model->architecture);
    place *p = &r->places[*found - r->layout];
    if (p->tensor)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is there twice", tensor->name);
    *p = (place){.tensor = tensor, .shard = shard};
    return check_tensor(*found, tensor);
}

static ps_status find_places(ps_hf_reader *r)
{
    ps_lm_layout(r->model, &r->layout, &r->n);
    r->places = ps_alloc_array(r->n, sizeof *r->places);
    r->by_name = ps_alloc_array(r->n, sizeof *r->by_name);
    for (size_t i = 0; i < r->n; i++)
        r->by_name[i] = &r->layout[i];
    qsort(r->by_name, r->n, sizeof *r->by_name, compare);
    for (size_t s = 0; s < r->shards.n; s++) {
        const ps_safetensors *header = r->shards.at[s].header;
        for (size_t i = 0; i < header->n_tensors; i++) {
            ps_status st = find_place(r, s, &header->tensors[i]);
            if (st)
                return ps_wrap(st, "%s", r->shards.at[s].path);
        }
    }
    for (size_t i = 0; i < r->n; i++)
        if (!r->places[i].tensor)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is missing", r->layout[i].name);
    return PS_OK;
}

/* ---- the file ---- */

static ps_status keep(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

static ps_status begin_file(ps_hf_reader *r)
{
    ps_buf config = PS_BUF_EMPTY;
    ps_spec_model_format(r->model, &config);
    ps_safetensors_pair metadata[] = {{"format", "pt"},
                                      {PS_MODEL_META_CONFIG, ps_buf_cstr(&config)},
                                      {PS_MODEL_META_TOKENIZER, ps_buf_cstr(&r->tokenizer)}};
    ps_safetensors_tensor *tensors = ps_alloc_array(r->n, sizeof *tensors);
    for (size_t i = 0; i < r->n; i++) {
        tensors[i] = (ps_safetensors_tensor){
            .name = r->layout[i].name, .dtype = PS_SAFETENSORS_F32, .n_dims = r->layout[i].n_dims};
        memcpy(tensors[i].shape, r->layout[i].shape, sizeof r->layout[i].shape);
    }
    ps_status st = ps_safetensors_writer_new(tensors, r->n, metadata, r->tokenizer.len ? 3 : 2,
                                             (ps_safetensors_sink){keep, &r->ready}, &r->writer);
    ps_free(&tensors);
    ps_buf_free(&config);
    return st;
}

/* All are F32, so they come in the order in which they were given. */
static ps_status next_piece(ps_hf_reader *r)
{
    const place *p = &r->places[r->at];
    uint64_t left = r->layout[r->at].shape[0] - r->done;
    if (r->layout[r->at].n_dims == 2)
        left = r->layout[r->at].shape[0] * r->layout[r->at].shape[1] - r->done;
    size_t n = left < PS_HF_PIECE ? (size_t)left : PS_HF_PIECE;
    ps_status st = ps_hf_shards_read(&r->shards, p->shard, p->tensor, r->done, n, r->piece);
    if (!st)
        st = ps_safetensors_writer_data(r->writer, r->piece, n * sizeof *r->piece);
    r->done += n;
    if (n == left) {
        r->at++;
        r->done = 0;
    }
    return st;
}

ps_status ps_hf_reader_read(ps_hf_reader *r, void *out, size_t len, size_t *got)
{
    while (!r->ready.len && r->at < r->n) {
        ps_status st = next_piece(r);
        if (st)
            return st;
    }
    *got = r->ready.len < len ? r->ready.len : len;
    if (*got) {
        memcpy(out, r->ready.data, *got);
        ps_buf_consume(&r->ready, *got);
    }
    return PS_OK;
}

ps_status ps_hf_reader_open(const char *folder, ps_hf_reader **out)
{
    ps_hf_reader *r = ps_new(ps_hf_reader);
    r->piece = ps_alloc_array(PS_HF_PIECE, sizeof *r->piece);
    r->shards.fd = -1;
    ps_status st = read_config(r, folder);
    if (!st)
        st = read_tokenizer(r, folder);
    if (!st)
        st = ps_hf_shards_open(folder, &r->shards);
    if (!st)
        st = find_places(r);
    if (!st)
        st = begin_file(r);
    if (st)
        ps_hf_reader_close(&r);
    else
        *out = r;
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

void ps_hf_reader_close(ps_hf_reader **reader)
{
    ps_hf_reader *r = *reader;
    if (!r)
        return;
    if (r->model)
        ps_spec_model_free(&r->model);
    ps_hf_shards_clear(&r->shards);
    ps_safetensors_writer_free(&r->writer);
    ps_buf_free(&r->tokenizer);
    ps_buf_free(&r->ready);
    ps_free(&r->layout);
    ps_free(&r->places);
    ps_free(&r->by_name);
    ps_free(&r->remark);
    ps_free(&r->piece);
    ps_free(reader);
}

const char *ps_hf_reader_remark(const ps_hf_reader *r)
{
    return r->remark;
}
