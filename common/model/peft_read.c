/* Happy path: the configuration's keys say how much each adapter counts; the tensors, which
 * products have one. It fails with the key or the tensor that psd does nothing with: an adapter
 * without it would be another one. */
#include "common/model/peft.h"

#include "common/arch/lora.h"
#include "common/base/mem.h"
#include "common/json/json.h"
#include "common/model/lm_layout.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MODULES_MAX = 4096 };

static const char prefix[] = "base_model.model.";

/* ---- the configuration ---- */

/* A module by the end of its name; of a list without numbers, 0. */
typedef struct word {
    char *name;
    double number;
} word;

typedef struct words {
    word *at;
    size_t n;
} words;

typedef struct config {
    double alpha, rank; /* rank 0: not said */
    bool rslora;
    words alphas, ranks, targets;
    bool any_rank, any_target; /* patterns of ranks; targets that are no list of names */
} config;

static void free_words(words *w)
{
    for (size_t i = 0; i < w->n; i++)
        ps_free(&w->at[i].name);
    ps_free(&w->at);
}

static void free_config(config *c)
{
    free_words(&c->alphas);
    free_words(&c->ranks);
    free_words(&c->targets);
}

static ps_status fail_at(const char *key, const char *why)
{
    return ps_fail(PS_INVALID_ARGUMENT, PS_PEFT_CONFIG ": %s: %s", key, why);
}

/* Patterns are Python's; plain names, which is what they nearly always are, need none of it. */
static ps_status add_word(const char *key, const ps_json_token *name, words *w)
{
    const char *text = (const char *)name->text.data;
    size_t plain = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.");
    if (!name->text.len || plain != name->text.len)
        return ps_fail(PS_INVALID_ARGUMENT,
                       PS_PEFT_CONFIG ": %s: '%.60s' is a pattern; psd reads names of modules", key,
                       text);
    if (w->n == MODULES_MAX)
        return fail_at(key, "it names too many modules");
    w->at = ps_realloc(w->at, (w->n + 1) * sizeof *w->at);
    w->at[w->n++] = (word){.name = ps_strdup(text)};
    return PS_OK;
}

static ps_status take_number(const char *key, ps_json_reader *r, double *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && (token.kind != PS_JSON_NUMBER || !(token.number > 0 && token.number <= 1e6)))
        st = fail_at(key, "it must be a number from 0 to 1000000");
    *out = st ? 0 : token.number;
    return st;
}

static ps_status take_patterns(const char *key, ps_json_reader *r, words *out)
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

static ps_status take_type(config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    bool lora = !st && token.kind == PS_JSON_STRING && ps_slice_is(token.text, "LORA");
    return st || lora ? st : fail_at(key, "it is no adapter of type LORA");
}

static ps_status take_alpha(config *c, const char *key, ps_json_reader *r)
{
    return take_number(key, r, &c->alpha);
}

static ps_status take_rank(config *c, const char *key, ps_json_reader *r)
{
    return take_number(key, r, &c->rank);
}

static ps_status take_rslora(config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    c->rslora = !st && token.kind == PS_JSON_TRUE;
    return st || c->rslora || token.kind == PS_JSON_FALSE ? st
                                                          : fail_at(key, "it is true or false");
}

static ps_status take_alphas(config *c, const char *key, ps_json_reader *r)
{
    return take_patterns(key, r, &c->alphas);
}

static ps_status take_ranks(config *c, const char *key, ps_json_reader *r)
{
    return take_patterns(key, r, &c->ranks);
}

/* A list of names; a text is a pattern, or all-linear: then the tensors alone say it. */
static ps_status take_targets(config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (st || token.kind == PS_JSON_STRING || token.kind == PS_JSON_NULL) {
        c->any_target = true;
        return st;
    }
    if (token.kind != PS_JSON_ARRAY)
        return fail_at(key, "it must be a list of modules");
    while (!(st = ps_json_next(r, &token)) && token.kind == PS_JSON_STRING)
        if ((st = add_word(key, &token, &c->targets)))
            return st;
    return st || token.kind == PS_JSON_ARRAY_END ? st : fail_at(key, "it must be a list of texts");
}

static ps_status take_bias(config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    bool none = !st && token.kind == PS_JSON_STRING && ps_slice_is(token.text, "none");
    return st || none ? st : fail_at(key, "biases that were trained beside it are not read");
}

