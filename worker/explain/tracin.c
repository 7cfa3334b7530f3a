/* tracin: how much a step of sgd on a row of data.train would lower the loss of a chosen row of
 * data.test, at this model: rate · ⟨∇loss(train row), ∇loss(query)⟩; with checkpoints of a training
 * the sum over them, each at its own rate (TracInCP, Pruthi and others 2020, arXiv 2002.08484,
 * section 3.2). Above 0: it helps. What it leaves stands in train_scores.h.
 *
 * Models are gone through one after another, in their order: a share's scores are the same bits
 * whoever computes it. */
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
    float **a, **d;  /* [layers]: of all queries, as in row_gradients.h; of rows of one position */
    float **made;    /* [layers]: [queries, out·in], their gradients; of rows of several */
    float *row;      /* [batch, out·in] of a layer, likewise */
    float *along[2]; /* [queries, batch]: a·a' and δ·δ' of a layer */
    double *sum;     /* [queries, batch] */
    double *self;    /* [batch] */
    double rate;     /* of the model at hand */
} tracing;

static bool makes(const tracing *t)
{
    return t->scores.gradients.length > 1;
}

/* ---- queries ---- */

static ps_status keep_queries(void *user, size_t first, size_t n)
{
    tracing *t = user;
    const ps_row_gradients *g = &t->scores.gradients;
    ps_status st = PS_OK;
    for (size_t l = 0; !st && l < g->layers; l++) {
        size_t in = g->in[l], out = g->out[l];
        if (makes(t)) {
            st = ps_row_gradients_make(g, &t->products, g->d[l], out, g->a[l], in,
                                       t->made[l] + first * out * in);
            continue;
        }
        memcpy(t->a[l] + first * in, g->a[l], n * in * sizeof(float));
        memcpy(t->d[l] + first * out, g->d[l], n * out * sizeof(float));
    }
    return st;
}

/* What is kept, and what the widest layer's is once more where it is multiplied. */
static ps_status check_room(const tracing *t)
{
    const ps_row_gradients *g = &t->scores.gradients;
    const ps_row_sizes s = ps_row_layers_sizes(g->layer, g->layers);
    uint64_t queries = t->scores.queries.n, floats = queries * (g->in_all + g->out_all + s.widest);
    if (makes(t))
        floats = queries * (s.weights + s.largest) + 2 * g->batch * s.largest;
    return ps_explain_room((floats + queries * 5 * g->batch) * sizeof(float),
                           "gradients of queries", "explain fewer rows: lower explain.rows");
}

static bool take_layer(tracing *t, size_t l)
{
    const ps_row_gradients *g = &t->scores.gradients;
    size_t queries = t->scores.queries.n;
    if (makes(t)) {
        t->made[l] = ps_try_alloc_raw(queries * g->out[l] * g->in[l] * sizeof(float));
        return t->made[l] != NULL;
    }
    t->a[l] = ps_try_alloc_raw(queries * g->in[l] * sizeof(float));
    t->d[l] = ps_try_alloc_raw(queries * g->out[l] * sizeof(float));
    return t->a[l] && t->d[l];
}

static ps_status take_memory(tracing *t)
{
    const ps_row_gradients *g = &t->scores.gradients;
    size_t queries = t->scores.queries.n, pairs = queries * g->batch;
    size_t largest = (size_t)ps_row_layers_sizes(g->layer, g->layers).largest;
    bool whole = true;
    ps_status st = check_room(t);
    if (st)
        return st;
    t->a = ps_alloc_array(g->layers, sizeof *t->a);
    t->d = ps_alloc_array(g->layers, sizeof *t->d);
    t->made = ps_alloc_array(g->layers, sizeof *t->made);
    for (size_t l = 0; l < g->layers; l++)
        whole = take_layer(t, l) && whole;
    t->row = ps_try_alloc_raw((makes(t) ? g->batch * largest : 1) * sizeof *t->row);
    t->along[0] = ps_try_alloc_raw(pairs * sizeof(float));
    t->along[1] = ps_try_alloc_raw(pairs * sizeof(float));
    t->sum = ps_try_alloc_raw(pairs * sizeof *t->sum);
    t->self = ps_try_alloc_raw(g->batch * sizeof *t->self);
    return whole && t->row && t->along[0] && t->along[1] && t->sum && t->self
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "gradients of %zu queries; explain fewer rows", queries);
}

