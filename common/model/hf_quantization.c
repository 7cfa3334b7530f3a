/* Happy path: quant_method is looked for, then all keys are read by the table of that method: each
 * has one of a few words, or says nothing about numbers; groups of compressed-tensors become the
 * layouts of their formats. It fails on a key or word that is in no table, and on a group whose
 * weights are not those of its format. */
#include "common/model/hf_quantization.h"

#include "common/model/hf_methods.h"
#include "common/model/hf_rules.h"

#include <stdio.h>
#include <string.h>

const ps_hf_beside ps_hf_besides[] = {{"quantize_config.json", "gptq", NULL},
                                      {"quant_config.json", "awq", NULL},
                                      {"hf_quant_config.json", NULL, "ModelOpt"},
                                      {NULL, NULL, NULL}};

enum { WORD = PS_HF_WORD, GROUPS = 32 };

/* A group of compressed-tensors: its words by PS_HF_W_FORMAT …; "": not there. */
typedef char group[PS_HF_FIELDS - PS_HF_OF_GROUP][WORD];

typedef struct reader {
    ps_json_reader json;
    ps_hf_quantization *out;
    char format[WORD];
    group groups[GROUPS];
    size_t n; /* groups that are read */
} reader;

/* What weights of a format are: bits between spaces. */
static const struct {
    const char *format, *type, *bits, *strategy, *size;
    const ps_packed_row *row, *zeros; /* zeros: of those that are not symmetric */
} formats[] = {
    {"pack-quantized", "int", " 4 8 ", " group channel ", NULL, &ps_packed_ct, &ps_packed_ct_zeros},
    {"int-quantized", "int", " 8 ", " group channel ", NULL, &ps_packed_int8, NULL},
    {"naive-quantized", "int", " 8 ", " group channel ", NULL, &ps_packed_int8, NULL},
    {"float-quantized", "float", " 8 ", " channel ", NULL, &ps_packed_fp8, NULL},
    {"naive-quantized", "float", " 8 ", " channel ", NULL, &ps_packed_fp8, NULL},
    {"mxfp4-pack-quantized", "float", " 4 ", " group ", " 32 ", &ps_packed_mxfp4, NULL},
};

/* ---- values ---- */

/* A scalar as a word; what is longer is none of ours. */
static void word_of(const ps_json_token *token, char out[WORD])
{
    static const char *const words[] = {
        [PS_JSON_TRUE] = "true", [PS_JSON_FALSE] = "false", [PS_JSON_NULL] = "null"};
    bool text = token->kind == PS_JSON_STRING || token->kind == PS_JSON_NUMBER;
    bool named =
        token->kind == PS_JSON_TRUE || token->kind == PS_JSON_FALSE || token->kind == PS_JSON_NULL;
    (void)snprintf(out, WORD, "%s",
                   text    ? (const char *)token->text.data
                   : named ? words[token->kind]
                           : "an object or a list");
}

static bool is_one_of(const char *list, const char *word)
{
    char spaced[WORD + 2];
    (void)snprintf(spaced, sizeof spaced, " %s ", word);
    return strstr(list, spaced) && !strpbrk(word, " ");
}

static ps_status check_word(const ps_hf_rule *r, const char *word)
{
    if (is_one_of(r->only, word))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "quantization_config: key '%s' is '%s', which psd does not read; allowed:%s",
                   r->key, word, r->only);
}

static void say(reader *r, ps_hf_said what, const char *word)
{
    (void)snprintf(r->out->said[what], WORD, "%s", word);
}

static void keep(reader *r, ps_hf_field f, const char *word)
{
    ps_hf_quantization *out = r->out;
    bool yes = !strcmp(word, "true");
    if (f == PS_HF_KEY_BITS)
        say(r, PS_HF_BITS, word);
    if (f == PS_HF_KEY_SYMMETRIC || f == PS_HF_ZERO_POINT) {
        out->symmetric = f == PS_HF_KEY_SYMMETRIC ? yes : !yes;
        say(r, PS_HF_SYMMETRIC, out->symmetric ? "true" : "false");
    }
    if (f == PS_HF_KEY_GROUP) {
        out->by_rows = !strcmp(word, "-1");
        say(r, PS_HF_GROUP, word);
    }
    if (f == PS_HF_KEY_CHECKPOINT) {
        out->plain_zeros = !strcmp(word, "gptq_v2");
        say(r, PS_HF_CHECKPOINT, word);
    }
    if (f == PS_HF_KEY_FORMAT)
        (void)snprintf(r->format, WORD, "%s", word);
    if (f >= PS_HF_OF_GROUP && strcmp(word, "null") != 0)
        (void)snprintf(r->groups[r->n][f - PS_HF_OF_GROUP], WORD, "%s", word);
}

/* Two keys, of older and of later tools, say how zeros stand. */
static ps_status check_checkpoint(const reader *r, const ps_hf_rule *by, const char *word)
{
    const char *said = r->out->said[PS_HF_CHECKPOINT];
    if (!*said || !strcmp(said, word))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "quantization_config: key '%s' is '%s', and 'checkpoint_format' or 'format' "
                   "before it '%s'",
                   by->key, word, said);
}

