/* Happy path: a text is a string of JSON, a flag true or false, a number, all of which are u32
 * here, a number, and a list of texts a list. */
#include "common/model/gguf_kept.h"

#include "common/json/json.h"
#include "common/json/json_file.h"
#include "common/model/hf_kept.h"
#include "common/model/side_files.h"

#include <stdio.h>
#include <string.h>

enum { MOST_KEYS = 256, MOST_TEXTS = 1024, MOST_NAME = 128, MOST_BYTES = 8 << 20 };

/* Of general.*, those that say how this file is written, and which the writer has its own for. */
static const char *const own[] = {"general.architecture", "general.file_type",
                                  "general.quantization_version", "general.alignment",
                                  "general.quantized_by"};

/* What llama.cpp does with texts. */
static const char *const words[] = {
    "tokenizer.ggml.add_bos_token",      "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.add_sep_token",      "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.seperator_token_id", "tokenizer.ggml.cls_token_id",
    "tokenizer.ggml.mask_token_id",      "tokenizer.ggml.fim_pre_token_id",
    "tokenizer.ggml.fim_suf_token_id",   "tokenizer.ggml.fim_mid_token_id",
    "tokenizer.ggml.fim_pad_token_id",   "tokenizer.ggml.fim_rep_token_id",
    "tokenizer.ggml.fim_sep_token_id",   "tokenizer.ggml.prefix_token_id",
    "tokenizer.ggml.suffix_token_id",    "tokenizer.ggml.middle_token_id",
    "tokenizer.chat_templates"};

static bool begins(ps_slice name, const char *prefix)
{
    size_t len = strlen(prefix);
    return name.len > len && !memcmp(name.data, prefix, len);
}

static bool is_one_of(ps_slice name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ps_slice_is(name, list[i]))
            return true;
    return false;
}

#define IS_ONE_OF(name, list) is_one_of(name, list, sizeof(list) / sizeof *(list))

static bool is_kept(ps_slice name)
{
    return name.len <= MOST_NAME &&
           ((begins(name, "general.") && !IS_ONE_OF(name, own)) || IS_ONE_OF(name, words) ||
            begins(name, "tokenizer.chat_template."));
}

/* ---- out of a file ---- */

static void name_it(ps_json_writer *w, ps_slice name)
{
    char text[MOST_NAME + 1] = "";
    memcpy(text, name.data, name.len);
    ps_json_key(w, text);
}

static void read_text(ps_json_writer *w, const ps_gguf_key *key)
{
    ps_slice text = {0};
    if (ps_gguf_get_text(key, &text) || !ps_side_can_be_kept(text))
        return;
    name_it(w, key->name);
    ps_json_string_n(w, text);
}

static void read_texts(ps_json_writer *w, const ps_gguf_key *key)
{
    ps_cursor c;
    if (key->item != PS_GGUF_STRING || key->n > MOST_TEXTS ||
        ps_gguf_get_array(key, PS_GGUF_STRING, &c))
        return;
    ps_cursor look = c;
    for (uint64_t i = 0; i < key->n; i++) /* all of them, or none */
        if (!ps_side_can_be_kept(ps_gguf_next_text(&look)))
            return;
    name_it(w, key->name);
    ps_json_array(w);
    for (uint64_t i = 0; i < key->n; i++)
        ps_json_string_n(w, ps_gguf_next_text(&c));
    ps_json_array_end(w);
}

static void read_number(ps_json_writer *w, const ps_gguf_key *key)
{
    uint64_t n = 0;
    if (key->type == PS_GGUF_FLOAT || key->type == PS_GGUF_DOUBLE || ps_gguf_get_uint(key, &n) ||
        n > UINT32_MAX)
        return;
    name_it(w, key->name);
    ps_json_uint(w, n);
}

static void read_key(ps_json_writer *w, const ps_gguf_key *key)
{
    bool flag = false;
    if (key->type == PS_GGUF_STRING) {
        read_text(w, key);
    } else if (key->type == PS_GGUF_ARRAY) {
        read_texts(w, key);
    } else if (key->type != PS_GGUF_BOOL) {
        read_number(w, key);
    } else if (!ps_gguf_get_bool(key, &flag)) {
        name_it(w, key->name);
        ps_json_bool(w, flag);
    }
}

void ps_gguf_kept_read(const ps_gguf *file, ps_buf *json)
{
    size_t n = 0, before = json->len;
    ps_json_writer w = ps_json_writer_to(json);
    ps_json_object(&w);
    size_t empty = json->len;
    for (size_t i = 0; i < file->n_keys && n < MOST_KEYS; i++) {
        size_t used = json->len - before; /* more than MOST_BYTES where much of a text is escaped */
        if (!is_kept(file->keys[i].name) || used >= MOST_BYTES ||
            file->keys[i].bytes.len >= MOST_BYTES - used)
            continue;
        read_key(&w, &file->keys[i]);
        n++;
    }
    bool any = json->len > empty;
    ps_json_object_end(&w);
    if (!any)
        json->len = before;
}

/* ---- into a file ---- */

/* Nothing is written of a list that has anything but texts. */
static ps_status write_texts(ps_gguf_keys *k, const char *name, ps_slice list)
{
    ps_json_reader r;
    ps_json_token token;
    ps_buf texts = PS_BUF_EMPTY;
    uint64_t n = 0;
    ps_json_reader_init(&r, list);
    ps_status st = ps_json_expect(&r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(&r, &token)) && token.kind == PS_JSON_STRING) {
        ps_gguf_put_text(&texts, token.text);
        n++;
    }
    if (!st && token.kind == PS_JSON_ARRAY_END) {
        ps_gguf_key_array(k, name, PS_GGUF_STRING, n);
        ps_buf_append(k->out, texts.data, texts.len);
    }
    ps_buf_free(&texts);
    ps_json_reader_free(&r);
    return st;
}