/* Some ways to begin an adapter change the model that it stands beside. */
static ps_status take_start(config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    bool usual = !st && (token.kind != PS_JSON_STRING || ps_slice_is(token.text, "gaussian") ||
                         ps_slice_is(token.text, "eva"));
    return st || usual
               ? st
               : ps_fail(PS_INVALID_ARGUMENT,
                         PS_PEFT_CONFIG ": %s: '%.40s' changes the model beside the adapter; "
                                        "convert it (path_initial_model_for_weight_conversion)",
                         key, (const char *)token.text.data);
}

static ps_status pass_over(config *c, const char *key, ps_json_reader *r)
{
    return ps_json_skip(r);
}

/* What is not in the rows says something only when it says anything. */
static ps_status take_nothing(config *c, const char *key, ps_json_reader *r)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    bool nothing = token.kind == PS_JSON_NULL || token.kind == PS_JSON_FALSE ||
                   (token.kind == PS_JSON_STRING && !token.text.len);
    if (!st && (token.kind == PS_JSON_OBJECT || token.kind == PS_JSON_ARRAY)) {
        st = ps_json_next(r, &token);
        nothing = token.kind == PS_JSON_OBJECT_END || token.kind == PS_JSON_ARRAY_END;
    }
    return st || nothing ? st : fail_at(key, "psd does not know what it asks for");
}

/* Of PEFT 0.21; what is passed over is about training, or said by the tensors. */
static const struct row {
    const char *key;
    ps_status (*take)(config *c, const char *key, ps_json_reader *r);
} rows[] = {
    {"peft_type", take_type},
    {"r", take_rank},
    {"lora_alpha", take_alpha},
    {"use_rslora", take_rslora},
    {"alpha_pattern", take_alphas},
    {"rank_pattern", take_ranks},
    {"target_modules", take_targets},
    {"bias", take_bias},
    {"init_lora_weights", take_start},
    {"auto_mapping", pass_over},
    {"base_model_name_or_path", pass_over},
    {"corda_config", pass_over},
    {"eva_config", pass_over},
    {"exclude_modules", pass_over},
    {"fan_in_fan_out", pass_over},
    {"inference_mode", pass_over},
    {"layers_pattern", pass_over},
    {"layers_to_transform", pass_over},
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

static ps_status take_member(config *c, const char *key, ps_json_reader *r)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].key, key))
            return rows[i].take(c, key, r);
    return take_nothing(c, key, r);
}

static ps_status read_config(ps_slice json, config *c)
{
    ps_json_reader r;
    ps_json_token token;
    bool typed = false;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &token);
    while (ps_json_member(&r, &token, &st)) {
        char *key = ps_asprintf("%.60s", (const char *)token.text.data);
        typed |= !strcmp(key, "peft_type");
        st = take_member(c, key, &r);
        ps_free(&key);
        if (st)
            break;
    }
    ps_json_reader_free(&r);
    if (st == PS_CORRUPT)
        return ps_fail(PS_INVALID_ARGUMENT, PS_PEFT_CONFIG ": %s", ps_error_message());
    if (!st && (!typed || !(c->alpha > 0)))
        st = fail_at(typed ? "lora_alpha" : "peft_type", "the key is missing");
    return st;
}

/* ---- the tensors ---- */

/* PEFT's: the name, or its end behind a dot. */
static const word *find_word(const words *w, const char *module)
{
    size_t n = strlen(module);
    for (size_t i = 0; i < w->n; i++) {
        size_t len = strlen(w->at[i].name);
        if (len <= n && !strcmp(module + n - len, w->at[i].name) &&
            (len == n || module[n - len - 1] == '.'))
            return &w->at[i];
    }
    return NULL;
}

/* SIZE_MAX: there is none. */
static size_t find_tensor(const ps_spec_model *model, const ps_safetensors *file,
                          const ps_lm_tensor *beside, ps_lora_half half)
{
    char own[PS_LM_NAME], name[PS_PEFT_NAME];
    if (!ps_lora_name(beside->name, half, own))
        return SIZE_MAX;
    ps_peft_name(model, own, name);
    const ps_safetensors_tensor *found = ps_safetensors_find(file, name);
    return found ? (size_t)(found - file->tensors) : SIZE_MAX;
}

static ps_status fail_shape(const ps_safetensors_tensor *t, const char *want)
{
    return ps_fail(PS_INVALID_ARGUMENT, PS_PEFT_FILE ": tensor %s does not fit: %s", t->name, want);
}

