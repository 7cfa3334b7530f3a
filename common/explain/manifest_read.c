/* Happy path: members that are known are read, others passed over. Texts that are missing are "",
 * numbers NaN or 0. */
#include "common/explain/manifest.h"

#include "common/base/mem.h"
#include "common/json/json.h"

#include <math.h>
#include <string.h>

/* Entries of a list at most; and of a row's worth there are as many as a job may have. */
enum { LIST_MAX = 1024, ROWS_MAX = 1 << 17, TENSORS_MAX = 1 << 20, TEXT_MAX = 4096 };

static ps_status corrupt(const char *what)
{
    return ps_fail(PS_CORRUPT, "not a manifest of an explanation: %s", what);
}

static bool is(const ps_json_token *key, const char *name)
{
    return !strcmp((const char *)key->text.data, name);
}

static ps_status read_text(ps_json_reader *r, char **out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind == PS_JSON_NULL)
        return PS_OK;
    if (!st && (token.kind != PS_JSON_STRING || token.text.len > TEXT_MAX))
        st = corrupt("a text is none, or too long");
    if (st)
        return st;
    ps_free(out);
    *out = ps_strdup((const char *)token.text.data);
    return PS_OK;
}

static ps_status read_number(ps_json_reader *r, double *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind != PS_JSON_NUMBER && token.kind != PS_JSON_NULL)
        st = corrupt("a number is none");
    *out = !st && token.kind == PS_JSON_NUMBER ? token.number : NAN;
    return st;
}

static ps_status read_count(ps_json_reader *r, uint64_t *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && (token.kind != PS_JSON_NUMBER || !token.is_u64))
        st = corrupt("a count is none");
    *out = st ? 0 : token.u64;
    return st;
}

/* From -1. */
static ps_status read_index(ps_json_reader *r, int64_t *out)
{
    double number = 0;
    ps_status st = read_number(r, &number);
    if (!st && !(number >= -1 && number <= 1e15 && floor(number) == number))
        st = corrupt("a class is none");
    *out = st ? -1 : (int64_t)number;
    return st;
}

static ps_status read_bool(ps_json_reader *r, bool *out)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind != PS_JSON_TRUE && token.kind != PS_JSON_FALSE)
        st = corrupt("neither true nor false");
    *out = !st && token.kind == PS_JSON_TRUE;
    return st;
}

/* For each entry of a list, which begins with a token of that kind. */
typedef ps_status (*read_entry)(ps_json_reader *r, const ps_json_token *first, void *user);

static ps_status read_list(ps_json_reader *r, ps_json_kind kind, read_entry entry, void *user)
{
    ps_json_token token;
    ps_status st = ps_json_expect(r, PS_JSON_ARRAY, &token);
    while (!st && !(st = ps_json_next(r, &token)) && token.kind == kind)
        st = entry(r, &token, user);
    return st || token.kind == PS_JSON_ARRAY_END ? st : corrupt("a list of something else");
}

/* Makes room for one more of `one` bytes behind n; the memory doubles. NULL: there are too many. */
static void *grow(void *memory, size_t n, size_t most, size_t one)
{
    void *grown = memory;
    if (n >= most)
        return NULL;
    if (n == 0 || (n & (n - 1)) == 0) { /* a power of two: it is full */
        grown = ps_alloc_array(n ? 2 * n : 1, one);
        if (n)
            memcpy(grown, memory, n * one);
        ps_free(&memory);
    }
    return grown;
}

/* A list of texts. */
typedef struct text_list {
    char ***at;
    size_t *n, most;
} text_list;

static ps_status add_text(ps_json_reader *r, const ps_json_token *token, void *user)
{
    text_list *t = user;
    char **all = grow(*t->at, *t->n, t->most, sizeof *all);
    if (!all)
        return corrupt("a list of texts without end");
    *t->at = all;
    all[(*t->n)++] = ps_strdup((const char *)token->text.data);
    return PS_OK;
}

static ps_status read_texts(ps_json_reader *r, char ***at, size_t *n, size_t most)
{
    return read_list(r, PS_JSON_STRING, add_text, &(text_list){.at = at, .n = n, .most = most});
}

/* ---- results ---- */

static ps_status add_axis(ps_json_reader *r, const ps_json_token *token, void *user)
{
    ps_buf *axes = user;
    if (token->text.len + axes->len > 128)
        return corrupt("axes without end");
    ps_buf_printf(axes, "%s%.*s", axes->len ? " " : "", (int)token->text.len,
                  (const char *)token->text.data);
    return PS_OK;
}

