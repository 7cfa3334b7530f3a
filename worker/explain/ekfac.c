/* ekfac: what taking a row of data.train with more weight would lower the loss of a query by, with
 * what all the rows make of it: ⟨∇L(q), (G + λ)⁻¹ ∇L(z)⟩, G the Gauss-Newton matrix of the loss,
 * layer by layer as EK-FAC has it (George and others 2018; Grosse and others 2023). Of a layer with
 * A = E[a·aᵀ] and S = E[δ·δᵀ], a what it takes and δ the gradient by what it gives, of a label that
 * is drawn from the model's answer (`empirical: true`: of the row's own),
 *
 *     pass 0   A and S, whose eigenvectors Q_A, Q_S finish finds
 *     pass 1   Λ = E[(Q_Sᵀ·δ·aᵀ·Q_A)²], number by number
 *     pass 2   scores, Q_Sᵀ·g_q·Q_A / (Λ + λ) against each row, with λ = damping · mean Λ
 *
 * What it leaves in the end stands in train_scores.h. */
#include "worker/explain/products.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"
#include "worker/explain/train_scores.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/eigen.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { SIDE_MOST = 8192 }; /* of a matrix whose eigenvectors are found */

/* A layer's sides, as row_gradients.h has them. */
typedef struct sides {
    size_t in, out;
} sides;

typedef struct curving {
    ps_train_scores scores;
    ps_products products;
    ps_gradient_of of;
    const float *vectors; /* of pass 0: Q_A and Q_S of each layer, a vector a row */
    const float *lambda;  /* of pass 1: [out, in] of each layer */
    double damping;
    size_t squares, weights; /* numbers of all layers: in² + out²; in·out */
    double *sums;            /* of this pass */
    double rows;
    float *room, *a, *d;   /* a product; turned a and δ of a batch, of a layer */
    float *queries;        /* [queries, weights]: what each is multiplied with */
    float *inverse;        /* [weights]: 1 / (Λ + λ) */
    double *rowsum, *self; /* [queries, batch], [batch] */
} curving;

static sides sides_of(const ps_row_gradients *g, size_t layer)
{
    return (sides){g->in[layer], g->out[layer]};
}

/* ---- before it begins ---- */

/* Numbers of a model of these layers: in² + out², in·out. */
static void count(const ps_spec_model *m, uint64_t *squares, uint64_t *weights, uint64_t *widest)
{
    for (size_t l = 0; l + 1 < m->n_layers; l++) {
        uint64_t in = (uint64_t)m->layers[l] + 1, out = (uint64_t)m->layers[l + 1];
        *squares += in * in + out * out;
        *weights += in * out;
        *widest = in > *widest ? in : *widest;
        *widest = out > *widest ? out : *widest;
    }
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    uint64_t squares = 0, weights = 0, widest = 0;
    uint64_t queries = ps_spec_explain_items(x->spec);
    count(x->model_spec, &squares, &weights, &widest);
    if (widest > SIDE_MOST)
        return ps_fail(PS_OUT_OF_RANGE,
                       "a layer of %" PRIu64 " is wider than %d, whose eigenvectors it needs; "
                       "take trak or tracin",
                       widest - 1, SIDE_MOST);
    uint64_t bytes = x->pass == 0   ? 2 * squares * sizeof(double)
                     : x->pass == 1 ? 2 * weights * sizeof(double) + squares * sizeof(float)
                                    : (queries + 2) * weights * sizeof(float);
    return ps_explain_room(bytes, "what all rows make of a gradient",
                           x->pass == 2
                               ? "explain fewer rows: lower explain.rows"
                               : "it is a number for each two inputs of a layer: take trak");
}

/* ---- pass 0 ---- */

/* Adds Σ v·vᵀ of v[n, side]. */
static ps_status add_square(curving *c, const float *v, size_t side, size_t n, double *sum)
{
    ps_status st = ps_products_columns(&c->products, v, side, v, side, n, c->room);
    for (size_t i = 0; !st && i < side * side; i++)
        sum[i] += (double)c->room[i];
    return st;
}

static void count_rows(curving *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        c->rows += !c->scores.gradients.odd[i];
}

static ps_status add_factors(void *user, size_t first, size_t n)
{
    curving *c = user;
    const ps_row_gradients *g = &c->scores.gradients;
    double *sum = c->sums;
    ps_status st = PS_OK;
    for (size_t l = 0; !st && l < g->layers; l++) {
        sides s = sides_of(g, l);
        st = add_square(c, g->a[l], s.in, n, sum);
        sum += s.in * s.in;
        if (!st)
            st = add_square(c, g->d[l], s.out, n, sum);
        sum += s.out * s.out;
    }
    count_rows(c, n);
    return st;
}

