#include "worker/explain/look.h"

#include "common/base/mem.h"
#include "common/base/require.h"

ps_status ps_explain_look(ps_explaining *x, const ps_explain_items *items,
                          const ps_model_hooks *hooks)
{
    const ps_model_batch batch = {.rows = (int64_t)items->n,
                                  .features = items->features,
                                  .tokens = items->tokens,
                                  .length = items->length};
    PS_REQUIRE(items->n > 0 && items->n <= x->batch);
    ps_status st = x->check ? x->check(x->user) : PS_OK;
    if (!st)
        st = ps_model_forward(x->model, &batch, hooks);
    x->evaluations += items->n;
    return st;
}

static ps_status read_scores(ps_explaining *x, const ps_explain_items *items,
                             ps_model_point *points, float *logits, double *scores)
{
    for (size_t i = 0; i < items->n; i++)
        points[i] = (ps_model_point){.row = (int64_t)i, .position = items->length - 1};
    ps_status st = ps_model_outputs_at(x->model, points, items->n, logits);
    for (size_t i = 0; !st && i < items->n; i++)
        scores[i] =
            ps_explain_score_of(&items->goals[i], logits + i * (size_t)x->outputs, x->outputs);
    return st;
}

ps_status ps_explain_look_scores(ps_explaining *x, const ps_explain_items *items,
                                 const ps_model_hooks *hooks, double *scores)
{
    ps_model_point *points = ps_try_alloc_raw(items->n * sizeof *points);
    float *logits = ps_try_alloc_raw(items->n * (size_t)x->outputs * sizeof *logits);
    ps_status st = points && logits ? PS_OK : ps_fail(PS_NO_MEMORY, "%zu answers", items->n);
    if (!st)
        st = ps_explain_look(x, items, hooks);
    if (!st)
        st = read_scores(x, items, points, logits, scores);
    ps_free(&points);
    ps_free(&logits);
    return st;
}

ps_status ps_explain_look_back(ps_explaining *x, const ps_explain_items *items,
                               const ps_model_hooks *hooks)
{
    size_t outputs = (size_t)x->outputs;
    ps_model_point *points = ps_try_alloc_raw(items->n * sizeof *points);
    float *seeds = ps_try_alloc_raw(items->n * outputs * sizeof *seeds);
    ps_status st = points && seeds ? PS_OK : ps_fail(PS_NO_MEMORY, "%zu gradients", items->n);
    for (size_t i = 0; !st && i < items->n; i++) {
        points[i] = (ps_model_point){.row = (int64_t)i, .position = items->length - 1};
        ps_explain_score_gradient(&items->goals[i], items->logits + i * outputs, x->outputs,
                                  seeds + i * outputs);
    }
    if (!st)
        st = ps_model_backward_at(x->model, points, items->n, seeds, hooks);
    x->evaluations += items->n;
    ps_free(&points);
    ps_free(&seeds);
    return st;
}

ps_status ps_explain_last(const ps_explaining *x, const ps_explain_items *items, ps_tensor seen,
                          int64_t ld, float *out)
{
    PS_REQUIRE(seen.dtype == PS_DTYPE_F32 && seen.rank == 2);
    PS_REQUIRE(seen.shape[0] == (int64_t)items->n * items->length);
    seen.offset += (size_t)((items->length - 1) * ld) * sizeof(float);
    seen.shape[0] = (int64_t)items->n;
    return ps_tap_read(ps_model_stream(x->model), seen, items->length * ld, out);
}
