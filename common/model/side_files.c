/* Happy path: each file that is there is read whole. It fails when the disk does. */
#include "common/model/side_files.h"

#include "common/base/base64.h"
#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/json/json.h"
#include "common/json/json_file.h"

#include <string.h>

const ps_side_file ps_side_files[PS_SIDE_FILES] = {
    {"generation_config.json"},
    [PS_SIDE_TOKENIZER] = {"tokenizer_config.json", true},
    {"special_tokens_map.json", true},
    [PS_SIDE_CHAT_TEMPLATE] = {"chat_template.jinja"},
    {"added_tokens.json", true},
    {"tokenizer.model", .binary = true}, /* of SentencePiece, as is the next */
    {"spiece.model", .binary = true},
    {"modules.json"}, /* of sentence-transformers (hf_sentence.h), as are the next */
    {"sentence_bert_config.json"},
    {"config_sentence_transformers.json"},
    {"1_Pooling/config.json"},
    {"2_Normalize/config.json"},
};

/* It becomes a text of a header: UTF-8 without zeros. */
bool ps_side_can_be_kept(ps_slice text)
{
    return text.len <= PS_SIDE_FILE_MAX && !(text.len && memchr(text.data, 0, text.len)) &&
           ps_utf8_is(text);
}

static bool is_json(const char *name)
{
    return !strcmp(name + strlen(name) - strlen(".json"), ".json");
}

/* "": it may be kept. */
static const char *why_not(const ps_side_file *which, const char *path, ps_slice bytes)
{
    static const char no_text[] = ": it is no UTF-8";
    if (which->binary)
        return "";
    if (!ps_side_can_be_kept(bytes))
        return no_text;
    return is_json(which->name) && ps_json_file_check(path, bytes) ? ps_error_message() : "";
}

static void to_text(ps_buf *bytes)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_base64_write(&text, ps_buf_slice(bytes));
    ps_buf_free(bytes);
    *bytes = text;
}

static ps_status read_one(const ps_disk *disk, const char *folder, const ps_side_file *which,
                          ps_buf *out, ps_buf *remarks)
{
    char *path = ps_asprintf("%s/%s", folder, which->name);
    ps_status st = ps_disk_read_file(disk ? disk : &ps_disk_system, path,
                                     which->binary ? PS_SIDE_BINARY_MAX : PS_SIDE_FILE_MAX, out);
    const char *why = st == PS_RESOURCE_EXHAUSTED ? ps_error_message()
                      : st                        ? ""
                                                  : why_not(which, path, ps_buf_slice(out));
    if (*why)
        ps_buf_printf(remarks, "left out: %s%s\n", *why == ':' ? path : "", why);
    if (st || *why)
        ps_buf_clear(out);
    else if (which->binary && out->len)
        to_text(out);
    ps_free(&path);
    return st == PS_NOT_FOUND || st == PS_RESOURCE_EXHAUSTED ? PS_OK : st;
}

ps_status ps_side_texts_read(const ps_disk *disk, const char *folder, ps_side_texts *out,
                             ps_buf *remarks)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < PS_SIDE_FILES; i++)
        st = read_one(disk, folder, &ps_side_files[i], &out->text[i], remarks);
    return st;
}

void ps_side_texts_free(ps_side_texts *texts)
{
    for (size_t i = 0; i < PS_SIDE_FILES; i++)
        ps_buf_free(&texts->text[i]);
}

bool ps_side_bytes(const ps_safetensors *file, const ps_side_file *which, ps_buf *out)
{
    const char *text = ps_safetensors_metadata(file, which->name);
    ps_buf_clear(out);
    if (!text)
        return false;
    if (which->binary)
        return ps_base64_read(ps_slice_str(text), out) == PS_OK; /* no file of ours has another */
    ps_buf_puts(out, text);
    return true;
}

/* ---- the chat template ---- */

static bool is(const ps_json_token *token, const char *word)
{
    return token->text.len == strlen(word) && !memcmp(token->text.data, word, token->text.len);
}

/* {"name": "default", "template": "..."}, after its brace; *out gets the template of that name. */
static ps_status read_named(ps_json_reader *r, ps_buf *out)
{
    ps_buf text = PS_BUF_EMPTY;
    bool wanted = false;
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(r, &token, &st)) {
        bool name = is(&token, "name"), template = is(&token, "template");
        st = name || template ? ps_json_expect(r, PS_JSON_STRING, &token) : ps_json_skip(r);
        if (!st && name)
            wanted = is(&token, "default");
        if (!st && template) {
            ps_buf_clear(&text);
            ps_buf_append(&text, token.text.data, token.text.len);
        }
    }
    if (!st && wanted)
        ps_buf_append(out, text.data, text.len);
    ps_buf_free(&text);
    return st;
}

