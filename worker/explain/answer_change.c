/* answer_change: what another model answers to the same rows: of each row
 *
 *     rows [row, quantity]   divergence KL(p ‖ q) of its answer q from this model's p; flip, 1
 * where its likeliest output is another one; the losses of both, NaN without a label summary
 * [quantity]     rows, their mean divergence, flips, mean losses
 *
 * Of language models it is the token after a row's last. */
#include "worker/explain/other.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>

enum { DIVERGENCE, FLIP, LOSS, OTHER_LOSS, QUANTITIES };

static const char *const quantities[] = {"divergence", "flip", "loss", "other_loss", NULL};
static const char *const summary_quantities[] = {"rows", "divergence", "flips",
                                                 "loss", "other_loss", NULL};
static const ps_explain_entries entries[] = {
    {"rows", quantities}, {"summary", summary_quantities}, {NULL, NULL}};

typedef struct answering {
    ps_explaining other;
    ps_model_point *points; /* [batch] */
    float *logits;          /* [batch, outputs] */
    float *rows;            /* [batch, QUANTITIES] */
} answering;

static void free_answering(void *state)
{
    answering *a = state;
    if (!a)
        return;
    ps_free(&a->points);
    ps_free(&a->logits);
    ps_free(&a->rows);
    ps_free(&a);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    if (x->model_spec->loss != PS_SPEC_CROSS_ENTROPY)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "answer_change: it is of classes, and the model's loss is squared_error");
    answering *a = ps_new(answering);
    *state = a;
    a->points = ps_try_alloc(x->batch * sizeof *a->points);
    a->logits = ps_try_alloc_raw(x->batch * (size_t)x->outputs * sizeof *a->logits);
    a->rows = ps_try_alloc_raw(x->batch * QUANTITIES * sizeof *a->rows);
    if (!a->points || !a->logits || !a->rows)
        return ps_fail(PS_NO_MEMORY, "answers of %zu rows; lower explain.batch", x->batch);
    return x->other->beside(x->other->user, x, &a->other);
}

static void compare(const float *z, const float *its, int64_t n, int32_t label, float *out)
{
    double mine = ps_explain_log_sum(z, n), other = ps_explain_log_sum(its, n), divergence = 0;
    for (int64_t i = 0; i < n; i++) {
        double p = (double)z[i] - mine, q = (double)its[i] - other;
        divergence += exp(p) * (p - q);
    }
    out[DIVERGENCE] = (float)ps_explain_worse(divergence, 0); /* not below it by rounding */
    out[FLIP] = ps_explain_largest(z, n) != ps_explain_largest(its, n);
    out[LOSS] = label < 0 ? NAN : (float)(mine - (double)z[label]);
    out[OTHER_LOSS] = label < 0 ? NAN : (float)(other - (double)its[label]);
}

static ps_status answer(ps_explaining *x, answering *a, const ps_explain_items *items)
{
    const ps_model_batch batch = {.rows = (int64_t)items->n,
                                  .features = items->features,
                                  .tokens = items->tokens,
                                  .length = items->length};
    for (size_t i = 0; i < items->n; i++)
        a->points[i] = (ps_model_point){.row = (int64_t)i, .position = items->length - 1};
    x->evaluations += items->n;
    ps_status st = ps_model_forward(a->other.model, &batch, NULL);
    return st ? st : ps_model_outputs_at(a->other.model, a->points, items->n, a->logits);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    answering *a = state;
    ps_status st = answer(x, a, items);
    if (st)
        return st;
    for (size_t i = 0; i < items->n; i++)
        compare(items->logits + i * (size_t)x->outputs, a->logits + i * (size_t)x->outputs,
                x->outputs, items->labels[i], a->rows + i * QUANTITIES);
    return ps_explain_put_values(out, "rows", "quantity", items->n, QUANTITIES, a->rows);
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    const ps_explain_array *rows = ps_explain_get(merged, "rows");
    if (!rows) /* all were left out */
        return PS_OK;
    if (rows->rank != 2 || rows->shape[1] != QUANTITIES || !rows->floats)
        return ps_fail(PS_CORRUPT, "answer_change: its rows are of another shape");
    double n = (double)rows->shape[0], sums[QUANTITIES] = {0};
    for (uint64_t i = 0; i < rows->shape[0] * QUANTITIES; i++)
        sums[i % QUANTITIES] += (double)rows->floats[i];
    const float summary[] = {(float)n, (float)(sums[DIVERGENCE] / n), (float)sums[FLIP],
                             (float)(sums[LOSS] / n), (float)(sums[OTHER_LOSS] / n)};
    const uint64_t shape[1] = {sizeof summary / sizeof *summary};
    return ps_explain_put_result(merged, "summary", "quantity", 1, shape, summary);
}

const ps_explain_method ps_explain_method_answer_change = {.name = "answer_change",
                                                           .entries = entries,
                                                           .prepare = prepare,
                                                           .run = run,
                                                           .free = free_answering,
                                                           .finish = finish};
