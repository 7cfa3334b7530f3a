/* The row `hf`: a folder with config.json and model.safetensors, or model.safetensors.index.json
 * and its shards (F32, F16, BF16). Happy path: config and headers are read, and each tensor of the
 * shards finds its place in the layout; a tokenizer that psd cannot use is kept with a remark. */
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/format/hf_config.h"
#include "common/format/hf_places.h"
#include "common/format/json.h"
#include "common/format/model_in.h"
#include "common/tokenizer/tokenizer.h"

#include <inttypes.h>

enum { MAX_CONFIG = 1 << 20 };

struct ps_model_reader {
    ps_hf_shards shards;
    ps_hf_place *places; /* by the layout's order */
};

/* ---- config and tokenizer ---- */

static ps_status read_config(ps_model_in_about *about, const char *folder)
{
    ps_buf json = PS_BUF_EMPTY;
    char *path = ps_asprintf("%s/config.json", folder);
    ps_status st = ps_disk_read_file(&ps_disk_system, path, MAX_CONFIG, &json);
    if (!st) {
        st = ps_hf_config_parse(ps_buf_slice(&json), &about->model);
        if (!st)
            st = ps_token_ids_read(ps_buf_slice(&json), &about->ids);
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
    if (!st && about->tokenizer.len >= 3 && !memcmp(about->tokenizer.data, "\xef\xbb\xbf", 3))
        ps_buf_consume(&about->tokenizer, 3); /* a byte order mark, which `tokenizers` refuses */
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
        ps_buf_printf(&about->remarks, "the tokenizer is kept, but psd cannot use it: %s\n",
                      ps_error_message());
    else if (ps_tokenizer_vocab_size(t) > about->model->vocab_size)
        ps_buf_printf(&about->remarks,
                      "the tokenizer is kept, but psd cannot use it: %s: the tokenizer "
                      "has %" PRIu32 " ids, vocab_size is %" PRId64 "\n",
                      folder, ps_tokenizer_vocab_size(t), about->model->vocab_size);
    ps_status st = read_tokenizer_text(about, folder);
    if (st == PS_NOT_FOUND && t) /* vocab.json and merges.txt */
        ps_tokenizer_to_json(t, &about->tokenizer);
    st = st == PS_NOT_FOUND ? PS_OK : st;
    if (!st && !opened && ps_tokenizer_vocab_size(t) <= about->model->vocab_size) {
        ps_free(&about->model->tokenizer);
        about->model->tokenizer = ps_strdup(ps_tokenizer_name(t));
    }
    ps_tokenizer_free(&t);
    return st;
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
    ps_free(reader);
}

static ps_status hf_open(const char *folder, ps_model_in_about *about, ps_model_reader **out)
{
    ps_model_reader *r = ps_new(ps_model_reader);
    r->shards.fd = -1;
    ps_status st = read_config(about, folder);
    if (!st)
        st = read_tokenizer(about, folder);
    if (!st)
        st = ps_side_texts_read(folder, &about->side, &about->remarks);
    if (!st)
        st = ps_hf_shards_open(folder, &r->shards);
    if (!st)
        st = ps_hf_places(&r->shards, about, &r->places);
    if (st)
        hf_close(&r);
    else
        *out = r;
    return st;
}

const ps_model_in_row ps_model_in_hf = {
    .name = "hf", .open = hf_open, .read = hf_read, .close = hf_close};
