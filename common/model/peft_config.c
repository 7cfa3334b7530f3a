/* Happy path: each key is one of a row, and its value is kept or passed over. It fails with the key
 * that psd does nothing with: an adapter without it would be another one. */
#include "common/model/peft_config.h"

#include "common/arch/layout.h"
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/model/peft.h"

#include <string.h>

enum { MODULES_MAX = 4096 };

/* What anything that LoRA alone is not can be turned into. */
#define MERGE \
    "; merge it in PEFT (merge_and_unload), and import the folder that save_pretrained writes"

static void free_words(ps_peft_words *w)
{
    for (size_t i = 0; i < w->n; i++)
        ps_free(&w->at[i].name);
    ps_free(&w->at);
}

void ps_peft_config_free(ps_peft_config *c)
{
    free_words(&c->alphas);
    free_words(&c->ranks);
    free_words(&c->targets);
    free_words(&c->excluded);
    ps_free(&c->layers);
    ps_buf_free(&c->base);
    ps_buf_free(&c->pattern);
}

static ps_status fail_at(const char *key, const char *why)
{
    return ps_fail(PS_INVALID_ARGUMENT, PS_PEFT_CONFIG ": %s: %s", key, why);
}

/* Patterns are Python's; plain names, which is what they nearly always are, need none of it. */
static ps_status add_word(const char *key, const ps_json_token *name, ps_peft_words *w)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    const char *text = (const char *)name->text.data;
    size_t whole = *text == '^', n = strspn(text + whole, plain);
    if (!n || whole + n != name->text.len)
        return ps_fail(PS_INVALID_ARGUMENT,
                       PS_PEFT_CONFIG ": %s: '%.60s' is a pattern; write the names of the modules "
                                      "that it means in its place, each with its value",
                       key, text);
    if (w->n == MODULES_MAX)
        return fail_at(key, "it names too many modules");
    w->at = ps_realloc(w->at, (w->n + 1) * sizeof *w->at);
    w->at[w->n++] = (ps_peft_word){.name = ps_strdup(text)};
    return PS_OK;
}

static ps_status take_number(const char *key, ps_json_reader *r, double *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && (token.kind != PS_JSON_NUMBER || !(token.number > 0 && token.number <= 1e6)))
        st = fail_at(key, "it must be a number above 0, at most 1000000");
    *out = st ? 0 : token.number;
    return st;
}

static ps_status take_patterns(const char *key, ps_json_reader *r, ps_peft_words *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind == PS_JSON_NULL)
        return PS_OK;
    if (!st && token.kind != PS_JSON_OBJECT)
        st = fail_at(key, "it must be an object of modules and numbers");
    while (!st && ps_json_member(r, &token, &st)) {
        st = add_word(key, &token, out);
        if (!st)
            st = take_number(key, r, &out->at[out->n - 1].number);
    }
    return st;
}

/* A list of names; *any: a text, which is a pattern. null leaves both as they are. */
static ps_status take_names(const char *key, ps_json_reader *r, ps_peft_words *out, bool *any,
                            ps_buf *pattern)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    *any = token.kind == PS_JSON_STRING;
    if (*any && pattern)
        ps_buf_append(pattern, token.text.data, token.text.len);
    if (*any)
        return PS_OK;
    if (token.kind != PS_JSON_ARRAY)
        return fail_at(key, "it must be a list of modules");
    while (!(st = ps_json_next(r, &token)) && token.kind == PS_JSON_STRING)
        if ((st = add_word(key, &token, out)))
            return st;
    return st || token.kind == PS_JSON_ARRAY_END ? st : fail_at(key, "it must be a list of texts");
}

/* ---- a function a key ---- */

static ps_status take_type(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    return ps_json_skip(r); /* it was looked at before all others */
}

static ps_status take_base(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind == PS_JSON_STRING)
        ps_buf_append(&c->base, token.text.data, token.text.len);
    return st || token.kind == PS_JSON_STRING || token.kind == PS_JSON_NULL
               ? st
               : fail_at(key, "it must be a text");
}

static ps_status take_alpha(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    return take_number(key, r, &c->alpha);
}

static ps_status take_rank(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    return take_number(key, r, &c->rank);
}

