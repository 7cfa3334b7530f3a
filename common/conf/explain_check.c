/* Happy path: every entry is a method of its section with keys of its own, there are rows or
 * prompts for those that go by them, and the model has what is asked of it. The first rule that
 * does not hold is reported on the line of its key. */
#include "common/conf/explain_spec.h"
#include "common/conf/job_spec.h"
#include "common/conf/nearest.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* An entry, and where it stands. */
typedef struct entry {
    const ps_spec_explain_method *method;
    ps_explain_section section;
    char at[64]; /* "explain.attributions[0]" */
} entry;

static entry entry_at(const ps_spec_explain *e, size_t i)
{
#define TAKE(name)                                                                 \
    if (i < e->n_##name) {                                                         \
        entry out = {.method = &e->name[i], .section = PS_EXPLAIN_SECTION_##name}; \
        (void)snprintf(out.at, sizeof out.at, "explain.%s[%zu]", #name, i);        \
        return out;                                                                \
    }                                                                              \
    i -= e->n_##name;
    PS_EXPLAIN_SECTIONS(TAKE)
#undef TAKE
    return (entry){0};
}

/* ---- methods ---- */

static const char *nth_of_section(const void *state, size_t i)
{
    const ps_explain_section *section = state;
    for (size_t k = 0; ps_explain_row_at(k); k++)
        if (ps_explain_row_at(k)->section == *section && i-- == 0)
            return ps_explain_row_at(k)->name;
    return NULL;
}

static ps_status refuse_method(const entry *e, const ps_explain_row *row, const ps_conf_doc *doc)
{
    if (row)
        return ps_conf_fail(doc, e->at, "method %s stands in explain.%s", row->name,
                            ps_explain_section_names[row->section]);
    ps_buf allowed = PS_BUF_EMPTY;
    ps_conf_allowed(e->method->method, nth_of_section, &e->section, &allowed);
    ps_status st = ps_conf_fail(doc, e->at, "'%s' is not a method%s", e->method->method,
                                ps_buf_cstr(&allowed));
    ps_buf_free(&allowed);
    return st;
}

/* A key of another method would be silently without effect. */
static ps_status check_keys(const entry *e, const ps_explain_row *row, const ps_conf_doc *doc)
{
#define KEY(key, ...) #key,
    static const char *const keys[] = {PS_EXPLAIN_KEY_ROWS(KEY, KEY, KEY, KEY, KEY, KEY, KEY, KEY)};
#undef KEY
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char path[96];
        (void)snprintf(path, sizeof path, "%s.%s", e->at, keys[i]);
        if (ps_explain_row_has(row, keys[i]) || !ps_conf_has(doc, path))
            continue;
        ps_buf owners = PS_BUF_EMPTY;
        ps_explain_owners(keys[i], &owners);
        ps_status st = ps_conf_fail(doc, path, "method %s has no such setting; it is one of %.*s",
                                    row->name, (int)owners.len, (const char *)owners.data);
        ps_buf_free(&owners);
        return st;
    }
    return PS_OK;
}

static ps_status check_values(const entry *e, const ps_explain_row *row, const ps_conf_doc *doc)
{
    char path[96];
    if (!ps_explain_row_has(row, "steps_max") || e->method->steps <= e->method->steps_max)
        return PS_OK;
    (void)snprintf(path, sizeof path, "%s.steps_max", e->at);
    return ps_conf_fail(doc, path, "%" PRId64 " is less than steps, %" PRId64, e->method->steps_max,
                        e->method->steps);
}

static const char *const patch_points[] = {"resid_pre", "z",       "attn_out",
                                           "mlp_out",   "pattern", NULL};

static const char *nth_point(const void *state, size_t i)
{
    return patch_points[i];
}

static ps_status check_point(const char *name, const char *path, const ps_conf_doc *doc)
{
    ps_buf allowed = PS_BUF_EMPTY;
    for (size_t i = 0; patch_points[i]; i++)
        if (!strcmp(name, patch_points[i]))
            return PS_OK;
    ps_conf_allowed(name, nth_point, NULL, &allowed);
    ps_status st =
        ps_conf_fail(doc, path, "'%s' is not a kind of points%s", name, ps_buf_cstr(&allowed));
    ps_buf_free(&allowed);
    return st;
}

static ps_status check_patch(const entry *e, const ps_explain_row *row, const ps_conf_doc *doc)
{
    const ps_spec_explain_patch *p = &e->method->patch;
    char path[96];
    ps_status st = PS_OK;
    if (!ps_explain_row_has(row, "patch"))
        return PS_OK;
    if (!p->n_clean)
        return ps_conf_fail(doc, e->at,
                            "no rows to compare; say patch: {clean: [tokens], corrupt: [tokens]}");
    (void)snprintf(path, sizeof path, "%s.patch.corrupt", e->at);
    if (p->n_clean != p->n_corrupt)
        return ps_conf_fail(doc, path,
                            "%zu tokens, and clean has %zu; they are exchanged one by one",
                            p->n_corrupt, p->n_clean);
    (void)snprintf(path, sizeof path, "%s.patch.points", e->at);
    for (size_t i = 0; !st && i < p->n_points; i++)
        st = check_point(p->points[i], path, doc);
    return st;
}

/* The first entry that is one too many of those that are done in shares. */
static ps_status check_shares(const ps_spec_explain *e, const ps_conf_doc *doc)
{
    size_t shared = 0;
    for (size_t i = 0; i < ps_spec_explain_count(e); i++) {
        shared += (ps_spec_explain_row(e, i)->traits & PS_EXPLAIN_SHARED) != 0;
        if (shared > PS_EXPLAIN_SHARED_MOST)
            return ps_conf_fail(doc, entry_at(e, i).at,
                                "more than %d methods that look at no rows; make two jobs",
                                PS_EXPLAIN_SHARED_MOST);
    }
    return PS_OK;
}

/* A method that is about an attribution has one, of one pass: it is asked again within it. */
static ps_status check_of(const ps_spec_explain *e, const entry *at, const ps_explain_row *row,
                          const ps_conf_doc *doc)
{
    size_t of = 0;
    char path[96];
    (void)snprintf(path, sizeof path, "%s.of", at->at);
    if (!ps_explain_row_has(row, "of"))
        return PS_OK;
    if (!e->n_attributions)
        return ps_conf_fail(doc, at->at,
                            "method %s is about one of explain.attributions, which is "
                            "empty",
                            row->name);
    if (!ps_spec_explain_of(e, at->method, &of))
        return ps_conf_fail(doc, path, "explain.attributions has no %s", at->method->of);
    if (ps_spec_explain_row(e, of)->passes > 1)
        return ps_conf_fail(doc, path, "%s takes %u passes, and method %s asks it within one",
                            ps_spec_explain_row(e, of)->name, ps_spec_explain_row(e, of)->passes,
                            row->name);
    return PS_OK;
}

static ps_status check_methods(const ps_spec_explain *e, const ps_conf_doc *doc)
{
    size_t n = ps_spec_explain_count(e);
    if (!n)
        return ps_conf_fail(doc, "explain",
                            "nothing to do; say explain.attributions: "
                            "[integrated_gradients], or another method");
    for (size_t i = 0; i < n; i++) {
        const entry at = entry_at(e, i);
        const ps_explain_row *row = ps_explain_row_find(at.method->method);
        ps_status st = PS_OK;
        if (!row || row->section != at.section)
            st = refuse_method(&at, row, doc);
        if (!st)
            st = check_keys(&at, row, doc);
        if (!st)
            st = check_values(&at, row, doc);
        if (!st)
            st = check_patch(&at, row, doc);
        if (st)
            return st;
    }
    for (size_t i = 0; i < n; i++) {
        const entry at = entry_at(e, i);
        ps_status st = check_of(e, &at, ps_spec_explain_row(e, i), doc);
        if (st)
            return st;
    }
    return PS_OK;
}

/* ---- the other model ---- */

static const ps_explain_row *first_with(const ps_spec_explain *e, unsigned with, unsigned without);

static ps_status check_other(const ps_spec_explain *e, const ps_conf_doc *doc)
{
    const ps_explain_row *row = first_with(e, PS_EXPLAIN_OTHER, 0);
    if (row && !*e->compare_to)
        return ps_conf_fail(doc, "explain.compare_to",
                            "missing; method %s compares the model with another stored one",
                            row->name);
    if (!row && *e->compare_to)
        return ps_conf_fail(doc, "explain.compare_to", "no method of the job looks at it");
    if (row && !ps_job_spec_name_ok(e->compare_to))
        return ps_conf_fail(doc, "explain.compare_to",
                            "'%s' is not a name; allowed: 1 to 64 of a-z 0-9 . _ -, first a letter "
                            "or a digit",
                            e->compare_to);
    return PS_OK;
}

/* ---- rows, target, baseline ---- */

/* Methods that look at the chosen rows, or need labels, or data.train; NULL: none does. */
static const ps_explain_row *first_with(const ps_spec_explain *e, unsigned with, unsigned without)
{
    for (size_t i = 0; i < ps_spec_explain_count(e); i++) {
        const ps_explain_row *row = ps_spec_explain_row(e, i);
        if ((row->traits & with) == with && !(row->traits & without))
            return row;
    }
    return NULL;
}

static bool labelled(const ps_job_spec *s)
{
    return s->data.test && (strcmp(s->data.format, "idx") != 0 || *s->data.test->labels);
}

static ps_status check_labels(const ps_job_spec *s, const ps_conf_doc *doc)
{
    const ps_spec_explain *e = s->explain;
    const ps_explain_row *row = first_with(e, PS_EXPLAIN_LABELS, PS_EXPLAIN_SHARED);
    if (!row)
        row = first_with(e, PS_EXPLAIN_LABELS | PS_EXPLAIN_TEST, 0);
    const char *why = e->n_prompts ? "prompts have none" : "data.test.labels names no file";
    if (labelled(s))
        return PS_OK;
    if (e->target.kind == PS_EXPLAIN_LABEL)
        return ps_conf_fail(doc, "explain.target", "label: %s", why);
    if (row)
        return ps_conf_fail(doc, "explain", "method %s needs labels: %s", row->name, why);
    return PS_OK;
}

static ps_status check_rows(const ps_job_spec *s, const ps_conf_doc *doc)
{
    const ps_spec_explain *e = s->explain;
    const ps_explain_row *row = first_with(e, 0, PS_EXPLAIN_SHARED),
                         *train = first_with(e, PS_EXPLAIN_TRAIN, 0);
    if (!row)
        row = first_with(e, PS_EXPLAIN_TEST, 0);
    if (e->rows.count && ps_conf_has(doc, "explain.rows.sample"))
        return ps_conf_fail(doc, "explain.rows.sample",
                            "first and count choose a range, sample draws; say one of them");
    if (e->n_prompts && s->data.test)
        return ps_conf_fail(doc, "explain.prompts",
                            "they stand in place of data.test; say one of them");
    if (e->n_prompts &&
        (ps_conf_has(doc, "explain.rows.first") || ps_conf_has(doc, "explain.rows.count") ||
         ps_conf_has(doc, "explain.rows.sample")))
        return ps_conf_fail(doc, "explain.rows", "of data.test; all of explain.prompts are taken");
    if (row && !e->n_prompts && !s->data.test)
        return ps_conf_fail(
            doc, "data.test", "missing; method %s looks at its rows%s", row->name,
            row->traits & PS_EXPLAIN_SHARED ? "" : ", or at explain.prompts of a language model");
    if (ps_conf_has(doc, "data") && !ps_conf_has(doc, "data.format"))
        return ps_conf_fail(doc, "data.format", "missing; data have one");
    if (train && !s->data.train)
        return ps_conf_fail(doc, "data.train", "missing; method %s looks at it", train->name);
    return row ? check_labels(s, doc) : PS_OK;
}

static ps_status check_target(const ps_spec_explain *e, const ps_conf_doc *doc)
{
    const ps_spec_explain_target *t = &e->target;
    bool of = ps_conf_has(doc, "explain.target.of"), number = t->number >= 0;
    if (of + number + (t->n_difference > 0) > 1)
        return ps_conf_fail(doc, "explain.target", "one of of, class and difference, not several");
    if (t->n_difference == 1 || (t->n_difference && t->difference[0] == t->difference[1]))
        return ps_conf_fail(doc, "explain.target.difference",
                            "two different outputs are needed: [a, b] explains a less b");
    if (t->n_difference && e->score == PS_EXPLAIN_LOSS)
        return ps_conf_fail(doc, "explain.score", "loss is of one target, not of a difference");
    const ps_explain_row *logits = first_with(e, PS_EXPLAIN_LOGITS, 0);
    if (logits && e->score != PS_EXPLAIN_LOGIT)
        return ps_conf_fail(doc, "explain.score", "%s: method %s explains logits alone",
                            ps_explain_score_name(e->score), logits->name);
    return PS_OK;
}

static ps_status check_baseline(const ps_job_spec *s, const ps_conf_doc *doc)
{
    const ps_spec_explain *e = s->explain;
    static const char *const keys[] = {"explain.baseline.of", "explain.baseline.value",
                                       "explain.baseline.token", "explain.baseline.row"};
    size_t said = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        said += ps_conf_has(doc, keys[i]);
    if (said > 1)
        return ps_conf_fail(doc, "explain.baseline",
                            "one of of, value, token and row, not several");
    bool mean =
        e->baseline.kind == PS_EXPLAIN_MEAN && !e->n_prompts; /* of tokens it is the model's */
    if ((!mean && e->baseline.kind != PS_EXPLAIN_ROW) || s->data.test)
        return PS_OK;
    return ps_conf_fail(doc, "explain.baseline", "%s: %s",
                        ps_explain_baseline_name(e->baseline.kind),
                        e->n_prompts ? "prompts have no rows of data"
                                     : "it is made of data.test, which is missing");
}

ps_status ps_spec_explain_check(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    if (!spec->explain)
        return PS_OK;
    ps_status st = check_methods(spec->explain, doc);
    if (!st)
        st = check_shares(spec->explain, doc);
    if (!st)
        st = ps_spec_explain_check_influence(spec, doc);
    if (!st)
        st = ps_spec_explain_check_checkpoints(spec, doc);
    if (!st)
        st = check_other(spec->explain, doc);
    if (!st)
        st = ps_spec_explain_second_check(spec->explain, doc);
    if (!st)
        st = check_rows(spec, doc);
    if (!st)
        st = check_target(spec->explain, doc);
    return st ? st : check_baseline(spec, doc);
}

/* ---- and the model ---- */

static int64_t outputs_of(const ps_spec_model *m)
{
    return ps_spec_model_is_language(m) ? m->vocab_size : m->layers[m->n_layers - 1];
}

static ps_status match_target(const ps_job_spec *s, const ps_spec_model *m, const ps_conf_doc *doc)
{
    const ps_spec_explain_target *t = &s->explain->target;
    const char *what = ps_spec_model_is_language(m) ? "tokens" : "outputs";
    int64_t outputs = outputs_of(m);
    if (t->kind == PS_EXPLAIN_CLASS && t->number >= outputs)
        return ps_conf_fail(doc, "explain.target.class",
                            "%" PRId64 ", but model %s has %" PRId64 " %s, counted from 0",
                            t->number, s->model_name, outputs, what);
    for (size_t i = 0; i < t->n_difference; i++)
        if (t->difference[i] >= outputs)
            return ps_conf_fail(doc, "explain.target.difference",
                                "%" PRId64 ", but model %s has %" PRId64 " %s, counted from 0",
                                t->difference[i], s->model_name, outputs, what);
    if (m->loss == PS_SPEC_CROSS_ENTROPY)
        return PS_OK;
    unsigned score = s->explain->score;
    if (score == PS_EXPLAIN_PROBABILITY || score == PS_EXPLAIN_LOG_PROBABILITY)
        return ps_conf_fail(doc, "explain.score",
                            "%s: model %s has loss squared_error, and so no classes; allowed: "
                            "logit (its output), loss",
                            ps_explain_score_name(score), s->model_name);
    if (t->kind == PS_EXPLAIN_LABEL && score != PS_EXPLAIN_LOSS)
        return ps_conf_fail(doc, "explain.target",
                            "label: model %s has loss squared_error, and so no classes",
                            s->model_name);
    if (t->kind == PS_EXPLAIN_PREDICTED && outputs > 1 && score != PS_EXPLAIN_LOSS)
        return ps_conf_fail(doc, "explain.target",
                            "predicted: model %s has %" PRId64
                            " outputs that are no classes; say which with class",
                            s->model_name, outputs);
    return PS_OK;
}

static ps_status match_baseline(const ps_job_spec *s, const ps_spec_model *m,
                                const ps_conf_doc *doc)
{
    const ps_spec_explain_baseline *b = &s->explain->baseline;
    bool language = ps_spec_model_is_language(m);
    if (b->kind == PS_EXPLAIN_TOKEN && !language)
        return ps_conf_fail(doc, "explain.baseline.token", "model %s takes no tokens",
                            s->model_name);
    if (b->kind == PS_EXPLAIN_TOKEN && b->token >= m->vocab_size)
        return ps_conf_fail(doc, "explain.baseline.token",
                            "%" PRId64 ", but the vocabulary of model %s has %" PRId64 " tokens",
                            b->token, s->model_name, m->vocab_size);
    if (language && (b->kind == PS_EXPLAIN_VALUE || b->kind == PS_EXPLAIN_ROW))
        return ps_conf_fail(doc, "explain.baseline",
                            "%s is not for language models; allowed: mean, zero, {token: …}",
                            ps_explain_baseline_name(b->kind));
    return PS_OK;
}

static ps_status match_tokens(const ps_job_spec *s, const ps_spec_model *m, const int64_t *tokens,
                              size_t n, const char *path, const ps_conf_doc *doc)
{
    if (n > (size_t)m->context_length)
        return ps_conf_fail(doc, path, "%zu tokens, and the context of model %s is %" PRId64, n,
                            s->model_name, m->context_length);
    for (size_t k = 0; k < n; k++)
        if (tokens[k] >= m->vocab_size)
            return ps_conf_fail(doc, path,
                                "token %" PRId64 ", but the vocabulary of model %s has %" PRId64
                                "; is it this model's tokenizer?",
                                tokens[k], s->model_name, m->vocab_size);
    return PS_OK;
}

static ps_status match_patches(const ps_job_spec *s, const ps_spec_model *m, const ps_conf_doc *doc)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < ps_spec_explain_count(s->explain); i++) {
        const ps_spec_explain_patch *p = &ps_spec_explain_at(s->explain, i)->patch;
        char path[96];
        if (!ps_explain_row_has(ps_spec_explain_row(s->explain, i), "patch"))
            continue;
        (void)snprintf(path, sizeof path, "%s.patch.clean", entry_at(s->explain, i).at);
        st = match_tokens(s, m, p->clean, p->n_clean, path, doc);
        (void)snprintf(path, sizeof path, "%s.patch.corrupt", entry_at(s->explain, i).at);
        if (!st)
            st = match_tokens(s, m, p->corrupt, p->n_corrupt, path, doc);
    }
    return st;
}

