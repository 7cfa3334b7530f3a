/* The row `hf`: a folder with config.json and model.safetensors, or model.safetensors.index.json
 * and its shards (F32, F16, BF16). Happy path: config and headers are read, and each tensor of the
 * shards finds its place in the layout; a tokenizer that psd cannot use is kept with a remark. */
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/format/hf_config.h"
#include "common/format/hf_shards.h"
#include "common/format/json.h"
#include "common/format/model_in.h"
#include "common/tokenizer/tokenizer.h"

#include <inttypes.h>

enum { MAX_CONFIG = 1 << 20 };

/* Where a tensor of the layout is. */
typedef struct place {
    const ps_safetensors_tensor *tensor; /* NULL: not found */
    size_t shard;
} place;

struct ps_model_reader {
    const ps_model_in_about *about;
    place *places; /* by the layout's order */
    const ps_lm_tensor **by_name;
    ps_hf_shards shards;
};

/* ---- config and tokenizer ---- */

static ps_status read_config(ps_model_in_about *about, const char *folder)
{
    ps_buf json = PS_BUF_EMPTY;
    char *path = ps_asprintf("%s/config.json", folder);
    ps_status st = ps_disk_read_file(&ps_disk_system, path, MAX_CONFIG, &json);
    if (!st) {
        st = ps_hf_config_parse(ps_buf_slice(&json), &about->model);
        st = st ? ps_wrap(st, "%s", path) : PS_OK;
    }
    ps_free(&path);
    ps_buf_free(&json);
    return st;
}

/* tokenizer.json as it is, whatever tokenizer that is; but it must be JSON, as it goes into a
 * header. */
static ps_status read_tokenizer_text(ps_model_in_about *about, const char *folder)
{
    char *path = ps_asprintf("%s/tokenizer.json", folder);
    ps_status st = ps_disk_read_file(&ps_disk_system, path, PS_JSON_MAX_TEXT, &about->tokenizer);
    if (!st) {
        ps_json_reader json;
        ps_json_token token;
        ps_json_reader_init(&json, ps_buf_slice(&about->tokenizer));
        st = ps_json_skip(&json);
        if (!st)
            st = ps_json_expect(&json, PS_JSON_END, &token);
        ps_json_reader_free(&json);
        st = st ? ps_wrap(st, "%s", path) : PS_OK;
    }
    ps_free(&path);
    return st;
}

static ps_status read_tokenizer(ps_model_in_about *about, const char *folder)
{
    ps_tokenizer *t = NULL;
    ps_status opened = ps_tokenizer_open(folder, &t);
    if (opened == PS_NOT_FOUND)
        return PS_OK;
    if (opened)
        about->remark =
            ps_asprintf("the tokenizer is kept, but psd cannot use it: %s", ps_error_message());
    else if (ps_tokenizer_vocab_size(t) > about->model->vocab_size)
        about->remark =
            ps_asprintf("the tokenizer is kept, but psd cannot use it: %s: the tokenizer "
                        "has %" PRIu32 " ids, vocab_size is %" PRId64,
                        folder, ps_tokenizer_vocab_size(t), about->model->vocab_size);
    ps_status st = read_tokenizer_text(about, folder);
    if (st == PS_NOT_FOUND && t) /* vocab.json and merges.txt */
        ps_tokenizer_to_json(t, &about->tokenizer);
    st = st == PS_NOT_FOUND ? PS_OK : st;
    if (!st && !about->remark) {
        ps_free(&about->model->tokenizer);
        about->model->tokenizer = ps_strdup(ps_tokenizer_name(t));
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
static bool is_dropped(const ps_model_reader *r, const char *name)
{
    if (r->about->model->tie_embeddings && !strcmp(name, "lm_head.weight"))
        return true;
    return strcmp(r->about->model->architecture, "gpt2")
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

static ps_status find_place(ps_model_reader *r, size_t shard, const ps_safetensors_tensor *tensor)
{
    static const char prefix[] = "transformer.";
    bool prefixed = !strcmp(r->about->model->architecture, "gpt2") &&
                    !strncmp(tensor->name, prefix, sizeof prefix - 1);
    const char *name = tensor->name + (prefixed ? sizeof prefix - 1 : 0);
    if (is_dropped(r, name))
        return PS_OK;
    ps_lm_tensor key = {.name = ""};
    const ps_lm_tensor *wanted = &key;
    if (strlen(name) < sizeof key.name)
        memcpy(key.name, name, strlen(name));
    const ps_lm_tensor **found =
        bsearch(&wanted, r->by_name, r->about->n, sizeof *r->by_name, compare);
    if (!found)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is none of a %s model", tensor->name,
                       r->about->model->architecture);
    place *p = &r->places[*found - r->about->tensors];
    if (p->tensor)
        return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is there twice", tensor->name);
    *p = (place){.tensor = tensor, .shard = shard};
    return check_tensor(*found, tensor);
}

static ps_status find_places(ps_model_reader *r)
{
    r->places = ps_alloc_array(r->about->n, sizeof *r->places);
    r->by_name = ps_alloc_array(r->about->n, sizeof *r->by_name);
    for (size_t i = 0; i < r->about->n; i++)
        r->by_name[i] = &r->about->tensors[i];
    qsort(r->by_name, r->about->n, sizeof *r->by_name, compare);
    for (size_t s = 0; s < r->shards.n; s++) {
        const ps_safetensors *header = r->shards.at[s].header;
        for (size_t i = 0; i < header->n_tensors; i++) {
            ps_status st = find_place(r, s, &header->tensors[i]);
            if (st)
                return ps_wrap(st, "%s", r->shards.at[s].path);
        }
    }
    for (size_t i = 0; i < r->about->n; i++)
        if (!r->places[i].tensor)
            return ps_fail(PS_INVALID_ARGUMENT, "tensor %s is missing", r->about->tensors[i].name);
    return PS_OK;
}

/* ---- the row ---- */

static ps_status hf_read(ps_model_reader *r, size_t i, uint64_t first, size_t n, float *out)
{
    return ps_hf_shards_read(&r->shards, r->places[i].shard, r->places[i].tensor, first, n, out);
}

static void hf_close(ps_model_reader **reader)
{
    ps_model_reader *r = *reader;
    if (!r)
        return;
    ps_hf_shards_clear(&r->shards);
    ps_free(&r->places);
    ps_free(&r->by_name);
    ps_free(reader);
}

static ps_status hf_open(const char *folder, ps_model_in_about *about, ps_model_reader **out)
{
    ps_model_reader *r = ps_new(ps_model_reader);
    r->about = about;
    r->shards.fd = -1;
    ps_status st = read_config(about, folder);
    if (!st)
        st = read_tokenizer(about, folder);
    if (!st)
        ps_lm_layout(about->model, &about->tensors, &about->n);
    if (!st)
        st = ps_hf_shards_open(folder, &r->shards);
    if (!st)
        st = find_places(r);
    if (st)
        hf_close(&r);
    else
        *out = r;
    return st;
}

const ps_model_in_row ps_model_in_hf = {
    .name = "hf", .open = hf_open, .read = hf_read, .close = hf_close};