static ps_status take_rslora(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    c->rslora = !st && token.kind == PS_JSON_TRUE;
    return st || c->rslora || token.kind == PS_JSON_FALSE ? st
                                                          : fail_at(key, "it is true or false");
}

static ps_status take_alphas(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    return take_patterns(key, r, &c->alphas);
}

static ps_status take_ranks(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    return take_patterns(key, r, &c->ranks);
}

static ps_status take_targets(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    return take_names(key, r, &c->targets, &c->any_target, &c->pattern);
}

static ps_status take_excluded(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    return take_names(key, r, &c->excluded, &c->any_excluded, NULL);
}

static ps_status add_layer(ps_peft_config *c, const char *key, const ps_json_token *token)
{
    if (token->kind != PS_JSON_NUMBER || !token->is_u64 || c->n_layers == MODULES_MAX)
        return fail_at(key, "it must be a block's number or a list of them");
    c->layers = ps_realloc(c->layers, (c->n_layers + 1) * sizeof *c->layers);
    c->layers[c->n_layers++] = token->u64;
    return PS_OK;
}

static ps_status take_layers(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    if (token.kind != PS_JSON_ARRAY)
        return add_layer(c, key, &token);
    while (!(st = ps_json_next(r, &token)) && token.kind != PS_JSON_ARRAY_END)
        if ((st = add_layer(c, key, &token)))
            return st;
    return st;
}

static ps_status take_bias(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    bool none = !st && token.kind == PS_JSON_STRING && ps_slice_is(token.text, "none");
    return st || none ? st : fail_at(key, "biases were trained beside it, and are not read" MERGE);
}

/* Some ways to begin an adapter change the model that it stands beside. */
static ps_status take_start(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    bool usual = !st && (token.kind != PS_JSON_STRING || ps_slice_is(token.text, "gaussian") ||
                         ps_slice_is(token.text, "eva") || ps_slice_is(token.text, "orthogonal"));
    return st || usual
               ? st
               : ps_fail(PS_INVALID_ARGUMENT,
                         PS_PEFT_CONFIG ": %s: '%.40s' changes the model beside the adapter; "
                                        "convert it (path_initial_model_for_weight_conversion)",
                         key, (const char *)token.text.data);
}

static ps_status pass_over(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    return ps_json_skip(r);
}

static ps_status read_nothing(ps_json_reader *r, bool *nothing)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    *nothing = token.kind == PS_JSON_NULL || token.kind == PS_JSON_FALSE ||
               (token.kind == PS_JSON_STRING && !token.text.len);
    if (!st && (token.kind == PS_JSON_OBJECT || token.kind == PS_JSON_ARRAY)) {
        st = ps_json_next(r, &token);
        *nothing = token.kind == PS_JSON_OBJECT_END || token.kind == PS_JSON_ARRAY_END;
    }
    return st;
}

/* What is more than an adapter, where it is asked for. */
static const struct more {
    const char *key, *why;
} more[] = {
    {"use_dora", "DoRA scales the weights as well, which psd does not" MERGE},
    {"modules_to_save", "whole modules were trained beside it, and are not read" MERGE},
    {"lora_bias", "its adapters have biases, which are not read" MERGE},
    {"layer_replication", "its model has blocks more than once, which psd's do not" MERGE},
    {"target_parameters", "parameters by name have adapters; psd has them beside modules" MERGE},
    {"trainable_token_indices", "tokens' rows were trained beside it, and are not read" MERGE},
};

/* What is not in the rows says something only when it says anything. */
static ps_status take_nothing(const char *key, ps_json_reader *r)
{
    bool nothing = false;
    ps_status st = read_nothing(r, &nothing);
    if (st || nothing)
        return st;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (!strcmp(more[i].key, key))
            return fail_at(key, more[i].why);
    return fail_at(key, "psd does not know what it asks for" MERGE);
}

/* Of PEFT 0.21; what is passed over is about training, or said by the tensors. PEFT itself takes
 * fan_in_fan_out from the modules, whatever it says here. */