static void free_memory(tracing *t)
{
    for (size_t l = 0; t->a && l < t->scores.gradients.layers; l++) {
        ps_free(&t->a[l]);
        ps_free(&t->d[l]);
        ps_free(&t->made[l]);
    }
    ps_free(&t->a);
    ps_free(&t->d);
    ps_free(&t->made);
    ps_free(&t->row);
    ps_free(&t->along[0]);
    ps_free(&t->along[1]);
    ps_free(&t->sum);
    ps_free(&t->self);
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

/* Of one position. */
static ps_status add_factors(tracing *t, size_t l, size_t n)
{
    const ps_row_gradients *g = &t->scores.gradients;
    size_t queries = t->scores.queries.n, in = g->in[l], out = g->out[l];
    const float *a = g->a[l], *d = g->d[l];
    ps_status st = ps_products_rows(&t->products, t->a[l], queries, a, n, in, t->along[0]);
    if (!st)
        st = ps_products_rows(&t->products, t->d[l], queries, d, n, out, t->along[1]);
    for (size_t i = 0; !st && i < queries * n; i++)
        t->sum[i] += (double)t->along[0][i] * (double)t->along[1][i];
    for (size_t i = 0; !st && i < n; i++)
        t->self[i] += squared_norm(a + i * in, in) * squared_norm(d + i * out, out);
    return st;
}

static ps_status add_made(tracing *t, size_t l, size_t n)
{
    const ps_row_gradients *g = &t->scores.gradients;
    size_t queries = t->scores.queries.n, all = g->in[l] * g->out[l];
    ps_status st =
        ps_row_gradients_make(g, &t->products, g->d[l], g->out[l], g->a[l], g->in[l], t->row);
    if (!st)
        st = ps_products_rows(&t->products, t->made[l], queries, t->row, n, all, t->along[0]);
    for (size_t i = 0; !st && i < queries * n; i++)
        t->sum[i] += (double)t->along[0][i];
    for (size_t i = 0; !st && i < n; i++)
        t->self[i] += squared_norm(t->row + i * all, all);
    return st;
}

static void add(float *sum, double value)
{
    *sum = (float)((double)*sum + value);
}

static ps_status score_rows(void *user, size_t first, size_t n)
{
    tracing *t = user;
    const ps_row_gradients *g = &t->scores.gradients;
    size_t queries = t->scores.queries.n, all = (size_t)(t->scores.end - t->scores.begin);
    ps_status st = PS_OK;
    memset(t->sum, 0, queries * n * sizeof *t->sum);
    memset(t->self, 0, n * sizeof *t->self);
    for (size_t l = 0; !st && l < g->layers; l++)
        st = makes(t) ? add_made(t, l, n) : add_factors(t, l, n);
    for (size_t q = 0; !st && q < queries; q++)
        for (size_t i = 0; i < n; i++)
            add(&t->scores.scores[q * all + first + i], t->rate * t->sum[q * n + i]);
    for (size_t i = 0; !st && i < n; i++)
        add(&t->scores.self[first + i], g->odd[i] ? NAN : t->rate * t->self[i]);
    return st;
}

static ps_status score_all(tracing *t)
{
    const ps_spec_explain_method *spec = t->scores.spec;
    ps_status st = PS_OK;
    for (size_t m = 0; !st && m < ps_train_scores_models(spec); m++) {
        t->rate = spec->n_checkpoints ? spec->checkpoints[m].rate : spec->rate;
        st = ps_train_scores_model(&t->scores, m);
        if (!st)
            st = ps_train_scores_each_query(&t->scores, PS_GRADIENT_LOSS, keep_queries, t);
        if (!st)
            st = ps_train_scores_each_row(&t->scores, PS_GRADIENT_LOSS, score_rows, t);
    }
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    tracing t = {.products = {.model = x->model}};
    ps_status st = ps_train_scores_open(x, spec, &t.scores);
    if (!st)
        st = take_memory(&t);
    if (!st)
        st = score_all(&t);
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
