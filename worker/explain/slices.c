/* slices: how good the model is on parts of the labelled rows, that one number hides:
 *
 *     by_label       by what is right; of models with at most LABELS_MOST outputs
 *     by_confidence  by the largest probability, in tenths
 *     by_place       by where in the data file the row stands, in tenths of its rows: a file that
 *                    was put together of several shows where they begin
 *     by_length      of language models by how many tokens the answer had: 1, 2, to 4, to 8, …; of
 *                    all tokens of the rows, whose labels are the tokens that follow
 *
 * each [slice, quantity]: rows (or tokens), accuracy, loss (the mean of −ln p), and the standard
 * errors of both; NaN where there are none. Rows of all slices add up to all. Of language models
 * one pass forward more, for the answers to all tokens. */
#include "worker/explain/look.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LABELS_MOST = 4096, TENTHS = 10, LENGTHS = 18 };

typedef enum sum { ROWS, RIGHT, LOSS, SQUARES, SUMS } sum;
static const char *const quantities[] = {"rows",           "accuracy",   "loss",
                                         "accuracy_error", "loss_error", NULL};
enum { QUANTITIES = 5 };

typedef enum table { BY_LABEL, BY_CONFIDENCE, BY_PLACE, BY_LENGTH, TABLES } table;
static const char *const tables[TABLES] = {"by_label", "by_confidence", "by_place", "by_length"};
static const char *const sums_of[TABLES] = {"label_sums", "confidence_sums", "place_sums",
                                            "length_sums"};
static const ps_explain_entries entries[] = {{"by_label", quantities},
                                             {"by_confidence", quantities},
                                             {"by_place", quantities},
                                             {"by_length", quantities},
                                             {NULL, NULL}};

typedef struct slicing {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t n[TABLES];     /* slices; 0: the table is not made */
    double *sums[TABLES]; /* [slices, SUMS] */
} slicing;

/* ---- a row, or a token ---- */

static void add(double *sums, size_t slice, bool right, double loss)
{
    double *s = sums + slice * SUMS;
    s[ROWS]++;
    s[RIGHT] += right;
    s[LOSS] += loss;
    s[SQUARES] += loss * loss;
}

static size_t tenth(double share)
{
    return share >= 0 && share < 1 ? (size_t)(share * TENTHS) : TENTHS - 1;
}

static void add_row(slicing *s, size_t i)
{
    const float *z = s->items->logits + i * (size_t)s->x->outputs;
    int64_t best = ps_explain_largest(z, s->x->outputs), label = s->items->labels[i];
    PS_REQUIRE(label < s->x->outputs);
    double all = ps_explain_log_sum(z, s->x->outputs), loss = all - (double)z[label];
    bool right = best == label;
    if (s->n[BY_LABEL])
        add(s->sums[BY_LABEL], (size_t)label, right, loss);
    add(s->sums[BY_CONFIDENCE], tenth(exp((double)z[best] - all)), right, loss);
    if (s->n[BY_PLACE])
        add(s->sums[BY_PLACE],
            tenth((double)s->items->row[i] / (double)ps_dataset_rows(s->x->test)), right, loss);
}

/* 1, 2, 3 to 4, 5 to 8, … tokens. */
static size_t length_slice(size_t tokens)
{
    size_t slice = 0;
    while (slice + 1 < LENGTHS && tokens > (size_t)1 << slice)
        slice++;
    return slice;
}

/* ---- all tokens ---- */

static int64_t label_of(const slicing *s, size_t row, size_t t)
{
    size_t length = (size_t)s->items->length;
    return t + 1 < length ? s->items->tokens[row * length + t + 1] : s->items->labels[row];
}

static ps_status add_tokens(slicing *s, size_t row, ps_model_point *points, float *logits)
{
    size_t length = (size_t)s->items->length, outputs = (size_t)s->x->outputs;
    PS_REQUIRE(row < s->items->n && s->n[BY_LENGTH] == LENGTHS);
    for (size_t t = 0; t < length; t++)
        points[t] = (ps_model_point){.row = (int64_t)row, .position = (int64_t)t};
    ps_status st = ps_model_outputs_at(s->x->model, points, length, logits);
    for (size_t t = 0; !st && t < length; t++) {
        const float *z = logits + t * outputs;
        int64_t label = label_of(s, row, t);
        if (label >= 0)
            add(s->sums[BY_LENGTH], length_slice(t + 1),
                ps_explain_largest(z, s->x->outputs) == label,
                ps_explain_log_sum(z, s->x->outputs) - (double)z[label]);
    }
    return st;
}