static const struct row {
    const char *key;
    ps_status (*take)(ps_peft_config *c, const char *key, ps_json_reader *r);
} rows[] = {
    {"peft_type", take_type},
    {"base_model_name_or_path", take_base},
    {"r", take_rank},
    {"lora_alpha", take_alpha},
    {"use_rslora", take_rslora},
    {"alpha_pattern", take_alphas},
    {"rank_pattern", take_ranks},
    {"target_modules", take_targets},
    {"exclude_modules", take_excluded},
    {"layers_to_transform", take_layers},
    {"bias", take_bias},
    {"init_lora_weights", take_start},
    {"auto_mapping", pass_over},
    {"corda_config", pass_over},
    {"eva_config", pass_over},
    {"fan_in_fan_out", pass_over},
    {"inference_mode", pass_over},
    {"layers_pattern", pass_over},
    {"loftq_config", pass_over},
    {"lora_dropout", pass_over},
    {"lora_ga_config", pass_over},
    {"megatron_core", pass_over},
    {"peft_version", pass_over},
    {"qalora_group_size", pass_over},
    {"revision", pass_over},
    {"runtime_config", pass_over},
    {"task_type", pass_over},
};

static ps_status take_member(ps_peft_config *c, const char *key, ps_json_reader *r)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].key, key))
            return rows[i].take(c, key, r);
    return take_nothing(key, r);
}

static ps_status check_type(const ps_json_token *type)
{
    if (type->kind == PS_JSON_STRING && ps_slice_is(type->text, "LORA"))
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   PS_PEFT_CONFIG ": peft_type: it is no adapter of type LORA, but %s%.40s" MERGE,
                   type->kind == PS_JSON_STRING ? "" : "no text",
                   type->kind == PS_JSON_STRING ? (const char *)type->text.data : "");
}

/* Before all others, for those of another type have other keys. */
static ps_status read_type(ps_slice json)
{
    ps_json_reader r;
    ps_json_token token;
    bool typed = false;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (!typed && ps_json_member(&r, &token, &st)) {
        typed = ps_slice_is(token.text, "peft_type");
        st = typed ? ps_json_next(&r, &token) : ps_json_skip(&r);
        if (!st && typed)
            st = check_type(&token);
    }
    ps_json_reader_free(&r);
    return st || typed ? st : fail_at("peft_type", "the key is missing; is it an adapter of PEFT?");
}

static ps_status read_members(ps_slice json, ps_peft_config *c)
{
    ps_json_reader r;
    ps_json_token token;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        char *key = ps_asprintf("%.60s", (const char *)token.text.data);
        st = take_member(c, key, &r);
        ps_free(&key);
    }
    ps_json_reader_free(&r);
    return st;
}

ps_status ps_peft_config_read(ps_slice json, ps_peft_config *out)
{
    *out = (ps_peft_config){.any_target = true};
    ps_status st = read_type(json);
    if (!st)
        st = read_members(json, out);
    if (st == PS_CORRUPT)
        return ps_fail(PS_INVALID_ARGUMENT, PS_PEFT_CONFIG ": %s", ps_error_message());
    return st || out->alpha > 0 ? st : fail_at("lora_alpha", "the key is missing");
}

/* ---- which modules ---- */

static bool means(const char *word, const char *module)
{
    size_t n = strlen(module), len = strlen(word);
    if (*word == '^')
        return !strcmp(word + 1, module);
    return len <= n && !strcmp(module + n - len, word) && (len == n || module[n - len - 1] == '.');
}

const ps_peft_word *ps_peft_words_find(const ps_peft_words *words, const char *module)
{
    for (size_t i = 0; i < words->n; i++)
        if (means(words->at[i].name, module))
            return &words->at[i];
    return NULL;
}

static bool in_layers(const ps_peft_config *c, const char *module)
{
    size_t block = 0, i = 0;
    if (!c->n_layers)
        return true;
    bool in_block = ps_lm_block_of(module, &block);
    while (i < c->n_layers && c->layers[i] != block)
        i++;
    return in_block && i < c->n_layers;
}

bool ps_peft_config_names(const ps_peft_config *c, const char *module)
{
    if (ps_peft_words_find(&c->excluded, module))
        return false;
    /* beside a pattern PEFT does not look at layers_to_transform */
    return c->any_target || (ps_peft_words_find(&c->targets, module) && in_layers(c, module));
}
