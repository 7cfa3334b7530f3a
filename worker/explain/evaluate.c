/* Happy path: as many points as the model takes are made, go forward, are scored, go backward if
 * their gradients are wanted, and are handed on in their order. */
#include "worker/explain/method.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <inttypes.h>

/* Memory of a call, for the largest of its batches. */
typedef struct room {
    size_t most; /* points at once */
    void *points;
    float *logits, *seeds, *gradients;
    size_t *of;
    ps_model_point *at;
} room;

static void room_free(room *r)
{
    ps_free(&r->points);
    ps_free(&r->logits);
    ps_free(&r->seeds);
    ps_free(&r->gradients);
    ps_free(&r->of);
    ps_free(&r->at);
}

/* Numbers of a point, tokens or not. */
static size_t one_point(const ps_explaining *x, const ps_explain_items *items,
                        const ps_explain_points *points)
{
    if (points->tokens)
        return (size_t)items->length;
    if (points->first)
        return (size_t)ps_model_tap_columns(x->model, (ps_tap){PS_TAP_LAYER_PRE, 0});
    return ps_explain_width(x, items);
}

static ps_status room_take(const ps_explaining *x, const ps_explain_items *items,
                           const ps_explain_points *points, room *out)
{
    size_t most = points->n < x->batch ? points->n : x->batch;
    size_t outputs = (size_t)x->outputs, width = one_point(x, items, points);
    _Static_assert(sizeof(float) == sizeof(int32_t), "a point is numbers or tokens");
    *out = (room){.most = most};
    out->points = ps_try_alloc_raw(most * width * sizeof(float));
    out->logits = ps_try_alloc_raw(most * outputs * sizeof(float));
    out->of = ps_try_alloc_raw(most * sizeof *out->of);
    out->at = ps_try_alloc_raw(most * sizeof *out->at);
    bool whole = out->points && out->logits && out->of && out->at;
    if (points->gradients) {
        out->seeds = ps_try_alloc_raw(most * outputs * sizeof(float));
        out->gradients = ps_try_alloc_raw(most * width * sizeof(float));
        whole = whole && out->seeds && out->gradients;
    }
    return whole
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "points of %zu numbers, %zu at a time; lower explain.batch",
                         width, most);
}

static void make(const ps_explaining *x, const ps_explain_items *items,
                 const ps_explain_points *points, size_t first, size_t n, room *r)
{
    size_t one = one_point(x, items, points);
    for (size_t i = 0; i < n; i++) {
        r->at[i] = (ps_model_point){.row = (int64_t)i, .position = items->length - 1};
        r->of[i] = 0;
        points->make(points->user, first + i, (float *)r->points + i * one, &r->of[i]);
        PS_REQUIRE(r->of[i] < items->n);
    }
}

static ps_status forward(ps_explaining *x, const ps_explain_items *items,
                         const ps_explain_points *points, size_t n, const room *r)
{
    ps_model_batch batch = {.rows = (int64_t)n, .length = items->length};
    if (points->tokens)
        batch.tokens = r->points;
    else if (points->first)
        batch.first = r->points;
    else if (x->language)
        batch.embeddings = r->points;
    else
        batch.features = r->points;
    ps_status st = ps_model_forward(x->model, &batch, points->hooks);
    if (!st)
        st = ps_model_outputs_at(x->model, r->at, n, r->logits);
    x->evaluations += n;
    return st;
}

static ps_status backward(ps_explaining *x, const ps_explain_items *items,
                          const ps_explain_points *points, size_t n, const room *r)
{
    size_t outputs = (size_t)x->outputs;
    for (size_t i = 0; i < n; i++)
        ps_explain_score_gradient(&items->goals[r->of[i]], r->logits + i * outputs, x->outputs,
                                  r->seeds + i * outputs);
    ps_status st = ps_model_backward_at(x->model, r->at, n, r->seeds, points->hooks);
    if (!st)
        st = ps_copy_to_host(ps_model_stream(x->model), r->gradients,
                             ps_model_input_gradient(x->model),
                             n * one_point(x, items, points) * sizeof(float));
    x->evaluations += n;
    return st;
}

static void take(const ps_explaining *x, const ps_explain_items *items,
                 const ps_explain_points *points, size_t first, size_t n, const room *r)
{
    size_t width = one_point(x, items, points), outputs = (size_t)x->outputs;
    for (size_t i = 0; i < n; i++) {
        double score =
            ps_explain_score_of(&items->goals[r->of[i]], r->logits + i * outputs, x->outputs);
        points->take(points->user, first + i, score,
                     points->gradients ? r->gradients + i * width : NULL);
    }
}

ps_status ps_explain_evaluate(ps_explaining *x, const ps_explain_items *items,
                              const ps_explain_points *points)
{
    PS_REQUIRE(x->model && items->n > 0 && items->n <= x->batch);
    PS_REQUIRE(!points->tokens || (x->language && !points->gradients));
    PS_REQUIRE(!points->first || !x->language);
    room r = {.most = 1};
    ps_status st = points->n ? room_take(x, items, points, &r) : PS_OK;
    for (size_t first = 0; !st && first < points->n; first += r.most) {
        size_t n = points->n - first < r.most ? points->n - first : r.most;
        st = x->check ? x->check(x->user) : PS_OK;
        if (st)
            break;
        make(x, items, points, first, n, &r);
        st = forward(x, items, points, n, &r);
        if (!st && points->gradients)
            st = backward(x, items, points, n, &r);
        if (!st)
            take(x, items, points, first, n, &r);
    }
    room_free(&r);
    return st;
}
