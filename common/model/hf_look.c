/* What a Hugging Face folder says: config.json by some of its keys, also where they stand in its
 * text_config; the headers of its weights; which files of a tokenizer there are. It stops at what
 * cannot be read, with what was seen so far. */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/json/json_file.h"
#include "common/model/hf_shards.h"
#include "common/model/model_files.h"
#include "common/model/model_in.h"

#include <string.h>

enum { MOST = 1 << 20 };

typedef struct row {
    const char *key;
    void (*take)(ps_model_look *look, const ps_json_token *value);
} row;

static void take_type(ps_model_look *look, const ps_json_token *value)
{
    if (value->kind == PS_JSON_STRING)
        ps_model_look_say(&look->architecture, value->text);
}

static void take_method(ps_model_look *look, const ps_json_token *value)
{
    if (value->kind == PS_JSON_STRING)
        ps_model_look_say(&look->quantized, value->text);
}

static void take_context(ps_model_look *look, const ps_json_token *value)
{
    if (value->kind == PS_JSON_NUMBER && value->is_u64 && !look->context)
        look->context = value->u64;
}

static void take_vocabulary(ps_model_look *look, const ps_json_token *value)
{
    if (value->kind == PS_JSON_NUMBER && value->is_u64 && !look->vocabulary)
        look->vocabulary = value->u64;
}

static const row rows[] = {
    {"model_type", take_type},       {"quant_method", take_method},
    {"n_positions", take_context},   {"max_position_embeddings", take_context},
    {"vocab_size", take_vocabulary},
};

static const row *find(ps_slice key)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (ps_slice_is(key, rows[i].key))
            return &rows[i];
    return NULL;
}

/* The members of an object, and of those in it that say more of the same. */
static ps_status look_at_members(ps_json_reader *r, unsigned depth, ps_model_look *look)
{
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(r, &token, &st)) {
        const row *known = find(token.text);
        bool inside = !depth && (ps_slice_is(token.text, "text_config") ||
                                 ps_slice_is(token.text, "quantization_config"));
        if (!known && !inside) {
            st = ps_json_skip(r);
            continue;
        }
        ps_slice value;
        st = ps_json_value(r, &value);
        if (st)
            break;
        ps_json_reader one;
        ps_json_reader_init(&one, value);
        st = ps_json_next(&one, &token);
        if (!st && known)
            known->take(look, &token);
        else if (!st && token.kind == PS_JSON_OBJECT)
            st = look_at_members(&one, depth + 1, look);
        ps_json_reader_free(&one);
    }
    return st;
}

static ps_status look_at_config(const char *folder, ps_model_look *look)
{
    ps_buf json = PS_BUF_EMPTY;
    ps_json_reader r;
    ps_json_token token;
    char *path = ps_asprintf("%s/config.json", folder);
    ps_status st = ps_json_file_read(look->disk, path, MOST, &json);
    ps_json_reader_init(&r, ps_buf_slice(&json));
    if (!st)
        st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    if (!st)
        st = look_at_members(&r, 0, look);
    ps_json_reader_free(&r);
    ps_buf_free(&json);
    ps_free(&path);
    return st;
}

static void look_for_tokenizer(const char *folder, ps_model_look *look)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer.model", "spiece.model",
                                        "vocab.json",     "merges.txt",      "vocab.txt"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path = ps_asprintf("%s/%s", folder, names[i]);
        if (ps_model_file_there(look->disk, path))
            ps_buf_printf(&look->tokenizer, "%s%s", look->tokenizer.len ? ", " : "", names[i]);
        ps_free(&path);
    }
}

ps_status ps_model_look_hf(const char *folder, ps_model_look *look)
{
    ps_hf_shards shards;
    ps_status st = look_at_config(folder, look);
    look_for_tokenizer(folder, look);
    look->chat_template = ps_side_folder_has_template(look->disk, folder);
    if (!st)
        st = ps_hf_shards_open(look->disk, folder, &shards);
    else
        return st;
    for (size_t i = 0; i < shards.n; i++)
        if (shards.at[i].header)
            ps_model_look_safetensors(look, shards.at[i].header);
    ps_hf_shards_clear(&shards);
    return st;
}