static ps_status match_prompts(const ps_job_spec *s, const ps_spec_model *m, const ps_conf_doc *doc)
{
    const ps_spec_explain *e = s->explain;
    if (e->n_prompts && !ps_spec_model_is_language(m))
        return ps_conf_fail(doc, "explain.prompts", "model %s takes no tokens", s->model_name);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < e->n_prompts; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "explain.prompts[%zu]", i);
        st = match_tokens(s, m, e->prompts[i].tokens, e->prompts[i].n_tokens, path, doc);
    }
    return st;
}

static ps_status match_methods(const ps_job_spec *s, const ps_spec_model *m, const ps_conf_doc *doc)
{
    bool language = ps_spec_model_is_language(m), images = ps_spec_model_is_images(m);
    for (size_t i = 0; i < ps_spec_explain_count(s->explain); i++) {
        const ps_explain_row *row = ps_spec_explain_row(s->explain, i);
        if (row->traits & (images     ? PS_EXPLAIN_IMAGES
                           : language ? PS_EXPLAIN_LANGUAGE
                                      : PS_EXPLAIN_LAYERS))
            continue;
        if (images)
            return ps_conf_fail(doc, entry_at(s->explain, i).at,
                                "method %s is not for architecture %s, which model %s is of",
                                row->name, m->architecture, s->model_name);
        return ps_conf_fail(doc, entry_at(s->explain, i).at, "method %s is for %s; model %s is %s",
                            row->name, language ? "models of layers" : "language models",
                            s->model_name, m->architecture);
    }
    return PS_OK;
}