/* A text, or a list of named ones. */
static ps_status read_template(ps_json_reader *r, ps_buf *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind == PS_JSON_STRING)
        ps_buf_append(out, token.text.data, token.text.len);
    if (st || token.kind != PS_JSON_ARRAY)
        return st;
    do {
        st = ps_json_next(r, &token);
        if (!st && token.kind == PS_JSON_OBJECT)
            st = read_named(r, out);
        else
            break;
    } while (!st);
    return st ? st : token.kind == PS_JSON_ARRAY_END ? PS_OK : ps_fail(PS_CORRUPT, "no template");
}

static ps_status find_template(ps_slice json, ps_buf *out)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st))
        st = is(&token, "chat_template") ? read_template(&r, out) : ps_json_skip(&r);
    ps_json_reader_free(&r);
    return st;
}

/* Of the two files; empty: there is none. */
static bool template_of(ps_slice whole, ps_slice config, ps_buf *out)
{
    ps_buf_clear(out);
    if (whole.len)
        ps_buf_append(out, whole.data, whole.len);
    else if (config.len && find_template(config, out))
        ps_buf_clear(out);
    return out->len > 0;
}

bool ps_side_chat_template(const ps_safetensors *file, ps_buf *out)
{
    const char *whole = ps_safetensors_metadata(file, ps_side_files[PS_SIDE_CHAT_TEMPLATE].name);
    const char *config = ps_safetensors_metadata(file, ps_side_files[PS_SIDE_TOKENIZER].name);
    return template_of(ps_slice_str(whole ? whole : ""), ps_slice_str(config ? config : ""), out);
}

bool ps_side_texts_template(const ps_side_texts *texts, ps_buf *out)
{
    return template_of(ps_buf_slice(&texts->text[PS_SIDE_CHAT_TEMPLATE]),
                       ps_buf_slice(&texts->text[PS_SIDE_TOKENIZER]), out);
}

bool ps_side_folder_has_template(const ps_disk *disk, const char *folder)
{
    ps_side_texts texts = {0};
    ps_buf text = PS_BUF_EMPTY, remarks = PS_BUF_EMPTY;
    bool has = !ps_side_texts_read(disk, folder, &texts, &remarks) &&
               ps_side_texts_template(&texts, &text);
    ps_side_texts_free(&texts);
    ps_buf_free(&text);
    ps_buf_free(&remarks);
    return has;
}

/* ---- tokens ---- */

/* "</s>", or {"content": "</s>", …}; else nothing is appended. */
static ps_status read_token(ps_json_reader *r, ps_buf *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind == PS_JSON_STRING)
        ps_buf_append(out, token.text.data, token.text.len);
    if (st || token.kind != PS_JSON_OBJECT)
        return st;
    while (ps_json_member(r, &token, &st)) {
        bool content = is(&token, "content");
        st = content ? ps_json_expect(r, PS_JSON_STRING, &token) : ps_json_skip(r);
        if (!st && content)
            ps_buf_append(out, token.text.data, token.text.len);
    }
    return st;
}

/* config: the text of tokenizer_config.json; empty: there is none. */
static bool token_of(ps_slice config, const char *key, ps_buf *out)
{
    ps_json_reader r;
    ps_json_token token;
    ps_buf_clear(out);
    if (!config.len)
        return false;
    ps_json_reader_init(&r, config);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st))
        st = is(&token, key) ? read_token(&r, out) : ps_json_skip(&r);
    ps_json_reader_free(&r);
    if (st)
        ps_buf_clear(out);
    return out->len > 0;
}

bool ps_side_token(const ps_safetensors *file, const char *key, ps_buf *out)
{
    const char *config = ps_safetensors_metadata(file, ps_side_files[PS_SIDE_TOKENIZER].name);
    return token_of(ps_slice_str(config ? config : ""), key, out);
}

bool ps_side_texts_token(const ps_side_texts *texts, const char *key, ps_buf *out)
{
    return token_of(ps_buf_slice(&texts->text[PS_SIDE_TOKENIZER]), key, out);
}
