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
#include "worker/explain/ekfac_sums.h"
#include "worker/explain/products.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"
#include "worker/explain/train_scores.h"

#include "common/base/mem.h"
#include "common/base/ranked.h"
#include "common/base/require.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

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
    float *made;           /* [batch, out·in] of a layer; of rows of several positions */
    float **queries;       /* [layers]: [queries, out·in], what each is multiplied with */
    ps_buffer **kept;      /* [layers]: the same, and behind them the inverse, where they are
                              multiplied */
    float *inverse;        /* [weights]: 1 / (Λ + λ) */
    double *rowsum, *self; /* [queries, batch], [batch] */
} curving;

static sides sides_of(const ps_row_gradients *g, size_t layer)
{
    return (sides){g->in[layer], g->out[layer]};
}

static bool makes(const curving *c)
{
    return c->scores.gradients.length > 1;
}

/* ---- before it begins ---- */

static ps_status check_room(const ps_explaining *x, const ps_row_sizes *s, size_t length)
{
    uint64_t queries = ps_spec_explain_items(x->spec);
    uint64_t made = length > 1 ? x->batch : 0;
    uint64_t bytes =
        x->pass == 0 ? 2 * s->squares * sizeof(double)
        : x->pass == 1
            ? 2 * s->weights * sizeof(double) + (s->squares + made * s->largest) * sizeof(float)
            : ((2 * queries + 3) * s->weights + made * s->largest) * sizeof(float);
    if (s->widest > PS_EKFAC_SIDE_MOST)
        return ps_fail(PS_OUT_OF_RANGE,
                       "a layer of %" PRIu64 " is wider than %d, whose eigenvectors it needs; "
                       "take trak or tracin",
                       s->widest - 1, PS_EKFAC_SIDE_MOST);
    return ps_explain_room(bytes, "what all rows make of a gradient",
                           x->pass == 2
                               ? "explain fewer rows: lower explain.rows"
                               : "it is a number for each two inputs of a layer: take trak");
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    ps_row_layer *layers = NULL;
    size_t n = ps_row_layers(x->model, &layers);
    const ps_row_sizes sizes = ps_row_layers_sizes(layers, n);
    ps_free(&layers);
    return check_room(x, &sizes, x->language ? 2 : 1);
}

/* ---- pass 0 ---- */

/* Adds Σ v·vᵀ of v[n, side]. */
static ps_status add_square(curving *c, const float *v, size_t side, size_t n, double *sum)
{
    ps_status st = ps_products_columns(&c->products, v, side, v, side,
                                       n * c->scores.gradients.positions, c->room);
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
    n *= g->positions;
    ps_status st = ps_products_rows(&c->products, g->a[layer], n, vectors, s.in, s.in, c->a);
    if (!st)
        st = ps_products_rows(&c->products, g->d[layer], n, vectors + s.in * s.in, s.out, s.out,
                              c->d);
    if (!st && makes(c))
        st = ps_row_gradients_make(g, &c->products, c->d, s.out, c->a, s.in, c->made);
    return st;
}

static void square(float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] *= v[i];
}

/* Of rows of one position: (δ·aᵀ)² is δ²·(a²)ᵀ. */
static ps_status add_squares(curving *c, sides s, size_t n, double *sum)
{
    square(c->a, n * s.in);
    square(c->d, n * s.out);
    ps_status st = ps_products_columns(&c->products, c->d, s.out, c->a, s.in, n, c->room);
    for (size_t i = 0; !st && i < s.out * s.in; i++)
        sum[i] += (double)c->room[i];
    return st;
}