static ps_status match_data(const ps_job_spec *s, const ps_spec_model *m, const ps_conf_doc *doc)
{
    bool language = ps_spec_model_is_language(m), tokens = !strcmp(s->data.format, "tokens");
    if (ps_conf_has(doc, "data.format") && language != tokens)
        return ps_conf_fail(doc, "data.format", "'%s' is not what model %s reads: allowed: %s",
                            s->data.format, s->model_name, language ? "tokens" : "idx, csv");
    if (language && s->data.sequence_length > m->context_length)
        return ps_conf_fail(doc, "data.sequence_length",
                            "%" PRId64 " is more than the context of model %s, %" PRId64,
                            s->data.sequence_length, s->model_name, m->context_length);
    return PS_OK;
}

ps_status ps_spec_explain_match(const ps_job_spec *spec, const ps_spec_model *model,
                                const ps_conf_doc *doc)
{
    if (!spec->explain)
        return PS_OK;
    ps_status st = match_data(spec, model, doc);
    if (!st)
        st = match_methods(spec, model, doc);
    if (!st)
        st = match_prompts(spec, model, doc);
    if (!st)
        st = match_patches(spec, model, doc);
    if (!st)
        st = match_target(spec, model, doc);
    return st ? st : match_baseline(spec, model, doc);
}