static ps_status read_axes(ps_json_reader *r, char **out)
{
    ps_buf axes = PS_BUF_EMPTY;
    ps_status st = read_list(r, PS_JSON_STRING, add_axis, &axes);
    if (!st) {
        ps_free(out);
        *out = ps_strdup(ps_buf_cstr(&axes));
    }
    ps_buf_free(&axes);
    return st;
}

static void settle(char **text)
{
    if (!*text)
        *text = ps_strdup("");
}

static ps_status add_array(ps_json_reader *r, const ps_json_token *first, void *user)
{
    ps_explanation_result *result = user;
    ps_explanation_array *all =
        grow(result->arrays, result->n_arrays, LIST_MAX, sizeof *result->arrays);
    if (!all)
        return corrupt("too many arrays");
    result->arrays = all;
    ps_explanation_array *a = &all[result->n_arrays++];
    ps_json_token key;
    ps_status st = PS_OK;
    *a = (ps_explanation_array){NULL};
    while (ps_json_member(r, &key, &st))
        st = is(&key, "name")      ? read_text(r, &a->name)
             : is(&key, "array")   ? read_text(r, &a->array)
             : is(&key, "axes")    ? read_axes(r, &a->axes)
             : is(&key, "entries") ? read_texts(r, &a->entries, &a->n_entries, LIST_MAX)
                                   : ps_json_skip(r);
    settle(&a->name);
    settle(&a->array);
    settle(&a->axes);
    return st;
}

static ps_status read_residual(ps_json_reader *r, ps_explanation_result *out)
{
    ps_json_token key;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &key);
    out->has_residual = true;
    while (ps_json_member(r, &key, &st))
        st = is(&key, "relative_median") ? read_number(r, &out->relative_median)
             : is(&key, "relative_max")  ? read_number(r, &out->relative_max)
             : is(&key, "tolerance")     ? read_number(r, &out->tolerance)
             : is(&key, "unmet")         ? read_count(r, &out->unmet)
                                         : ps_json_skip(r);
    return st;
}

static ps_status read_steps(ps_json_reader *r, ps_explanation_result *out)
{
    ps_json_token key;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &key);
    while (ps_json_member(r, &key, &st))
        st = is(&key, "median") ? read_number(r, &out->steps_median)
             : is(&key, "max")  ? read_number(r, &out->steps_max)
                                : ps_json_skip(r);
    return st;
}

static ps_status read_arguments(ps_json_reader *r, char **out)
{
    ps_slice bytes;
    ps_status st = ps_json_value(r, &bytes);
    if (!st && bytes.len > TEXT_MAX)
        st = corrupt("arguments without end");
    if (st)
        return st;
    ps_buf text = PS_BUF_EMPTY; /* as the writer has them */
    ps_json_writer w = ps_json_writer_to(&text);
    ps_json_embed_n(&w, bytes);
    ps_free(out);
    if (text.len > TEXT_MAX)
        st = corrupt("arguments without end");
    else
        *out = ps_strdup(ps_buf_cstr(&text));
    ps_buf_free(&text);
    return st;
}

static ps_status read_result_member(ps_json_reader *r, const ps_json_token *key,
                                    ps_explanation_result *out)
{
    if (is(key, "kind"))
        return read_text(r, &out->kind);
    if (is(key, "method"))
        return read_text(r, &out->method);
    if (is(key, "arguments"))
        return read_arguments(r, &out->arguments);
    if (is(key, "arrays"))
        return read_list(r, PS_JSON_OBJECT, add_array, out);
    if (is(key, "residual"))
        return read_residual(r, out);
    if (is(key, "standard_error"))
        return read_number(r, &out->standard_error);
    if (is(key, "steps"))
        return read_steps(r, out);
    if (is(key, "evaluations"))
        return read_count(r, &out->evaluations);
    return is(key, "seconds") ? read_number(r, &out->seconds) : ps_json_skip(r);
}