static bool is_id(const char *name)
{
    static const char end[] = "_token_id";
    size_t len = strlen(name);
    return len > strlen(end) && !strcmp(name + len - strlen(end), end);
}

static ps_status write_value(ps_gguf_keys *k, const char *name, ps_slice value, int64_t vocab_size)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, value);
    ps_status st = ps_json_next(&r, &token);
    if (!st && token.kind == PS_JSON_STRING && ps_side_can_be_kept(token.text))
        ps_gguf_key_text(k, name, (const char *)token.text.data);
    else if (!st && (token.kind == PS_JSON_TRUE || token.kind == PS_JSON_FALSE))
        ps_gguf_key_bool(k, name, token.kind == PS_JSON_TRUE);
    else if (!st && token.kind == PS_JSON_NUMBER && token.is_u64 && token.u64 <= UINT32_MAX &&
             (!is_id(name) || token.u64 < (uint64_t)vocab_size))
        ps_gguf_key_u32(k, name, (int64_t)token.u64);
    else if (!st && token.kind == PS_JSON_ARRAY)
        st = write_texts(k, name, value);
    ps_json_reader_free(&r);
    return st;
}

void ps_gguf_kept_write(ps_gguf_keys *k, const char *json, int64_t vocab_size)
{
    ps_json_reader r;
    ps_json_token token;
    size_t n = 0;
    ps_json_reader_init(&r, ps_slice_str(json));
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        char name[MOST_NAME + 1] = "";
        bool kept =
            is_kept(token.text) && !memchr(token.text.data, 0, token.text.len) && n++ < MOST_KEYS;
        if (kept)
            memcpy(name, token.text.data, token.text.len);
        ps_slice value;
        st = ps_json_value(&r, &value);
        if (!st && kept)
            st = write_value(k, name, value, vocab_size);
    }
    ps_json_reader_free(&r);
}

/* ---- psd's own keys ---- */

#define PS_FILE "psd.file."

enum { MOST_SIDE = 1 << 20 }; /* of a file that stands in a header which llama.cpp reads whole */

/* The template has a key of its own, and bytes go with folders alone. */
static bool goes_through(size_t i)
{
    return i != PS_SIDE_CHAT_TEMPLATE && !ps_side_files[i].binary;
}

static void key_of(const ps_side_file *which, char out[MOST_NAME])
{
    (void)snprintf(out, MOST_NAME, PS_FILE "%s", which->name);
}

static void take_text(const ps_gguf *file, const char *name, ps_buf *out)
{
    const ps_gguf_key *key = ps_gguf_find_key(file, name);
    ps_slice text = {0};
    if (key && key->type == PS_GGUF_STRING && !ps_gguf_get_text(key, &text) &&
        text.len <= MOST_SIDE && ps_side_can_be_kept(text) && !ps_json_file_check(name, text))
        ps_buf_append(out, text.data, text.len);
}

/* A template that tokenizer_config.json has does not need a file of its own. */
static void drop_second_template(ps_side_texts *side)
{
    ps_buf alone = side->text[PS_SIDE_CHAT_TEMPLATE], other = PS_BUF_EMPTY;
    side->text[PS_SIDE_CHAT_TEMPLATE] = PS_BUF_EMPTY;
    bool same = ps_side_texts_template(side, &other) && other.len == alone.len &&
                !memcmp(other.data, alone.data, alone.len);
    if (same)
        ps_buf_free(&alone);
    else
        side->text[PS_SIDE_CHAT_TEMPLATE] = alone;
    ps_buf_free(&other);
}

void ps_gguf_kept_take(const ps_gguf *file, ps_model_in_about *about)
{
    char name[MOST_NAME];
    ps_gguf_kept_read(file, &about->gguf);
    take_text(file, PS_MODEL_META_HF_CONFIG, &about->hf_config);
    for (size_t i = 0; i < PS_SIDE_FILES; i++)
        if (goes_through(i)) {
            key_of(&ps_side_files[i], name);
            take_text(file, name, &about->side.text[i]);
        }
    drop_second_template(&about->side);
}

bool ps_gguf_kept_has(const ps_safetensors *file, const char *key)
{
    const char *keys = ps_safetensors_metadata(file, PS_MODEL_META_GGUF);
    ps_json_reader r;
    ps_json_token token;
    bool found = false;
    ps_json_reader_init(&r, ps_slice_str(keys ? keys : "{}"));
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (!found && ps_json_member(&r, &token, &st)) {
        found = ps_slice_is(token.text, key);
        st = ps_json_skip(&r);
    }
    ps_json_reader_free(&r);
    return found;
}

void ps_gguf_kept_put(ps_gguf_keys *k, const ps_safetensors *file, int64_t vocab_size)
{
    char name[MOST_NAME];
    const char *keys = ps_safetensors_metadata(file, PS_MODEL_META_GGUF);
    const char *config = ps_safetensors_metadata(file, PS_MODEL_META_HF_CONFIG);
    if (keys)
        ps_gguf_kept_write(k, keys, vocab_size);
    if (config && strlen(config) <= MOST_SIDE)
        ps_gguf_key_text(k, PS_MODEL_META_HF_CONFIG, config);
    for (size_t i = 0; i < PS_SIDE_FILES; i++) {
        const char *text = ps_safetensors_metadata(file, ps_side_files[i].name);
        if (!text || !goes_through(i) || strlen(text) > MOST_SIDE)
            continue;
        key_of(&ps_side_files[i], name);
        ps_gguf_key_text(k, name, text);
    }
}
