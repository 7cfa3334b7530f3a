/* Happy path: members are read one by one; the value of a key that is known is kept as text, and
 * the members of rope_scaling likewise. A key of no table is refused by its name, unless its value
 * is null: it may be one by which another program computes something else. */
#include "common/model/hf_values.h"

#include "common/conf/value.h"
#include "common/json/json.h"
#include "common/model/hf_keys.h"
#include "common/model/hf_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    ps_json_reader json;
    ps_hf_values *values;
} reader;

const char *ps_hf_values_get(const ps_hf_values *v, const char *key)
{
    for (size_t i = 0; i < v->n; i++)
        if (!strcmp(v->at[i].key, key))
            return v->at[i].text;
    return NULL;
}

ps_status ps_hf_values_keep(ps_hf_values *v, const char *key, const char *text)
{
    const char *before = ps_hf_values_get(v, key);
    if (!*text && ps_hf_null_says(key))
        text = "null";
    if (!*text)
        return PS_OK;
    if (before && !ps_hf_same(before, text))
        return ps_fail(PS_INVALID_ARGUMENT, "%s is there twice: %s and %s", key, before, text);
    if (before)
        return PS_OK;
    if (v->n == PS_HF_VALUES)
        return ps_fail(PS_INVALID_ARGUMENT, "more than %d keys", PS_HF_VALUES);
    v->at[v->n] = (ps_hf_value){.key = key};
    (void)snprintf(v->at[v->n++].text, sizeof v->at->text, "%s", text);
    return PS_OK;
}

ps_status ps_hf_values_unknown(const char *key)
{
    return ps_fail(PS_INVALID_ARGUMENT,
                   "key %s is not known here, and may change what the model computes; if it does "
                   "not, take it out",
                   ps_conf_quote(key).text);
}

static ps_status no_value(const char *key)
{
    return ps_fail(PS_INVALID_ARGUMENT, "%s has no value that is known here", key);
}

/* In YAML such a text would be that. */
static bool is_another_kind(const char *text)
{
    static const char *const words[] = {"", "null", "true", "false"};
    char *end = NULL;
    (void)strtod(text, &end);
    bool is = !*end;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        is |= !strcmp(text, words[i]);
    return is;
}

/* One that is no object and no list, as it would stand in YAML; null is "". */
static ps_status take_scalar(const ps_json_token *token, const char *key, char *out, size_t size)
{
    const char *text = token->kind == PS_JSON_TRUE    ? "true"
                       : token->kind == PS_JSON_FALSE ? "false"
                       : token->kind == PS_JSON_NULL  ? ""
                                                      : (const char *)token->text.data;
    size_t known = strspn(text, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._");
    bool word = token->kind == PS_JSON_STRING;
    bool other = word && (strlen(text) != token->text.len || is_another_kind(text));
    if (text[known] || other || known >= size)
        return no_value(key);
    (void)snprintf(out, size, "%s", text);
    return PS_OK;
}

static bool is_composed(const ps_json_token *token)
{
    return token->kind == PS_JSON_OBJECT || token->kind == PS_JSON_ARRAY;
}

/* After its bracket: one word for each layer (common/model/hf_words.h). */
static ps_status read_list(reader *r, const char *key, char *out, size_t size)
{
    ps_json_token token;
    ps_hf_layers layers = {.n = 0};
    for (;;) {
        ps_status st = ps_json_next(&r->json, &token);
        if (!st && token.kind == PS_JSON_ARRAY_END)
            r->values->layers = layers.n;
        if (!st && token.kind == PS_JSON_ARRAY_END)
            return ps_hf_layers_word(&layers, out, size) ? PS_OK : no_value(key);
        if (st)
            return st;
        char word[PS_HF_WORD] = "";
        if (token.kind != PS_JSON_STRING)
            return no_value(key);
        st = take_scalar(&token, key, word, sizeof word);
        if (st)
            return st;
        ps_hf_layers_add(&layers, word);
    }
}

/* What is empty is "{}", where that is allowed. */
static ps_status read_empty(reader *r, const char *key, char *out, size_t size)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (!st && token.kind != PS_JSON_OBJECT_END && token.kind != PS_JSON_ARRAY_END)
        return no_value(key);
    (void)snprintf(out, size, "{}");
    return st;
}

/* An object or a list, after its brace or bracket. */
static ps_status read_composed(reader *r, ps_json_kind kind, const char *key, char *out,
                               size_t size)
{
    const ps_arch_hf_key *row = ps_hf_key_any(key);
    if (row && row->list && kind == PS_JSON_ARRAY)
        return read_list(r, key, out, size);
    if (row && row->only && strstr(row->only, " {} "))
        return read_empty(r, key, out, size);
    return no_value(key);
}