static ps_status add_all_tokens(slicing *s)
{
    size_t length = (size_t)s->items->length, numbers = length * (size_t)s->x->outputs;
    ps_status st = ps_explain_room(numbers * sizeof(float), "the answers to a row's tokens",
                                   "leave slices out");
    if (st)
        return st;
    ps_model_point *points = ps_try_alloc_raw(length * sizeof *points);
    float *logits = ps_try_alloc_raw(numbers * sizeof *logits);
    st = points && logits ? ps_explain_look(s->x, s->items, NULL)
                          : ps_fail(PS_NO_MEMORY, "answers to %zu tokens", length);
    for (size_t i = 0; !st && i < s->items->n; i++)
        st = add_tokens(s, i, points, logits);
    ps_free(&points);
    ps_free(&logits);
    return st;
}

/* ---- all rows ---- */

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    return x->model_spec->loss == PS_SPEC_CROSS_ENTROPY
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT,
                         "slices: it is of classes, and the model's loss is squared_error");
}

static ps_status put(const slicing *s, ps_explain_part *out)
{
    ps_status st = PS_OK;
    for (size_t k = 0; !st && k < TABLES; k++) {
        const uint64_t shape[2] = {s->n[k], SUMS};
        if (s->n[k])
            st = ps_explain_put_sums(out, sums_of[k], "slice sum", 2, shape, s->sums[k]);
    }
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    slicing s = {.x = x,
                 .items = items,
                 .n = {[BY_LABEL] = x->outputs <= LABELS_MOST ? (size_t)x->outputs : 0,
                       [BY_CONFIDENCE] = TENTHS,
                       [BY_PLACE] = x->test ? TENTHS : 0,
                       [BY_LENGTH] = x->language ? LENGTHS : 0}};
    bool whole = true;
    for (size_t k = 0; k < TABLES; k++) {
        s.sums[k] = s.n[k] ? ps_try_alloc(s.n[k] * SUMS * sizeof(double)) : NULL;
        whole = whole && (s.sums[k] || !s.n[k]);
    }
    ps_status st = whole ? PS_OK : ps_fail(PS_NO_MEMORY, "slices of %zu rows", items->n);
    for (size_t i = 0; !st && i < items->n; i++)
        if (items->labels[i] >= 0)
            add_row(&s, i);
    if (!st && x->language)
        st = add_all_tokens(&s);
    if (!st)
        st = put(&s, out);
    for (size_t k = 0; k < TABLES; k++)
        ps_free(&s.sums[k]);
    return st;
}

/* ---- of all tasks ---- */

static void measure(const double *s, float *out)
{
    double n = s[ROWS], p = s[RIGHT] / n, loss = s[LOSS] / n;
    out[0] = (float)n;
    out[1] = n > 0 ? (float)p : NAN;
    out[2] = n > 0 ? (float)loss : NAN;
    out[3] = n > 1 ? (float)sqrt(fmax(p * (1 - p), 0) / (n - 1)) : NAN;
    out[4] = n > 1 ? (float)sqrt(fmax(s[SQUARES] / n - loss * loss, 0) / (n - 1)) : NAN;
}

static ps_status finish_table(table k, ps_explain_part *merged)
{
    const ps_explain_array *found = ps_explain_get(merged, sums_of[k]);
    if (!found)
        return PS_OK;
    if (!found->doubles || found->rank != 2 || found->shape[1] != SUMS)
        return ps_fail(PS_CORRUPT, "slices: %s are no sums", sums_of[k]);
    const ps_explain_array sums = *found; /* results move what stands behind one of their name */
    const uint64_t shape[2] = {sums.shape[0], QUANTITIES};
    float *values = ps_try_alloc_raw((size_t)(shape[0] + 1) * QUANTITIES * sizeof *values);
    if (!values)
        return ps_fail(PS_NO_MEMORY, "%s", tables[k]);
    for (size_t i = 0; i < shape[0]; i++)
        measure(sums.doubles + i * SUMS, values + i * QUANTITIES);
    ps_status st = ps_explain_put_result(merged, tables[k], "slice quantity", 2, shape, values);
    ps_free(&values);
    if (!st)
        ps_explain_drop(merged, sums_of[k]);
    return st;
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    ps_status st = PS_OK;
    for (table k = 0; !st && k < TABLES; k++)
        st = finish_table(k, merged);
    return st;
}

const ps_explain_method ps_explain_method_slices = {
    .name = "slices", .entries = entries, .prepare = prepare, .run = run, .finish = finish};
