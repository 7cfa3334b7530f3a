/* A value of another kind than its field is PS_CORRUPT. */
#include "client/show/json_fields.h"

#include <math.h>
#include <string.h>

enum { KEY = 64 }; /* longer ones are none that is known */

ps_status ps_json_text_read(ps_json_reader *json, char *out, size_t size)
{
    ps_json_token t;
    ps_status st = ps_json_next(json, &t);
    if (st)
        return st;
    if (t.kind != PS_JSON_STRING && t.kind != PS_JSON_NULL)
        return ps_fail(PS_CORRUPT, "a text is expected");
    ps_slice text = t.kind == PS_JSON_STRING ? t.text : (ps_slice){0};
    size_t len = text.len < size ? text.len : size - 1;
    if (len)
        memcpy(out, text.data, len);
    out[len] = '\0';
    return PS_OK;
}

ps_status ps_json_number_read(ps_json_reader *json, double *out)
{
    ps_json_token t;
    ps_status st = ps_json_next(json, &t);
    if (st)
        return st;
    if (t.kind != PS_JSON_NUMBER && t.kind != PS_JSON_NULL)
        return ps_fail(PS_CORRUPT, "a number is expected");
    *out = t.kind == PS_JSON_NUMBER ? t.number : NAN;
    return PS_OK;
}

ps_status ps_json_field_read(ps_json_reader *json, const char *key, const ps_json_field *fields,
                             size_t n, void *into)
{
    for (size_t i = 0; i < n; i++) {
        char *at = (char *)into + fields[i].offset;
        if (!strcmp(key, fields[i].key))
            return fields[i].text ? ps_json_text_read(json, at, PS_FIELD_TEXT)
                                  : ps_json_number_read(json, (double *)(void *)at);
    }
    return ps_json_skip(json);
}

ps_status ps_json_members_read(ps_json_reader *json, void *into, ps_json_member_read read)
{
    ps_json_token t;
    ps_status st = PS_OK;
    while (ps_json_member(json, &t, &st)) {
        char key[KEY]; /* the token's text goes with the next one */
        size_t len = t.text.len < sizeof key ? t.text.len : sizeof key - 1;
        memcpy(key, t.text.data, len);
        key[len] = '\0';
        st = read(json, key, into);
    }
    return st;
}

ps_status ps_json_object_read(ps_json_reader *json, void *into, ps_json_member_read read)
{
    ps_json_token t;
    ps_status st = ps_json_expect(json, PS_JSON_OBJECT, &t);
    return st ? st : ps_json_members_read(json, into, read);
}