static ps_status add_result(ps_json_reader *r, const ps_json_token *first, void *user)
{
    ps_explanation *m = user;
    ps_explanation_result *all = grow(m->results, m->n_results, LIST_MAX, sizeof *m->results);
    if (!all)
        return corrupt("too many results");
    m->results = all;
    ps_explanation_result *out = &all[m->n_results++];
    ps_json_token key;
    ps_status st = PS_OK;
    *out = (ps_explanation_result){.standard_error = NAN, .steps_median = NAN, .steps_max = NAN};
    while (ps_json_member(r, &key, &st))
        st = read_result_member(r, &key, out);
    settle(&out->kind);
    settle(&out->method);
    if (!out->arguments)
        out->arguments = ps_strdup("{}");
    return st;
}

/* ---- rows ---- */

static ps_status add_row(ps_json_reader *r, const ps_json_token *first, void *user)
{
    ps_explanation *m = user;
    ps_explanation_row *all = grow(m->rows, m->n_rows, ROWS_MAX, sizeof *m->rows);
    if (!all)
        return corrupt("too many rows");
    m->rows = all;
    ps_explanation_row *out = &all[m->n_rows++];
    ps_json_token key;
    ps_status st = PS_OK;
    *out = (ps_explanation_row){.label = -1, .confidence = NAN, .score = NAN};
    while (ps_json_member(r, &key, &st))
        st = is(&key, "row")          ? read_count(r, &out->row)
             : is(&key, "label")      ? read_index(r, &out->label)
             : is(&key, "prediction") ? read_index(r, &out->prediction)
             : is(&key, "target")     ? read_index(r, &out->target)
             : is(&key, "confidence") ? read_number(r, &out->confidence)
             : is(&key, "score")      ? read_number(r, &out->score)
                                      : ps_json_skip(r);
    return st;
}

static ps_status add_left_out(ps_json_reader *r, const ps_json_token *token, void *user)
{
    ps_explanation *m = user;
    uint64_t *all = grow(m->left_out_rows, m->n_left_out_rows, LIST_MAX, sizeof *m->left_out_rows);
    if (!all)
        return corrupt("too many rows left out");
    m->left_out_rows = all;
    all[m->n_left_out_rows++] = token->is_u64 ? token->u64 : 0;
    return PS_OK;
}

static ps_status read_left_out(ps_json_reader *r, ps_explanation *out)
{
    ps_json_token key;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &key);
    while (ps_json_member(r, &key, &st))
        st = is(&key, "count")  ? read_count(r, &out->left_out)
             : is(&key, "rows") ? read_list(r, PS_JSON_NUMBER, add_left_out, out)
                                : ps_json_skip(r);
    return st;
}

/* ---- the whole ---- */

static ps_status read_model(ps_json_reader *r, ps_explanation *out)
{
    ps_json_token key;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &key);
    while (ps_json_member(r, &key, &st))
        st = is(&key, "name")           ? read_text(r, &out->model)
             : is(&key, "version")      ? read_text(r, &out->model_version)
             : is(&key, "sha256")       ? read_text(r, &out->model_sha256)
             : is(&key, "architecture") ? read_text(r, &out->architecture)
             : is(&key, "tensors")      ? read_texts(r, &out->tensors, &out->n_tensors, TENSORS_MAX)
                                        : ps_json_skip(r);
    return st;
}

static ps_status read_other(ps_json_reader *r, ps_explanation *out)
{
    ps_json_token key;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &key);
    while (ps_json_member(r, &key, &st))
        st = is(&key, "name")      ? read_text(r, &out->other)
             : is(&key, "version") ? read_text(r, &out->other_version)
             : is(&key, "sha256")  ? read_text(r, &out->other_sha256)
                                   : ps_json_skip(r);
    return st;
}

typedef struct source_list {
    ps_explanation_source **all;
    size_t *n;
    const char *name, *said; /* keys */
    const char *version;     /* likewise; NULL: there is none */
} source_list;

static ps_status add_source(ps_json_reader *r, const ps_json_token *token, void *user)
{
    const source_list *list = user;
    ps_json_token key;
    ps_status st = PS_OK;
    void *grown = grow(*list->all, *list->n, LIST_MAX, sizeof **list->all);
    if (!grown)
        return corrupt("too many files or workers");
    *list->all = grown;
    ps_explanation_source *s = &(*list->all)[(*list->n)++];
    *s = (ps_explanation_source){NULL};
    while (ps_json_member(r, &key, &st))
        st = is(&key, list->name)                       ? read_text(r, &s->name)
             : is(&key, list->said)                     ? read_text(r, &s->said)
             : list->version && is(&key, list->version) ? read_text(r, &s->version)
                                                        : ps_json_skip(r);
    settle(&s->name);
    settle(&s->said);
    if (list->version)
        settle(&s->version);
    return st;
}