static ps_status check_shapes(const ps_safetensors_tensor *a, const ps_safetensors_tensor *b,
                              const ps_lm_tensor *beside, const config *c)
{
    if (a->n_dims != 2 || a->shape[1] != ps_lora_inputs(beside))
        return fail_shape(a, "the product beside it takes another number of inputs");
    if (b->n_dims != 2 || b->shape[0] != ps_lora_outputs(beside))
        return fail_shape(b, "the product beside it gives another number of outputs");
    if (a->shape[0] != b->shape[1] || !a->shape[0] || a->shape[0] > PS_LORA_RANK_MAX)
        return fail_shape(b, "its rank is not that of lora_A");
    bool same = !(c->rank > 0) || c->ranks.n || (double)a->shape[0] == c->rank;
    return same ? PS_OK : fail_shape(a, "its rank is not r of " PS_PEFT_CONFIG);
}

static ps_status read_pair(const ps_spec_model *model, const ps_safetensors *file,
                           const ps_lm_tensor *beside, const config *c, ps_peft_pair *out)
{
    char name[PS_PEFT_NAME];
    const ps_safetensors_tensor *a = &file->tensors[out->a], *b = &file->tensors[out->b];
    ps_status st = check_shapes(a, b, beside, c);
    if (st)
        return st;
    ps_peft_name(model, beside->name, name);
    char *module = ps_strdup(name + sizeof prefix - 1);
    module[ps_lora_module(module)] = '\0';
    const word *own = find_word(&c->alphas, module);
    double rank = (double)a->shape[0], alpha = own ? own->number : c->alpha;
    out->beside = *beside;
    out->rank = a->shape[0];
    out->scale = alpha / (c->rslora ? sqrt(rank) : rank);
    if (!c->any_target && !find_word(&c->targets, module))
        st = ps_fail(PS_INVALID_ARGUMENT,
                     PS_PEFT_CONFIG ": target_modules does not name %s, of which " PS_PEFT_FILE
                                    " has an adapter",
                     module);
    ps_free(&module);
    return st;
}

/* Which tensor has no product? */
static ps_status check_all(const ps_safetensors *file, const ps_peft_pair *pairs, size_t n)
{
    for (size_t i = 0; i < file->n_tensors; i++) {
        size_t k = 0;
        while (k < n && pairs[k].a != i && pairs[k].b != i)
            k++;
        if (k == n)
            return ps_fail(PS_INVALID_ARGUMENT,
                           PS_PEFT_FILE ": tensor %s is beside no product of the model's blocks",
                           file->tensors[i].name);
    }
    return n ? PS_OK : ps_fail(PS_INVALID_ARGUMENT, PS_PEFT_FILE " has no tensors");
}

static ps_status read_pairs(const ps_spec_model *model, const ps_safetensors *file, const config *c,
                            ps_lm_tensor *layout, size_t n_layout, ps_peft_pair *out, size_t *n)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < n_layout; i++) {
        const ps_lm_tensor *t = &layout[i];
        if (!ps_lora_means(t, "all-linear"))
            continue;
        ps_peft_pair *p = &out[*n];
        p->a = find_tensor(model, file, t, PS_LORA_A);
        p->b = find_tensor(model, file, t, PS_LORA_B);
        if (p->a == SIZE_MAX && p->b == SIZE_MAX)
            continue;
        if (p->a == SIZE_MAX || p->b == SIZE_MAX)
            return ps_fail(PS_INVALID_ARGUMENT, PS_PEFT_FILE ": %s has one half of an adapter",
                           t->name);
        st = read_pair(model, file, t, c, p);
        *n += !st;
    }
    return st ? st : check_all(file, out, *n);
}

ps_status ps_peft_read(const ps_spec_model *model, ps_slice json, const ps_safetensors *file,
                       ps_peft_pair **out, size_t *n)
{
    config c = {0};
    ps_lm_tensor *layout = NULL;
    size_t n_layout = 0;
    *n = 0;
    ps_status st = read_config(json, &c);
    ps_lm_layout(model, &layout, &n_layout);
    *out = ps_alloc_array(n_layout + 1, sizeof **out);
    if (!st)
        st = read_pairs(model, file, &c, layout, n_layout, *out, n);
    free_config(&c);
    ps_free(&layout);
    if (st)
        ps_free(out);
    return st;
}