/* ---- pass 1 ---- */

/* a and δ of a layer's batch in the eigenvectors' directions. */
static ps_status turn(curving *c, size_t layer, const float *vectors, size_t n)
{
    const ps_row_gradients *g = &c->scores.gradients;
    sides s = sides_of(g, layer);
    PS_REQUIRE(vectors && n <= g->batch);
    ps_status st = ps_products_rows(&c->products, g->a[layer], n, vectors, s.in, s.in, c->a);
    return st ? st
              : ps_products_rows(&c->products, g->d[layer], n, vectors + s.in * s.in, s.out, s.out,
                                 c->d);
}

static void square(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] *= v[i];
}

static ps_status add_lambda(void *user, size_t first, size_t n)
{
    curving *c = user;
    const ps_row_gradients *g = &c->scores.gradients;
    const float *vectors = c->vectors;
    double *sum = c->sums;
    ps_status st = PS_OK;
    for (size_t l = 0; !st && l < g->layers; l++) {
        sides s = sides_of(g, l);
        st = turn(c, l, vectors, n);
        square(c->a, n * s.in);
        square(c->d, n * s.out);
        if (!st)
            st = ps_products_columns(&c->products, c->d, s.out, c->a, s.in, n, c->room);
        for (size_t i = 0; !st && i < s.out * s.in; i++)
            sum[i] += (double)c->room[i];
        vectors += s.in * s.in + s.out * s.out;
        sum += s.in * s.out;
    }
    count_rows(c, n);
    return st;
}

/* ---- pass 2 ---- */

static void invert(curving *c)
{
    const ps_row_gradients *g = &c->scores.gradients;
    size_t at = 0;
    for (size_t l = 0; l < g->layers; l++) {
        size_t n = g->in[l] * g->out[l];
        double mean = 0;
        for (size_t i = at; i < at + n; i++)
            mean += (double)c->lambda[i] / (double)n;
        for (size_t i = at; i < at + n; i++) {
            double whole = fmax((double)c->lambda[i], 0) + c->damping * mean;
            c->inverse[i] = whole > 0 ? (float)(1 / whole) : 0;
        }
        at += n;
    }
    PS_REQUIRE(at == c->weights);
}

static ps_status keep_queries(void *user, size_t first, size_t n)
{
    curving *c = user;
    const ps_row_gradients *g = &c->scores.gradients;
    const float *vectors = c->vectors;
    ps_status st = PS_OK;
    for (size_t l = 0, at = 0; !st && l < g->layers; l++) {
        sides s = sides_of(g, l);
        st = turn(c, l, vectors, n);
        for (size_t i = 0; !st && i < n; i++) {
            float *to = c->queries + (first + i) * c->weights + at;
            for (size_t o = 0; o < s.out; o++)
                for (size_t k = 0; k < s.in; k++)
                    to[o * s.in + k] =
                        c->d[i * s.out + o] * c->a[i * s.in + k] * c->inverse[at + o * s.in + k];
        }
        vectors += s.in * s.in + s.out * s.out;
        at += s.in * s.out;
    }
    return st;
}

/* sum[i] += δᵢᵀ·w·aᵢ of w[out, in]. */
static ps_status add_forms(curving *c, const float *w, sides s, size_t n, double *sum)
{
    ps_status st = ps_products_rows(&c->products, c->a, n, w, s.out, s.in, c->room);
    for (size_t i = 0; !st && i < n; i++)
        for (size_t o = 0; o < s.out; o++)
            sum[i] += (double)c->room[i * s.out + o] * (double)c->d[i * s.out + o];
    return st;
}

static ps_status score_layer(curving *c, size_t l, const float *vectors, size_t at, size_t n)
{
    const ps_row_gradients *g = &c->scores.gradients;
    sides s = sides_of(g, l);
    ps_status st = turn(c, l, vectors, n);
    for (size_t q = 0; !st && q < c->scores.queries.n; q++)
        st = add_forms(c, c->queries + q * c->weights + at, s, n, c->rowsum + q * g->batch);
    if (st)
        return st;
    square(c->a, n * s.in);
    square(c->d, n * s.out);
    return add_forms(c, c->inverse + at, s, n, c->self);
}