static ps_status read_files(ps_json_reader *r, ps_explanation *out)
{
    source_list list = {&out->files, &out->n_files, "path", "sha256", NULL};
    return read_list(r, PS_JSON_OBJECT, add_source, &list);
}

static ps_status read_workers(ps_json_reader *r, ps_explanation *out)
{
    source_list list = {&out->workers, &out->n_workers, "name", "device", NULL};
    return read_list(r, PS_JSON_OBJECT, add_source, &list);
}

static ps_status read_checkpoints(ps_json_reader *r, ps_explanation *out)
{
    source_list list = {&out->checkpoints, &out->n_checkpoints, "name", "sha256", "version"};
    return read_list(r, PS_JSON_OBJECT, add_source, &list);
}

static ps_status read_lineage(ps_json_reader *r, ps_explanation *out)
{
    ps_json_token key;
    ps_status st = ps_json_expect(r, PS_JSON_OBJECT, &key);
    while (ps_json_member(r, &key, &st))
        st = is(&key, "model")           ? read_model(r, out)
             : is(&key, "compared_with") ? read_other(r, out)
             : is(&key, "checkpoints")   ? read_checkpoints(r, out)
             : is(&key, "data")          ? read_text(r, &out->data)
             : is(&key, "files")         ? read_files(r, out)
             : is(&key, "workers")       ? read_workers(r, out)
             : is(&key, "spec_sha256")   ? read_text(r, &out->spec_sha256)
             : is(&key, "psd_version")   ? read_text(r, &out->psd_version)
             : is(&key, "seed")          ? read_count(r, &out->seed)
                                         : ps_json_skip(r);
    return st;
}

static ps_status read_member(ps_json_reader *r, const ps_json_token *key, uint64_t *version,
                             ps_explanation *out)
{
    if (is(key, "psd_explain"))
        return read_count(r, version);
    if (is(key, "job"))
        return read_count(r, &out->job);
    if (is(key, "lineage"))
        return read_lineage(r, out);
    if (is(key, "score"))
        return read_text(r, &out->score);
    if (is(key, "target"))
        return read_text(r, &out->target);
    if (is(key, "baseline"))
        return read_text(r, &out->baseline);
    if (is(key, "classes"))
        return read_bool(r, &out->classes);
    if (is(key, "language"))
        return read_bool(r, &out->language);
    if (is(key, "results"))
        return read_list(r, PS_JSON_OBJECT, add_result, out);
    if (is(key, "contents"))
        return read_text(r, &out->contents);
    if (is(key, "rows"))
        return read_list(r, PS_JSON_OBJECT, add_row, out);
    if (is(key, "left_out"))
        return read_left_out(r, out);
    return is(key, "warnings") ? read_texts(r, &out->warnings, &out->n_warnings, LIST_MAX)
                               : ps_json_skip(r);
}

static void settle_texts(ps_explanation *m)
{
    char **texts[] = {&m->other,        &m->other_version, &m->model,       &m->model_version,
                      &m->architecture, &m->data,          &m->psd_version, &m->score,
                      &m->target,       &m->baseline,      &m->contents,    &m->model_sha256,
                      &m->other_sha256, &m->spec_sha256};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        settle(texts[i]);
}

ps_status ps_explanation_read(ps_slice json, ps_explanation *out)
{
    ps_json_reader r;
    ps_json_token key;
    uint64_t version = 0;
    *out = (ps_explanation){0};
    if (json.len > PS_EXPLANATION_MAX)
        return corrupt("it is too large");
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &key);
    while (ps_json_member(&r, &key, &st))
        st = read_member(&r, &key, &version, out);
    if (!st)
        st = ps_json_expect(&r, PS_JSON_END, &key);
    ps_json_reader_free(&r);
    if (!st && version == 0)
        st = corrupt("it has no psd_explain");
    if (!st && version > PS_EXPLAIN_MANIFEST_VERSION)
        st = ps_fail(PS_UNIMPLEMENTED,
                     "an explanation of version %llu, and this psctl reads %d; take a newer one",
                     (unsigned long long)version, PS_EXPLAIN_MANIFEST_VERSION);
    settle_texts(out);
    if (st)
        ps_explanation_free(out);
    return st;
}