/* out is empty. */
static ps_status read_value(reader *r, const char *key, char *out, size_t size)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (st)
        return st;
    if (is_composed(&token))
        return read_composed(r, token.kind, key, out, size);
    const ps_arch_hf_key *row = ps_hf_key_any(key);
    if (row && row->list && token.kind != PS_JSON_NULL)
        return no_value(key); /* words for lists (hf_words.h) are none of a file's */
    return take_scalar(&token, key, out, size);
}

/* A key of no table. That it is null says as much as that it is absent. */
static ps_status read_unknown(reader *r, const char *key)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    return st || token.kind == PS_JSON_NULL ? st : ps_hf_values_unknown(key);
}

static ps_status read_field(reader *r, const char *name)
{
    char text[32] = "";
    ps_status st = read_value(r, name, text, sizeof text);
    return st ? st : ps_hf_values_keep(r->values, name, text);
}

/* Whose members they are. */
typedef enum object {
    OF_CONFIG,
    OF_ROPE,       /* of all layers, or of each kind of them one object */
    OF_ROPE_FULL,  /* of those whose queries see all */
    OF_ROPE_LOCAL, /* of those that see a window */
} object;

static ps_status read_object(reader *r, object which);

static ps_status read_rope(reader *r, const char *key, object which)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    return token.kind == PS_JSON_OBJECT
               ? read_object(r, which)
               : ps_fail(PS_INVALID_ARGUMENT, "%s must be an object or null", key);
}

/* Their type can be no other one. */
static ps_status read_local_type(reader *r, const char *key)
{
    char text[PS_HF_VALUE] = "";
    ps_status st = read_value(r, key, text, sizeof text);
    if (!st && *text && strcmp(text, "default") != 0)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "rope_type of sliding_attention: %s is not supported, only default", text);
    return st;
}

static ps_status read_rope_key(reader *r, const char *key, object which)
{
    bool full = !strcmp(key, "full_attention");
    if (which == OF_ROPE && (full || !strcmp(key, "sliding_attention"))) {
        r->values->by_layers = true;
        return read_rope(r, key, full ? OF_ROPE_FULL : OF_ROPE_LOCAL);
    }
    if (!strcmp(key, "type")) /* what rope_type was called before */
        key = "rope_type";
    if (which == OF_ROPE_LOCAL)
        return !strcmp(key, "rope_type")    ? read_local_type(r, key)
               : !strcmp(key, "rope_theta") ? read_field(r, "rope_local_base_freq")
                                            : read_unknown(r, key);
    if (!strcmp(key, "rope_type") || !strcmp(key, "rope_theta") ||
        !strcmp(key, "partial_rotary_factor") || !strcmp(key, "truncate"))
        return read_field(r, ps_hf_key_name(key));
    for (const ps_hf_rope_key *k = ps_hf_rope_keys; k->key; k++)
        if (!strcmp(k->key, key))
            return read_field(r, k->name);
    return read_unknown(r, key);
}

static ps_status read_key(reader *r, const char *key)
{
    if (!strcmp(key, "model_type")) /* hf_part.c reads it */
        return ps_json_skip(&r->json);
    if (!strcmp(key, "rope_scaling") || !strcmp(key, "rope_parameters"))
        return read_rope(r, key, OF_ROPE);
    const char *name = ps_hf_key_name(key);
    if (name && strcmp(key, "rope_type") != 0 && strcmp(key, "truncate") != 0)
        return read_field(r, name);
    return ps_hf_config_passes_over(key) ? ps_json_skip(&r->json) : read_unknown(r, key);
}

/* After its brace. */
static ps_status read_object(reader *r, object which)
{
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(&r->json, &token, &st)) {
        char key[64];
        (void)snprintf(key, sizeof key, "%s", (const char *)token.text.data);
        if (strlen((const char *)token.text.data) != token.text.len)
            return ps_fail(PS_INVALID_ARGUMENT, "a key that begins with %s has a zero byte in it",
                           ps_conf_quote(key).text);
        st = which == OF_CONFIG ? read_key(r, key) : read_rope_key(r, key, which);
    }
    return st;
}

ps_status ps_hf_values_read(ps_slice json, ps_hf_values *out)
{
    reader r = {.values = out};
    ps_json_token token;
    ps_json_reader_init(&r.json, json);
    ps_status st = ps_json_expect(&r.json, PS_JSON_OBJECT, &token);
    if (!st)
        st = read_object(&r, OF_CONFIG);
    if (!st)
        st = ps_json_expect(&r.json, PS_JSON_END, &token);
    ps_json_reader_free(&r.json);
    return st;
}