static ps_status score_rows(void *user, size_t first, size_t n)
{
    curving *c = user;
    const ps_row_gradients *g = &c->scores.gradients;
    size_t queries = c->scores.queries.n, all = (size_t)(c->scores.end - c->scores.begin);
    const float *vectors = c->vectors;
    ps_status st = PS_OK;
    memset(c->rowsum, 0, queries * g->batch * sizeof *c->rowsum);
    memset(c->self, 0, g->batch * sizeof *c->self);
    for (size_t l = 0, at = 0; !st && l < g->layers; l++) {
        sides s = sides_of(g, l);
        st = score_layer(c, l, vectors, at, n);
        vectors += s.in * s.in + s.out * s.out;
        at += s.in * s.out;
    }
    for (size_t i = 0; !st && i < n; i++) {
        c->scores.self[first + i] = g->odd[i] ? NAN : (float)c->self[i];
        for (size_t q = 0; q < queries; q++)
            c->scores.scores[q * all + first + i] = (float)c->rowsum[q * g->batch + i];
    }
    return st;
}

/* ---- a share ---- */

static const float *left_before(const ps_explaining *x, const char *name, size_t n)
{
    const ps_explain_array *a = x->before ? ps_explain_get(x->before, name) : NULL;
    return a && a->floats && ps_explain_array_count(a) == n ? a->floats : NULL;
}

static ps_status find_before(curving *c, const ps_explaining *x)
{
    if (x->pass > 0)
        c->vectors = left_before(x, "vectors", c->squares);
    if (x->pass > 1)
        c->lambda = left_before(x, "lambda", c->weights);
    return (x->pass > 0 && !c->vectors) || (x->pass > 1 && !c->lambda)
               ? ps_fail(PS_CORRUPT, "what the pass before has left is not of this model")
               : PS_OK;
}

static ps_status take_memory(curving *c, unsigned pass)
{
    const ps_row_gradients *g = &c->scores.gradients;
    size_t in = 1, out = 1, largest = 1, batch = g->batch, queries = c->scores.queries.n;
    for (size_t l = 0; l < g->layers; l++) {
        sides s = sides_of(g, l);
        in = s.in > in ? s.in : in;
        out = s.out > out ? s.out : out;
        c->squares += s.in * s.in + s.out * s.out;
        c->weights += s.in * s.out;
    }
    largest = in > out ? in * in : out * out;
    c->room = ps_try_alloc_raw((largest > batch * out ? largest : batch * out) * sizeof *c->room);
    c->a = ps_try_alloc_raw(batch * in * sizeof *c->a);
    c->d = ps_try_alloc_raw(batch * out * sizeof *c->d);
    bool whole = c->room && c->a && c->d;
    if (pass < 2) {
        c->sums = ps_try_alloc((pass ? c->weights : c->squares) * sizeof *c->sums);
        whole = whole && c->sums;
    } else {
        c->queries = ps_try_alloc_raw((queries * c->weights + 1) * sizeof *c->queries);
        c->inverse = ps_try_alloc_raw(c->weights * sizeof *c->inverse);
        c->rowsum = ps_try_alloc_raw((queries * batch + 1) * sizeof *c->rowsum);
        c->self = ps_try_alloc_raw(batch * sizeof *c->self);
        whole = whole && c->queries && c->inverse && c->rowsum && c->self;
    }
    return whole ? PS_OK
                 : ps_fail(PS_NO_MEMORY, "%zu queries of %zu parameters; explain fewer rows",
                           queries, c->weights);
}

static void free_memory(curving *c)
{
    ps_free(&c->room);
    ps_free(&c->a);
    ps_free(&c->d);
    ps_free(&c->sums);
    ps_free(&c->queries);
    ps_free(&c->inverse);
    ps_free(&c->rowsum);
    ps_free(&c->self);
    ps_products_free(&c->products);
    ps_train_scores_close(&c->scores);
}

/* The first share's stand for all: they are the same for everybody. */
static ps_status put_vectors(const curving *c, const ps_explaining *x, ps_explain_part *out)
{
    const uint64_t n = c->squares;
    return x->share ? PS_OK : ps_explain_put_result(out, "vectors", "number", 1, &n, c->vectors);
}

static ps_status gather(curving *c, const ps_explaining *x, ps_explain_part *out)
{
    const uint64_t n = x->pass ? c->weights : c->squares, one = 1;
    ps_status st =
        ps_train_scores_each_row(&c->scores, c->of, x->pass ? add_lambda : add_factors, c);
    if (!st)
        st = ps_explain_put_sums(out, x->pass ? "lambda" : "vectors", "number", 1, &n, c->sums);
    if (!st)
        st = ps_explain_put_sums(out, "rows", "number", 1, &one, &c->rows);
    return st;
}

