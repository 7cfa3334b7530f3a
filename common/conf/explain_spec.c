/* The section's keys, and what is read out of it. Rules across keys are in explain_check.c. */
#include "common/conf/explain_spec.h"

#include "common/base/require.h"
#include "common/conf/write.h"
#include "common/json/json.h"

#include <stdio.h>
#include <string.h>

/* In the order of the enums of the header. */
static const char *const show_words[] = {"usual", "true", "false", NULL};
static const char *const score_words[] = {"logit", "log_probability", "probability", "loss", NULL};
static const char *const target_words[] = {"predicted", "label", NULL};
static const char *const replace_words[] = {"mean", "zero", "resample", NULL};
static const char *const player_words[] = {"blocks", "layers", "heads", NULL};
static const char *const target_names[] = {"predicted", "label", "class", "difference"};
static const char *const baseline_words[] = {"zero", "mean", "usual", NULL};
static const char *const baseline_names[] = {"zero", "mean", "usual", "value", "token", "row"};

static const ps_conf_key rows_keys[] = {
    PS_CONF_INT("first", ps_spec_explain_rows, first, "0", 0, INT64_C(1) << 40),
    PS_CONF_INT("count", ps_spec_explain_rows, count, "0", 0, PS_EXPLAIN_ITEMS_MAX),
    PS_CONF_INT("sample", ps_spec_explain_rows, sample, "0", 0, PS_EXPLAIN_ITEMS_MAX),
    PS_CONF_WORD("show", ps_spec_explain_rows, show, "usual", show_words),
    PS_CONF_END,
};

static const ps_conf_key target_keys[] = {
    PS_CONF_WORD("of", ps_spec_explain_target, of, "predicted", target_words),
    PS_CONF_INT("class", ps_spec_explain_target, number, "-1", -1, INT32_MAX),
    PS_CONF_INTS("difference", ps_spec_explain_target, difference, "[]", 0, 2, 0, INT32_MAX),
    PS_CONF_END,
};

static const ps_conf_key baseline_keys[] = {
    PS_CONF_WORD("of", ps_spec_explain_baseline, of, "usual", baseline_words),
    PS_CONF_REAL("value", ps_spec_explain_baseline, value, "0", -1e30, 1e30),
    PS_CONF_INT("token", ps_spec_explain_baseline, token, "0", 0, INT32_MAX),
    PS_CONF_INT("row", ps_spec_explain_baseline, row, "0", 0, INT64_C(1) << 40),
    PS_CONF_END,
};

static const ps_conf_key prompt_keys[] = {
    PS_CONF_INTS("tokens", ps_spec_explain_prompt, tokens, NULL, 1, 16000, 0, INT32_MAX),
    PS_CONF_END,
};

const ps_conf_key ps_spec_explain_features_keys[] = {
    PS_CONF_INTS("grid", ps_spec_explain_features, grid, "[]", 0, 2, 1, 4096),
    PS_CONF_INTS("shape", ps_spec_explain_features, shape, "[]", 0, 2, 1, 65536),
    PS_CONF_END,
};

const ps_conf_key ps_spec_explain_patch_keys[] = {
    PS_CONF_INTS("clean", ps_spec_explain_patch, clean, "[]", 0, 16000, 0, INT32_MAX),
    PS_CONF_INTS("corrupt", ps_spec_explain_patch, corrupt, "[]", 0, 16000, 0, INT32_MAX),
    PS_CONF_TEXTS("points", ps_spec_explain_patch, points, "[resid_pre, z, attn_out, mlp_out]", 1,
                  5, 1, 16),
    PS_CONF_INT("exact_top", ps_spec_explain_patch, exact_top, "10", 0, 65536),
    PS_CONF_END,
};

/* rate: what is not said is settled. */
const ps_conf_key ps_spec_explain_checkpoint_keys[] = {
    PS_CONF_TEXT("model", ps_spec_explain_checkpoint, model, NULL, 1, 64),
    PS_CONF_TEXT("version", ps_spec_explain_checkpoint, version, "", 0, 255),
    PS_CONF_REAL("rate", ps_spec_explain_checkpoint, rate, "1", 1e-12, 1e12),
    PS_CONF_END,
};

