/* tracin: how much a step of sgd on a row of data.train would lower the loss of a chosen row of
 * data.test, at this model: rate · ⟨∇loss(train row), ∇loss(query)⟩ (TracIn, Pruthi and others
 * 2020, of one checkpoint). Above 0: it helps. What it leaves stands in train_scores.h. */
#include "worker/explain/products.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"
#include "worker/explain/train_scores.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

typedef struct tracing {
    ps_train_scores scores;
    ps_products products;
    float **a, **d;  /* [layers]: of all queries, as in row_gradients.h */
    float *along[2]; /* [queries, batch]: a·a' and δ·δ' of a layer */
    double *sum;     /* [queries, batch] */
    double rate;
} tracing;

/* ---- queries ---- */

static ps_status keep_queries(void *user, size_t first, size_t n)
{
    tracing *t = user;
    const ps_row_gradients *g = &t->scores.gradients;
    for (size_t l = 0; l < g->layers; l++) {
        memcpy(t->a[l] + first * g->in[l], g->a[l], n * g->in[l] * sizeof(float));
        memcpy(t->d[l] + first * g->out[l], g->d[l], n * g->out[l] * sizeof(float));
    }
    return PS_OK;
}

/* What is kept, and what the widest layer's is once more where it is multiplied. */
static ps_status check_room(const tracing *t)
{
    const ps_row_gradients *g = &t->scores.gradients;
    size_t widest = 0;
    for (size_t l = 0; l < g->layers; l++) {
        size_t wide = g->in[l] > g->out[l] ? g->in[l] : g->out[l];
        widest = wide > widest ? wide : widest;
    }
    uint64_t each = g->in_all + g->out_all + widest + 5 * g->batch;
    return ps_explain_room(t->scores.queries.n * each * sizeof(float), "gradients of queries",
                           "explain fewer rows: lower explain.rows");
}

static ps_status take_memory(tracing *t)
{
    const ps_row_gradients *g = &t->scores.gradients;
    size_t queries = t->scores.queries.n, pairs = queries * g->batch;
    bool whole = true;
    ps_status st = check_room(t);
    if (st)
        return st;
    t->a = ps_alloc_array(g->layers, sizeof *t->a);
    t->d = ps_alloc_array(g->layers, sizeof *t->d);
    for (size_t l = 0; l < g->layers; l++) {
        t->a[l] = ps_try_alloc_raw(queries * g->in[l] * sizeof(float));
        t->d[l] = ps_try_alloc_raw(queries * g->out[l] * sizeof(float));
        whole = whole && t->a[l] && t->d[l];
    }
    t->along[0] = ps_try_alloc_raw(pairs * sizeof(float));
    t->along[1] = ps_try_alloc_raw(pairs * sizeof(float));
    t->sum = ps_try_alloc_raw(pairs * sizeof *t->sum);
    return whole && t->along[0] && t->along[1] && t->sum
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "gradients of %zu queries; explain fewer rows", queries);
}

static void free_memory(tracing *t)
{
    for (size_t l = 0; t->a && l < t->scores.gradients.layers; l++) {
        ps_free(&t->a[l]);
        ps_free(&t->d[l]);
    }
    ps_free(&t->a);
    ps_free(&t->d);
    ps_free(&t->along[0]);
    ps_free(&t->along[1]);
    ps_free(&t->sum);
    ps_products_free(&t->products);
    ps_train_scores_close(&t->scores);
}

/* ---- rows ---- */

static double squared_norm(const float *v, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)v[i] * (double)v[i];
    return sum;
}

static void note_self(tracing *t, size_t first, size_t n)
{
    const ps_row_gradients *g = &t->scores.gradients;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t l = 0; l < g->layers; l++)
            sum += squared_norm(g->a[l] + i * g->in[l], g->in[l]) *
                   squared_norm(g->d[l] + i * g->out[l], g->out[l]);
        t->scores.self[first + i] = g->odd[i] ? NAN : (float)(t->rate * sum);
    }
}

static ps_status add_layer(tracing *t, size_t l, size_t n)
{
    const ps_row_gradients *g = &t->scores.gradients;
    size_t queries = t->scores.queries.n;
    ps_status st =
        ps_products_rows(&t->products, t->a[l], queries, g->a[l], n, g->in[l], t->along[0]);
    if (!st)
        st = ps_products_rows(&t->products, t->d[l], queries, g->d[l], n, g->out[l], t->along[1]);
    for (size_t i = 0; !st && i < queries * n; i++)
        t->sum[i] += (double)t->along[0][i] * (double)t->along[1][i];
    return st;
}

static ps_status score_rows(void *user, size_t first, size_t n)
{
    tracing *t = user;
    size_t queries = t->scores.queries.n, all = (size_t)(t->scores.end - t->scores.begin);
    ps_status st = PS_OK;
    memset(t->sum, 0, queries * n * sizeof *t->sum);
    for (size_t l = 0; !st && l < t->scores.gradients.layers; l++)
        st = add_layer(t, l, n);
    for (size_t q = 0; !st && q < queries; q++)
        for (size_t i = 0; i < n; i++)
            t->scores.scores[q * all + first + i] = (float)(t->rate * t->sum[q * n + i]);
    note_self(t, first, n);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    tracing t = {.products = {.model = x->model}, .rate = spec->rate};
    ps_status st = ps_train_scores_open(x, spec, &t.scores);
    if (!st)
        st = take_memory(&t);
    if (!st)
        st = ps_train_scores_each_query(&t.scores, PS_GRADIENT_LOSS, keep_queries, &t);
    if (!st)
        st = ps_train_scores_each_row(&t.scores, PS_GRADIENT_LOSS, score_rows, &t);
    if (!st)
        st = ps_train_scores_put(&t.scores, out);
    free_memory(&t);
    return st;
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    return ps_train_scores_finish(spec, merged);
}

const ps_explain_method ps_explain_method_tracin = {.name = "tracin", .run = run, .finish = finish};