static void add_made_squares(curving *c, size_t all, size_t n, double *sum)
{
    for (size_t i = 0; i < n * all; i++)
        sum[i % all] += (double)c->made[i] * (double)c->made[i];
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
        if (!st && makes(c))
            add_made_squares(c, s.out * s.in, n, sum);
        else if (!st)
            st = add_squares(c, s, n, sum);
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

/* Query i of those that were turned last, divided by what all rows make of it. */
static void divide(const curving *c, sides s, size_t i, const float *inverse, float *to)
{
    const float *a = c->a + i * s.in, *d = c->d + i * s.out;
    if (makes(c))
        for (size_t k = 0; k < s.out * s.in; k++)
            to[k] = c->made[i * s.out * s.in + k] * inverse[k];
    else
        for (size_t o = 0; o < s.out; o++)
            for (size_t k = 0; k < s.in; k++)
                to[o * s.in + k] = d[o] * a[k] * inverse[o * s.in + k];
}

static ps_status keep_queries(void *user, size_t first, size_t n)
{
    curving *c = user;
    const ps_row_gradients *g = &c->scores.gradients;
    const float *vectors = c->vectors, *inverse = c->inverse;
    ps_status st = PS_OK;
    for (size_t l = 0; !st && l < g->layers; l++) {
        sides s = sides_of(g, l);
        st = turn(c, l, vectors, n);
        for (size_t i = 0; !st && i < n; i++)
            divide(c, s, i, inverse, c->queries[l] + (first + i) * s.out * s.in);
        vectors += s.in * s.in + s.out * s.out;
        inverse += s.in * s.out;
    }
    return st;
}

/* All queries of a layer are one matrix, which all rows are multiplied with. */
static ps_status place_queries(curving *c)
{
    const ps_row_gradients *g = &c->scores.gradients;
    ps_status st = PS_OK;
    for (size_t l = 0; !st && l < g->layers; l++) {
        sides s = sides_of(g, l);
        size_t n = c->scores.queries.n, k = s.out * s.in;
        st = makes(c) ? ps_products_keep(&c->products, c->queries[l], n, k, &c->kept[l])
                      : ps_products_keep(&c->products, c->queries[l], n * s.out, s.in, &c->kept[l]);
        ps_free(&c->queries[l]);
    }
    return st;
}

/* Of rows of one position δᵀ·w·a of each query's w[out, in]: w·a of all of them at once. */
static ps_status add_forms(curving *c, size_t l, sides s, size_t n)
{
    size_t queries = c->scores.queries.n, batch = c->scores.gradients.batch, wide = queries * s.out;
    ps_status st = ps_products_rows_kept(&c->products, c->a, n, c->kept[l], wide, s.in, c->room);
    for (size_t i = 0; !st && i < n; i++)
        for (size_t q = 0; q < queries; q++) {
            const float *wa = c->room + i * wide + q * s.out, *d = c->d + i * s.out;
            double sum = 0;
            for (size_t o = 0; o < s.out; o++)
                sum += (double)wa[o] * (double)d[o];
            c->rowsum[q * batch + i] += sum;
        }
    return st;
}

static ps_status add_self(curving *c, const float *inverse, sides s, size_t n)
{
    square(c->a, n * s.in);
    square(c->d, n * s.out);
    ps_status st = ps_products_rows(&c->products, c->a, n, inverse, s.out, s.in, c->room);
    for (size_t i = 0; !st && i < n; i++)
        for (size_t o = 0; o < s.out; o++)
            c->self[i] += (double)c->room[i * s.out + o] * (double)c->d[i * s.out + o];
    return st;
}

static ps_status add_made(curving *c, size_t l, const float *inverse, size_t all, size_t n)
{
    size_t queries = c->scores.queries.n, batch = c->scores.gradients.batch;
    ps_status st =
        ps_products_rows_kept(&c->products, c->made, n, c->kept[l], queries, all, c->room);
    for (size_t i = 0; !st && i < n; i++) {
        const float *g = c->made + i * all;
        for (size_t q = 0; q < queries; q++)
            c->rowsum[q * batch + i] += (double)c->room[i * queries + q];
        for (size_t k = 0; k < all; k++)
            c->self[i] += (double)g[k] * (double)g[k] * (double)inverse[k];
    }
    return st;
}

static ps_status score_layer(curving *c, size_t l, const float *vectors, const float *inverse,
                             size_t n)
{
    sides s = sides_of(&c->scores.gradients, l);
    ps_status st = turn(c, l, vectors, n);
    if (st || makes(c))
        return st ? st : add_made(c, l, inverse, s.out * s.in, n);
    st = add_forms(c, l, s, n);
    return st ? st : add_self(c, inverse, s, n);
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
        st = score_layer(c, l, vectors, c->inverse + at, n);
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

static bool take_queries(curving *c)
{
    const ps_row_gradients *g = &c->scores.gradients;
    size_t queries = c->scores.queries.n;
    bool whole = true;
    c->queries = ps_alloc_array(g->layers, sizeof *c->queries);
    c->kept = ps_alloc_array(g->layers, sizeof *c->kept);
    for (size_t l = 0; l < g->layers; l++) {
        c->queries[l] = ps_try_alloc_raw((queries * g->in[l] * g->out[l] + 1) * sizeof(float));
        whole = whole && c->queries[l];
    }
    c->inverse = ps_try_alloc_raw(c->weights * sizeof *c->inverse);
    c->rowsum = ps_try_alloc_raw((queries * g->batch + 1) * sizeof *c->rowsum);
    c->self = ps_try_alloc_raw(g->batch * sizeof *c->self);
    return whole && c->inverse && c->rowsum && c->self;
}

static ps_status take_memory(curving *c, unsigned pass)
{
    const ps_row_gradients *g = &c->scores.gradients;
    size_t in = 1, out = 1, batch = g->batch, queries = c->scores.queries.n;
    const ps_row_sizes sizes = ps_row_layers_sizes(g->layer, g->layers);
    c->squares = (size_t)sizes.squares;
    c->weights = (size_t)sizes.weights;
    for (size_t l = 0; l < g->layers; l++) {
        in = ps_most(in, g->in[l]);
        out = ps_most(out, g->out[l]);
    }
    size_t room = ps_most(in > out ? in * in : out * out, batch * out);
    if (pass == 2)
        room = ps_most(room, batch * queries * (makes(c) ? 1 : out));
    c->room = ps_try_alloc_raw(room * sizeof *c->room);
    c->a = ps_try_alloc_raw(batch * g->length * in * sizeof *c->a);
    c->d = ps_try_alloc_raw(batch * g->length * out * sizeof *c->d);
    c->made = ps_try_alloc_raw((makes(c) ? batch * (size_t)sizes.largest : 1) * sizeof *c->made);
    bool whole = c->room && c->a && c->d && c->made;
    if (pass < 2) {
        c->sums = ps_try_alloc((pass ? c->weights : c->squares) * sizeof *c->sums);
        whole = whole && c->sums;
    } else {
        whole = take_queries(c) && whole;
    }
    return whole ? PS_OK
                 : ps_fail(PS_NO_MEMORY, "%zu queries of %zu parameters; explain fewer rows",
                           queries, c->weights);
}

static void free_memory(curving *c)
{
    for (size_t l = 0; c->kept && l < c->scores.gradients.layers; l++) {
        ps_free(&c->queries[l]);
        ps_products_drop(&c->products, &c->kept[l]);
    }
    ps_free(&c->queries);
    ps_free(&c->kept);
    ps_free(&c->room);
    ps_free(&c->a);
    ps_free(&c->d);
    ps_free(&c->made);
    ps_free(&c->sums);
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

/* Of each layer in and out, for whoever finds eigenvectors. */
static ps_status put_shapes(const curving *c, ps_explain_part *out)
{
    const ps_row_gradients *g = &c->scores.gradients;
    const uint64_t shape[] = {g->layers, 2};
    float *sizes = ps_alloc_array(2 * g->layers, sizeof *sizes);
    for (size_t l = 0; l < g->layers; l++) {
        sizes[2 * l] = (float)g->in[l]; /* at most PS_EKFAC_SIDE_MOST */
        sizes[2 * l + 1] = (float)g->out[l];
    }
    ps_status st = ps_explain_put_result(out, PS_EKFAC_SHAPES, "layer side", 2, shape, sizes);
    ps_free(&sizes);
    return st;
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
    if (!st && x->pass == 0)
        st = put_shapes(c, out);
    return st;
}

static ps_status score(curving *c, ps_explain_part *out)
{
    invert(c);
    ps_status st = ps_train_scores_each_query(&c->scores, PS_GRADIENT_LOSS, keep_queries, c);
    if (!st)
        st = place_queries(c);
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

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    return x->pass == 2 ? ps_train_scores_finish(spec, merged)
                        : ps_ekfac_finish_sums(x, merged, x->pass ? "lambda" : "vectors");
}

const ps_explain_method ps_explain_method_ekfac = {
    .name = "ekfac", .prepare = prepare, .run = run, .finish = finish};
