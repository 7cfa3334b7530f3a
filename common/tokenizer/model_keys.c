/* The keys of a model in a tokenizer.json, but for its vocabulary and merges; null, false and 0 are
 * as if the key were not there. It fails with PS_INVALID_ARGUMENT: what is not supported. */
#include "common/conf/value.h"
#include "common/tokenizer/tokenizer_internal.h"

static ps_status unknown_model(ps_slice type)
{
    char word[64] = "";
    if (type.len) /* it is text */
        memcpy(word, type.data, type.len < sizeof word - 1 ? type.len : sizeof word - 1);
    ps_buf known = PS_BUF_EMPTY;
    for (const ps_token_model *const *row = ps_token_models; *row; row++)
        ps_buf_printf(&known, "%s%s",
                      row == ps_token_models ? ""
                      : row[1]               ? ", "
                                             : " and ",
                      (*row)->type);
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "type %s is not supported; psd knows %s",
                           ps_conf_quote(word).text, ps_buf_cstr(&known));
    ps_buf_free(&known);
    return st;
}

static ps_status read_type(ps_tokenizer *t, const ps_json_token *token)
{
    const ps_token_model *const *row = ps_token_models;
    while (*row && !(token->kind == PS_JSON_STRING && ps_slice_is(token->text, (*row)->type)))
        row++;
    t->model = *row;
    return *row ? PS_OK : unknown_model(token->text);
}

static ps_status keep(const char *key, const ps_json_token *token, ps_buf *out)
{
    enum { MOST = 256 };
    ps_buf_clear(out);
    if (token->kind != PS_JSON_STRING)
        return PS_OK;
    return ps_buf_append_limited(out, token->text.data, token->text.len, MOST)
               ? ps_fail(PS_INVALID_ARGUMENT, "%s: %zu bytes, allowed %d", key, token->text.len,
                         MOST)
               : PS_OK;
}

static ps_status set_key(ps_tokenizer *t, const char *key, const ps_json_token *token)
{
    ps_model_keys *k = &t->keys;
    bool yes = token->kind == PS_JSON_TRUE;
    if (!strcmp(key, "type"))
        return read_type(t, token);
    if (!strcmp(key, "dropout") && token->kind == PS_JSON_NUMBER && token->number != 0)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "dropout is not supported: the same text would have other ids each time");
    if (!strcmp(key, "unk_token"))
        return keep(key, token, &k->unk_token);
    if (!strcmp(key, "continuing_subword_prefix"))
        return keep(key, token, &k->prefix);
    if (!strcmp(key, "end_of_word_suffix"))
        return keep(key, token, &k->suffix);
    if (!strcmp(key, "unk_id") && token->is_u64)
        k->unk_id = token->u64;
    else if (!strcmp(key, "fuse_unk"))
        k->fuse_unk = yes;
    else if (!strcmp(key, "byte_fallback"))
        k->byte_fallback = yes;
    else if (!strcmp(key, "ignore_merges"))
        k->ignore_merges = yes;
    else if (!strcmp(key, "max_input_chars_per_word") && token->is_u64)
        k->max_chars = token->u64;
    return PS_OK;
}

ps_status ps_model_key_read(ps_tokenizer *t, ps_json_reader *json, const char *key,
                            bool *seen_prefix)
{
    static const char *const keys[] = {"type",
                                       "dropout",
                                       "unk_token",
                                       "unk_id",
                                       "fuse_unk",
                                       "byte_fallback",
                                       "ignore_merges",
                                       "continuing_subword_prefix",
                                       "max_input_chars_per_word",
                                       "end_of_word_suffix"};
    ps_json_token token;
    bool known = false;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        known |= !strcmp(key, keys[i]);
    if (!known)
        return ps_json_skip(json);
    *seen_prefix |= !strcmp(key, "continuing_subword_prefix");
    ps_status st = ps_json_next(json, &token);
    return st ? st : set_key(t, key, &token);
}