static ps_status read_empty(reader *r, const ps_hf_rule *by)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    if (token.kind == PS_JSON_OBJECT)
        st = ps_json_next(&r->json, &token);
    if (!st && token.kind != PS_JSON_OBJECT_END)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "quantization_config: key '%s' says something, which psd does not read",
                     by->key);
    return st;
}

static ps_status read_object(reader *r, const ps_hf_rule *by, const ps_hf_rule *rules);

static ps_status read_each(reader *r, const ps_hf_rule *by)
{
    ps_json_token token;
    ps_status st = ps_json_expect(&r->json, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r->json, &token, &st)) {
        if (r->n == GROUPS)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "quantization_config: config_groups are more than %d", GROUPS);
        st = read_object(r, by, by->each);
        r->n++;
    }
    return st;
}

/* A scalar, or, where nothing of it is kept, anything. */
static ps_status read_word(reader *r, const ps_hf_rule *by)
{
    char word[WORD];
    ps_json_token token;
    if (!by->only && !by->field)
        return ps_json_skip(&r->json);
    ps_status st = ps_json_next(&r->json, &token);
    if (st)
        return st;
    word_of(&token, word);
    if (by->only)
        st = check_word(by, word);
    else if (token.kind == PS_JSON_OBJECT || token.kind == PS_JSON_ARRAY)
        st = ps_fail(PS_INVALID_ARGUMENT, "quantization_config: key '%s' is %s", by->key, word);
    if (!st && by->field == PS_HF_KEY_CHECKPOINT)
        st = check_checkpoint(r, by, word);
    if (!st)
        keep(r, by->field, word);
    return st;
}

static ps_status read_value(reader *r, const ps_hf_rule *by)
{
    if (by->inside)
        return read_object(r, by, by->inside);
    if (by->each)
        return read_each(r, by);
    return by->empty ? read_empty(r, by) : read_word(r, by);
}

static ps_status read_member(reader *r, const ps_hf_rule *rules, const char *key)
{
    while (rules->key && strcmp(rules->key, key) != 0)
        rules++;
    if (rules->key)
        return read_value(r, rules);
    return ps_fail(PS_INVALID_ARGUMENT,
                   "quantization_config: key '%.60s' is not known, and may change what the numbers "
                   "mean",
                   key);
}

static ps_status read_object(reader *r, const ps_hf_rule *by, const ps_hf_rule *rules)
{
    ps_json_token token;
    ps_status st = ps_json_next(&r->json, &token);
    if (st || (by->optional && token.kind == PS_JSON_NULL))
        return st;
    if (token.kind != PS_JSON_OBJECT)
        return ps_fail(PS_INVALID_ARGUMENT, "quantization_config: key '%s' is no object", by->key);
    if (by->field == PS_HF_A_TYPE) /* what it is when it does not say */
        keep(r, PS_HF_A_TYPE, "int");
    while (ps_json_member(&r->json, &token, &st)) {
        char key[64];
        (void)snprintf(key, sizeof key, "%s", (const char *)token.text.data);
        st = read_member(r, rules, key);
    }
    return st;
}

/* ---- groups ---- */

static const char *word_in(const reader *r, size_t i, ps_hf_field f)
{
    return r->groups[i][f - PS_HF_OF_GROUP];
}

static void add_row(ps_hf_quantization *out, const ps_packed_row *row)
{
    size_t i = 0;
    while (out->rows[i] && out->rows[i] != row)
        i++;
    out->rows[i] = row;
}

/* A group of a format that is its own, or that of all. */
static ps_status take_group(reader *r, size_t i)
{
    const char *own = word_in(r, i, PS_HF_W_FORMAT), *format = *own ? own : r->format;
    bool zeros = !strcmp(word_in(r, i, PS_HF_W_SYMMETRIC), "false");
    for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
        const ps_packed_row *row = zeros ? formats[k].zeros : formats[k].row;
        if (row && !strcmp(formats[k].format, format) &&
            !strcmp(formats[k].type, word_in(r, i, PS_HF_W_TYPE)) &&
            is_one_of(formats[k].bits, word_in(r, i, PS_HF_W_BITS)) &&
            is_one_of(formats[k].strategy, word_in(r, i, PS_HF_W_STRATEGY)) &&
            (!formats[k].size || is_one_of(formats[k].size, word_in(r, i, PS_HF_W_SIZE)))) {
            add_row(r->out, row);
            return PS_OK;
        }
    }
    return ps_fail(PS_INVALID_ARGUMENT,
                   "quantization_config: key 'format' and keys of 'weights' say different things: "
                   "format '%s', type '%s', num_bits '%s', strategy '%s', symmetric '%s'",
                   format, word_in(r, i, PS_HF_W_TYPE), word_in(r, i, PS_HF_W_BITS),
                   word_in(r, i, PS_HF_W_STRATEGY), word_in(r, i, PS_HF_W_SYMMETRIC));
}