#define KEY_INT(key, ...)             PS_CONF_INT(#key, ps_spec_explain_method, key, __VA_ARGS__),
#define KEY_REAL(key, ...)            PS_CONF_REAL(#key, ps_spec_explain_method, key, __VA_ARGS__),
#define KEY_FLAG(key, ...)            PS_CONF_BOOL(#key, ps_spec_explain_method, key, __VA_ARGS__),
#define KEY_WORD(key, ...)            PS_CONF_WORD(#key, ps_spec_explain_method, key, __VA_ARGS__),
#define KEY_TEXT(key, ...)            PS_CONF_TEXT(#key, ps_spec_explain_method, key, __VA_ARGS__),
#define KEY_INTS(key, ...)            PS_CONF_INTS(#key, ps_spec_explain_method, key, __VA_ARGS__),
#define KEY_MAP(key, type_, its_keys) PS_CONF_MAP(#key, ps_spec_explain_method, key, its_keys),
#define KEY_MAPS(key, type_, its_keys, most_) \
    PS_CONF_MAPS(#key, ps_spec_explain_method, key, its_keys, 0, most_),

/* Whether a name is a method of its section is a rule of explain_check.c. */
static const ps_conf_key method_keys[] = {
    PS_CONF_TEXT("method", ps_spec_explain_method, method, NULL, 1, 64),
    PS_EXPLAIN_KEY_ROWS(KEY_INT, KEY_REAL, KEY_FLAG, KEY_WORD, KEY_TEXT, KEY_INTS, KEY_MAP,
                        KEY_MAPS) PS_CONF_END,
};

#define SECTION(name) \
    PS_CONF_MAPS(#name, ps_spec_explain, name, method_keys, 0, PS_EXPLAIN_METHODS_MAX),

const ps_conf_key ps_spec_explain_keys[] = {
    PS_CONF_MAP("rows", ps_spec_explain, rows, rows_keys),
    PS_CONF_MAPS("prompts", ps_spec_explain, prompts, prompt_keys, 0, PS_EXPLAIN_PROMPTS_MAX),
    PS_CONF_TEXT("compare_to", ps_spec_explain, compare_to, "", 0, 64),
    PS_CONF_MAP_SHORT("target", ps_spec_explain, target, target_keys),
    PS_CONF_WORD("score", ps_spec_explain, score, "logit", score_words),
    PS_CONF_MAP_SHORT("baseline", ps_spec_explain, baseline, baseline_keys),
    PS_EXPLAIN_SECTIONS(SECTION) PS_CONF_INT("batch", ps_spec_explain, batch, "0", 0, 1 << 16),
    PS_CONF_INT("seed", ps_spec_explain, seed, "1", 0, INT64_MAX),
    PS_CONF_END,
};

const ps_conf_schema ps_explain_schema = {.keys = ps_spec_explain_keys,
                                          .size = sizeof(ps_spec_explain)};

size_t ps_spec_explain_count(const ps_spec_explain *explain)
{
    size_t n = 0;
#define ADD(name) n += explain->n_##name;
    PS_EXPLAIN_SECTIONS(ADD)
#undef ADD
    return n;
}

const ps_spec_explain_method *ps_spec_explain_at(const ps_spec_explain *explain, size_t i)
{
#define TAKE(name)                \
    if (i < explain->n_##name)    \
        return &explain->name[i]; \
    i -= explain->n_##name;
    PS_EXPLAIN_SECTIONS(TAKE)
#undef TAKE
    PS_REQUIRE(false);
    return NULL;
}

const ps_explain_row *ps_spec_explain_row(const ps_spec_explain *explain, size_t i)
{
    return ps_explain_row_find(ps_spec_explain_at(explain, i)->method);
}

bool ps_spec_explain_of(const ps_spec_explain *explain, const ps_spec_explain_method *method,
                        size_t *out)
{
    const char *of = method->of ? method->of : "";
    for (*out = 0; *out < ps_spec_explain_count(explain); ++*out) {
        const ps_explain_row *row = ps_spec_explain_row(explain, *out);
        if (row->section == PS_EXPLAIN_SECTION_attributions && (!*of || !strcmp(row->name, of)))
            return true;
    }
    return false;
}

uint64_t ps_spec_explain_items(const ps_spec_explain *explain)
{
    if (explain->n_prompts)
        return explain->n_prompts;
    return (uint64_t)(explain->rows.count ? explain->rows.count : explain->rows.sample);
}

int64_t ps_spec_explain_longest(const ps_spec_explain *explain)
{
    size_t longest = 0;
    for (size_t i = 0; i < explain->n_prompts; i++)
        if (explain->prompts[i].n_tokens > longest)
            longest = explain->prompts[i].n_tokens;
    return (int64_t)longest;
}

int64_t ps_spec_explain_own_longest(const ps_spec_explain *explain, int64_t context_length)
{
    int64_t longest = 0;
    for (size_t i = 0; i < ps_spec_explain_count(explain); i++) {
        const ps_spec_explain_method *method = ps_spec_explain_at(explain, i);
        int64_t own =
            ps_explain_row_has(ps_spec_explain_row(explain, i), "length") ? method->length : 0;
        if (ps_explain_row_has(ps_spec_explain_row(explain, i), "patch"))
            own = (int64_t)method->patch.n_clean;
        if (own > longest)
            longest = own;
    }
    return longest < context_length ? longest : context_length;
}

bool ps_spec_explain_shows(const ps_spec_explain *explain)
{
    return explain->rows.show == PS_EXPLAIN_SHOW_YES ||
           (explain->rows.show == PS_EXPLAIN_SHOW_USUAL && explain->n_prompts);
}

static void write_arguments(const ps_conf_key *keys, const void *data, ps_json_writer *w)
{
    for (const ps_conf_key *key = keys; key->name; key++) {
        ps_buf value = PS_BUF_EMPTY;
        ps_json_key(w, key->name);
        if (key->type == PS_CONF_TYPE_WORD) {
            ps_json_string(
                w, key->words[*(const unsigned *)(const void *)((const char *)data + key->offset)]);
        } else if (key->type == PS_CONF_TYPE_MAP) {
            ps_json_object(w);
            write_arguments(key->keys, (const char *)data + key->offset, w);
            ps_json_object_end(w);
        } else if (key->type == PS_CONF_TYPE_MAPS) {
            const char *const *entries =
                (const char *const *)(const void *)((const char *)data + key->offset);
            ps_json_array(w);
            for (size_t i = 0; i < ps_conf_count(key, data); i++) {
                ps_json_object(w);
                write_arguments(key->keys, *entries + i * key->size, w);
                ps_json_object_end(w);
            }
            ps_json_array_end(w);
        } else {
            ps_conf_write(key, data, &value);
            ps_json_embed(w, ps_buf_cstr(&value));
        }
        ps_buf_free(&value);
    }
}

void ps_spec_explain_arguments(const ps_spec_explain_method *method, ps_buf *json)
{
    const ps_explain_row *row = ps_explain_row_find(method->method);
    ps_json_writer w = ps_json_writer_to(json);
    ps_json_object(&w);
    ps_json_put_string(&w, "method", method->method);
    for (const ps_conf_key *key = method_keys + 1; row && key->name; key++) {
        const ps_conf_key one[] = {*key, PS_CONF_END};
        if (ps_explain_row_has(row, key->name))
            write_arguments(one, method, &w);
    }
    ps_json_object_end(&w);
}

const char *ps_explain_score_name(unsigned score)
{
    return score <= PS_EXPLAIN_LOSS ? score_words[score] : "unknown";
}

const char *ps_explain_target_name(unsigned kind)
{
    return kind <= PS_EXPLAIN_DIFFERENCE ? target_names[kind] : "unknown";
}

const char *ps_explain_baseline_name(unsigned kind)
{
    return kind <= PS_EXPLAIN_ROW ? baseline_names[kind] : "unknown";
}

unsigned ps_explain_baseline_settled(const ps_spec_explain_baseline *baseline, bool language)
{
    if (baseline->kind != PS_EXPLAIN_USUAL)
        return baseline->kind;
    return language ? PS_EXPLAIN_MEAN : PS_EXPLAIN_ZERO;
}

/* ---- what is settled ---- */

static void settle_usual(ps_spec_explain_method *method, const ps_conf_doc *doc, const char *at)
{
    const ps_explain_row *row = ps_explain_row_find(method->method);
    for (const ps_explain_key *own = row ? row->keys : NULL; own && own->name; own++)
        for (const ps_conf_key *key = method_keys; own->usual != 0 && key->name; key++) {
            char path[128];
            (void)snprintf(path, sizeof path, "%s.%s", at, key->name);
            if (strcmp(key->name, own->name) != 0 || ps_conf_has(doc, path))
                continue;
            void *value = (char *)method + key->offset;
            PS_REQUIRE(key->type == PS_CONF_TYPE_INT || key->type == PS_CONF_TYPE_REAL);
            if (key->type == PS_CONF_TYPE_INT)
                *(int64_t *)value = (int64_t)own->usual;
            else
                *(double *)value = own->usual;
        }
}

static void settle_rates(ps_spec_explain_method *method, const ps_conf_doc *doc, const char *at)
{
    for (size_t i = 0; i < method->n_checkpoints; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s.checkpoints[%zu].rate", at, i);
        if (!ps_conf_has(doc, path))
            method->checkpoints[i].rate = method->rate;
    }
}

static void settle_section(const char *section, ps_spec_explain_method *methods, size_t n,
                           const ps_conf_doc *doc)
{
    for (size_t i = 0; i < n; i++) {
        char at[64];
        (void)snprintf(at, sizeof at, "explain.%s[%zu]", section, i);
        settle_usual(&methods[i], doc, at);
        settle_rates(&methods[i], doc, at);
    }
}

void ps_spec_explain_settle(ps_spec_explain *explain, const ps_conf_doc *doc)
{
    ps_spec_explain_target *target = &explain->target;
    ps_spec_explain_baseline *baseline = &explain->baseline;
    target->kind = target->n_difference  ? PS_EXPLAIN_DIFFERENCE
                   : target->number >= 0 ? PS_EXPLAIN_CLASS
                                         : target->of;
    baseline->kind = ps_conf_has(doc, "explain.baseline.value")   ? PS_EXPLAIN_VALUE
                     : ps_conf_has(doc, "explain.baseline.token") ? PS_EXPLAIN_TOKEN
                     : ps_conf_has(doc, "explain.baseline.row")   ? PS_EXPLAIN_ROW
                                                                  : baseline->of;
    bool range = explain->rows.count || ps_conf_has(doc, "explain.rows.first");
    if (range && !explain->rows.count)
        explain->rows.count = PS_EXPLAIN_ITEMS;
    if (!range && !explain->rows.sample)
        explain->rows.sample = PS_EXPLAIN_ITEMS;
#define SETTLE(name) settle_section(#name, explain->name, explain->n_##name, doc);
    PS_EXPLAIN_SECTIONS(SETTLE)
#undef SETTLE
}
