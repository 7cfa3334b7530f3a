/* Happy path: the object is read from its start until the key comes. */
#include "common/tokenizer/part.h"

#include "common/conf/value.h"

#include <stdio.h>

/* Of any value. */
static bool find(const ps_part *part, const char *key, ps_slice *value)
{
    ps_json_reader r;
    ps_json_token token;
    bool found = false;
    ps_json_reader_init(&r, part->json);
    ps_status st = part->json.len ? ps_json_next(&r, &token) : PS_NOT_FOUND;
    if (!st && token.kind != PS_JSON_OBJECT)
        st = PS_NOT_FOUND;
    while (!found && ps_json_member(&r, &token, &st)) {
        found = ps_slice_is(token.text, key);
        st = ps_json_value(&r, value);
    }
    ps_json_reader_free(&r);
    return found && !st;
}

bool ps_part_find(const ps_part *part, const char *key, ps_slice *value)
{
    return find(part, key, value) && !ps_slice_is(*value, "null");
}

bool ps_part_is_null(const ps_part *part, const char *key)
{
    ps_slice value;
    return find(part, key, &value) && ps_slice_is(value, "null");
}

ps_part ps_part_below(const ps_part *part, const char *key, long index, ps_slice json)
{
    ps_part below = {.json = json};
    char place[24] = "";
    if (index >= 0)
        (void)snprintf(place, sizeof place, "[%ld]", index);
    int most = (int)sizeof below.path - (int)sizeof place;
    int n = snprintf(below.path, (size_t)most, "%s%s%s", part->path, *part->path ? "." : "", key);
    n = n < most ? n : most - 1;
    (void)snprintf(below.path + n, sizeof place, "%s", place);
    return below;
}

ps_status ps_part_fail(const ps_part *part, const char *what)
{
    return ps_fail(PS_INVALID_ARGUMENT, "%s: %s", part->path, what);
}

/* The token that is the key's value, of a reader that the caller frees; false: there is none. */
static bool value_of(const ps_part *part, const char *key, ps_json_reader *r, ps_json_token *token)
{
    ps_slice value;
    if (!ps_part_find(part, key, &value))
        return false;
    ps_json_reader_init(r, value);
    if (!ps_json_next(r, token))
        return true;
    ps_json_reader_free(r);
    return false;
}

static ps_status wrong(const ps_part *part, const char *key, const char *what)
{
    return ps_fail(PS_INVALID_ARGUMENT, "%s: %s must be %s", part->path, key, what);
}

ps_status ps_part_bool(const ps_part *part, const char *key, bool *out)
{
    ps_json_reader r;
    ps_json_token token;
    if (!value_of(part, key, &r, &token))
        return PS_OK;
    bool is = token.kind == PS_JSON_TRUE || token.kind == PS_JSON_FALSE;
    if (is)
        *out = token.kind == PS_JSON_TRUE;
    ps_json_reader_free(&r);
    return is ? PS_OK : wrong(part, key, "true or false");
}

ps_status ps_part_text(const ps_part *part, const char *key, ps_buf *out)
{
    ps_json_reader r;
    ps_json_token token;
    if (!value_of(part, key, &r, &token))
        return PS_OK;
    bool is = token.kind == PS_JSON_STRING;
    ps_buf_clear(out);
    if (is)
        ps_buf_append(out, token.text.data, token.text.len);
    ps_json_reader_free(&r);
    return is ? PS_OK : wrong(part, key, "a text");
}

ps_status ps_part_uint(const ps_part *part, const char *key, uint64_t *out)
{
    ps_json_reader r;
    ps_json_token token;
    if (!value_of(part, key, &r, &token))
        return PS_OK;
    bool is = token.kind == PS_JSON_NUMBER && token.is_u64;
    if (is)
        *out = token.u64;
    ps_json_reader_free(&r);
    return is ? PS_OK : wrong(part, key, "an integer from 0");
}

ps_status ps_part_word(const ps_part *part, const char *key, const char *const *words, size_t *out)
{
    ps_buf word = PS_BUF_EMPTY, known = PS_BUF_EMPTY;
    ps_status st = ps_part_text(part, key, &word);
    bool found = st || !word.len;
    for (size_t i = 0; !found && words[i]; i++) {
        found = ps_slice_is(ps_buf_slice(&word), words[i]);
        *out = found ? i : *out;
        ps_buf_printf(&known, "%s%s", i ? ", " : "", words[i]);
    }
    if (!found)
        st = ps_fail(PS_INVALID_ARGUMENT, "%s: %s %s is not supported; psd knows %s", part->path,
                     key, ps_conf_quote(ps_buf_cstr(&word)).text, ps_buf_cstr(&known));
    ps_buf_free(&word);
    ps_buf_free(&known);
    return st;
}