static ps_status score(curving *c, ps_explain_part *out)
{
    invert(c);
    ps_status st = ps_train_scores_each_query(&c->scores, PS_GRADIENT_LOSS, keep_queries, c);
    if (!st)
        st = ps_train_scores_each_row(&c->scores, PS_GRADIENT_LOSS, score_rows, c);
    return st ? st : ps_train_scores_put(&c->scores, out);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    curving c = {.products = {.model = x->model},
                 .of = spec->empirical ? PS_GRADIENT_LOSS : PS_GRADIENT_DRAWN,
                 .damping = spec->damping};
    ps_status st = ps_train_scores_open(x, spec, &c.scores);
    if (!st)
        st = take_memory(&c, x->pass);
    if (!st)
        st = find_before(&c, x);
    if (!st)
        st = x->pass < 2 ? gather(&c, x, out) : score(&c, out);
    if (!st && x->pass == 1)
        st = put_vectors(&c, x, out);
    free_memory(&c);
    return st;
}

/* ---- all shares ---- */

static ps_status find_vectors(const ps_explaining *x, double *matrix, size_t n, double rows,
                              float *out)
{
    const ps_eigen_watch watch = {x->check, x->user}; /* of a wide layer it takes minutes */
    double *values = ps_try_alloc_raw(n * sizeof *values);
    if (!values)
        return ps_fail(PS_NO_MEMORY, "%zu eigenvalues", n);
    for (size_t i = 0; i < n * n; i++)
        matrix[i] /= rows;
    ps_status st = ps_eigen(matrix, n, values, 0, &watch);
    for (size_t i = 0; !st && i < n * n; i++)
        out[i] = (float)matrix[i];
    ps_free(&values);
    return st;
}

static ps_status find_all_vectors(const ps_explaining *x, double *sums, double rows, float *out)
{
    const ps_spec_model *m = x->model_spec;
    ps_status st = PS_OK;
    for (size_t l = 0; !st && l + 1 < m->n_layers; l++) {
        size_t in = (size_t)m->layers[l] + 1, n = (size_t)m->layers[l + 1];
        st = find_vectors(x, sums, in, rows, out);
        sums += in * in;
        out += in * in;
        if (!st)
            st = find_vectors(x, sums, n, rows, out);
        sums += n * n;
        out += n * n;
        if (st)
            st = ps_wrap(st, "layer %zu", l);
    }
    return st;
}

/* What shares have summed, of n numbers, becomes what the next pass begins with. */
static ps_status finish_sums(const ps_explaining *x, ps_explain_part *merged, const char *name,
                             uint64_t n)
{
    ps_explain_array *sums = ps_explain_find(merged, name);
    const ps_explain_array *rows = ps_explain_get(merged, "rows");
    if (!sums || !sums->doubles || ps_explain_array_count(sums) != n || !rows || !rows->doubles ||
        ps_explain_array_count(rows) != 1)
        return ps_fail(PS_CORRUPT, "sums over rows are missing");
    if (!(rows->doubles[0] > 0))
        return ps_fail(PS_OUT_OF_RANGE, "no row of data.train has a finite gradient");
    float *out = ps_try_alloc_raw(n * sizeof *out);
    if (!out)
        return ps_fail(PS_NO_MEMORY, "%" PRIu64 " numbers of layers", n);
    ps_status st = PS_OK;
    for (uint64_t i = 0; x->pass && i < n; i++)
        out[i] = (float)(sums->doubles[i] / rows->doubles[0]);
    if (!x->pass)
        st = find_all_vectors(x, sums->doubles, rows->doubles[0], out);
    if (!st)
        st = ps_explain_put_result(merged, name, "number", 1, &n, out);
    ps_explain_drop(merged, "rows");
    ps_free(&out);
    return st;
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    uint64_t squares = 0, weights = 0, widest = 0;
    count(x->model_spec, &squares, &weights, &widest);
    if (x->pass == 2)
        return ps_train_scores_finish(spec, merged);
    return finish_sums(x, merged, x->pass ? "lambda" : "vectors", x->pass ? weights : squares);
}

const ps_explain_method ps_explain_method_ekfac = {
    .name = "ekfac", .prepare = prepare, .run = run, .finish = finish};