static ps_status take_groups(reader *r)
{
    ps_status st = PS_OK;
    size_t by_rows = 0;
    if (!r->n)
        st = ps_fail(PS_INVALID_ARGUMENT, "quantization_config: config_groups has no group");
    for (size_t i = 0; !st && i < r->n; i++) {
        const char *activations = word_in(r, i, PS_HF_A_TYPE);
        st = take_group(r, i);
        by_rows += !strcmp(word_in(r, i, PS_HF_W_STRATEGY), "channel");
        if (*activations)
            r->out->activations = !strcmp(activations, "int") ? "int8" : "fp8";
    }
    r->out->by_rows = by_rows == r->n;
    r->out->mixed = by_rows && by_rows < r->n;
    return st;
}

/* ---- the whole ---- */

/* Before the value of the key, of the object that comes; false: there is none. */
static bool go_to(ps_json_reader *json, const char *key, ps_status *st)
{
    ps_json_token token;
    *st = ps_json_expect(json, PS_JSON_OBJECT, &token);
    while (ps_json_member(json, &token, st)) {
        if (!strcmp((const char *)token.text.data, key))
            return true;
        *st = ps_json_skip(json);
    }
    return false;
}

/* Behind its value, to the end: a second one, which other readers would take, is refused. */
static ps_status check_once(ps_json_reader *json, const char *key)
{
    ps_json_token token;
    ps_status st = PS_OK;
    while (ps_json_member(json, &token, &st)) {
        if (!strcmp((const char *)token.text.data, key))
            return ps_fail(PS_INVALID_ARGUMENT, "key '%s' is there twice", key);
        st = ps_json_skip(json);
    }
    return st;
}

/* The word of quant_method, of the object that comes. */
static ps_status read_method(ps_json_reader *json, const char *otherwise, char word[WORD])
{
    ps_json_token token;
    ps_status st;
    (void)snprintf(word, WORD, "%s", otherwise);
    if (go_to(json, "quant_method", &st) && !(st = ps_json_next(json, &token)))
        word_of(&token, word);
    return st;
}

/* The keys, by the table of their method. */
static ps_status read_keys(reader *r, const char *method)
{
    static const ps_hf_rule whole = {.key = "quantization_config"};
    const ps_hf_method *m = ps_hf_methods;
    while (m->name && strcmp(m->name, method) != 0)
        m++;
    if (!m->name)
        return ps_hf_methods_refuse(method, PS_HF_METHODS);
    say(r, PS_HF_METHOD, method);
    r->out->rows[0] = m->row;
    ps_status st = read_object(r, &whole, m->rules);
    return st || m->row ? st : take_groups(r);
}

/* inside: the key whose value they are; NULL: they are the whole. */
static ps_status parse(ps_slice bytes, const char *inside, const char *otherwise,
                       ps_hf_quantization *out)
{
    char method[WORD] = "";
    reader r = {.out = out};
    ps_status st = PS_OK;
    *out = (ps_hf_quantization){.symmetric = true};
    ps_json_reader_init(&r.json, bytes);
    bool there = !inside || go_to(&r.json, inside, &st);
    if (there)
        st = read_method(&r.json, otherwise, method);
    ps_json_reader_free(&r.json);
    if (!st && there) {
        ps_json_reader_init(&r.json, bytes);
        if (!inside || go_to(&r.json, inside, &st))
            st = read_keys(&r, method);
        if (!st && inside)
            st = check_once(&r.json, inside);
        ps_json_reader_free(&r.json);
    }
    return st == PS_CORRUPT ? PS_INVALID_ARGUMENT : st;
}

ps_status ps_hf_quantization_parse(ps_slice bytes, ps_hf_quantization *out)
{
    return parse(bytes, "quantization_config", "", out);
}

ps_status ps_hf_quantization_parse_file(ps_slice bytes, const char *method, ps_hf_quantization *out)
{
    return parse(bytes, NULL, method, out);
}

ps_status ps_hf_quantization_join(ps_hf_quantization *a, const ps_hf_quantization *b)
{
    static const char *const keys[PS_HF_SAID] = {[PS_HF_METHOD] = "quant_method",
                                                 [PS_HF_BITS] = "bits",
                                                 [PS_HF_GROUP] = "group_size",
                                                 [PS_HF_SYMMETRIC] = "sym",
                                                 [PS_HF_CHECKPOINT] = "checkpoint_format"};
    for (size_t i = 0; i < PS_HF_SAID; i++)
        if (*a->said[i] && *b->said[i] && strcmp(a->said[i], b->said[i]) != 0)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "key '%s' is '%s' in quantization_config of config.json, and '%s' here",
                           keys[i], a->said[i], b->said[i]);
    /* what the first is silent about, the second says */
    if (!*a->said[PS_HF_CHECKPOINT])
        a->plain_zeros = b->plain_zeros;
    if (!*a->said[PS_HF_SYMMETRIC])
        a->symmetric = b->symmetric;
    if (!*a->said[PS_HF_GROUP])
        a->by_rows = b->by_rows;
    for (size_t i = 0; i < PS_HF_SAID; i++)
        if (!*a->said[i])
            memcpy(a->said[i], b->said[i], PS_HF_WORD);
    return PS_OK;
}
