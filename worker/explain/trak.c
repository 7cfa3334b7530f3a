/* trak: TRAK (Park and others 2023, arXiv 2303.14186) of one model or several. The model is taken
 * as linear in its parameters: as a logistic regression on φ(z) = S·∇m(z), with m = log(p / (1 −
 * p)) the margin of the label's probability p and S a sketch of `sketch` numbers
 * (common/record/sketch.h; a layer's weight with its bias, row by row, is a unit). What the row z
 * of data.train does to the margin of the query q is
 *
 *     (1 − p(z)) · φ(q)ᵀ·(ΦᵀΦ + λ)⁻¹·φ(z),   λ = ridge · the mean of ΦᵀΦ's diagonal
 *
 *     pass 0   ΦᵀΦ over data.train, whose factor's inverse C finish finds: CᵀC is that inverse
 *     pass 1   scores: (1 − p)·⟨C·φ(q), C·φ(z)⟩
 *
 * Of M models, each with a sketch of its own draw, both factors are means, as the paper (section
 * 3.2) and dattri 0.3.0 have it, without the paper's soft threshold, which is for data of which
 * most rows matter to nobody:
 *
 *     1/M Σ_m (1 − p_m(z)) · 1/M Σ_m φ_m(q)ᵀ·(Φ_mᵀΦ_m + λ_m)⁻¹·φ_m(z)
 *
 * They are gone through one after another in each pass. What it leaves in the end stands in
 * train_scores.h. */
#include "worker/explain/products.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"
#include "worker/explain/train_scores.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/record/sketch.h"
#include "worker/compress/factor.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct tracking {
    ps_train_scores scores;
    ps_products products;
    ps_sketch *sketch;
    size_t width;
    float *features, *turned; /* [batch, width]: φ, C·φ */
    float *made;              /* [batch, out·in] of a layer; NULL: rows have one position */
    float *room;              /* [width, width] or [queries, batch] */
    double *gram;             /* pass 0: [width, width] */
    double *halves;           /* [models, width·(width + 1)/2]: on and below the diagonal */
    const float *whiten;      /* pass 1: C [width, width] */
    float *queries;           /* [queries, width]: C·φ */
    double *miss, *own;       /* [rows of the share]: Σ_m 1 − p_m, Σ_m of the row with itself */
} tracking;

/* ---- features ---- */

static uint64_t half_of(uint64_t p)
{
    return p * (p + 1) / 2;
}

static ps_status open_sketch(tracking *t, size_t model)
{
    const ps_row_gradients *g = &t->scores.gradients;
    uint64_t *elements = ps_alloc_array(g->layers, sizeof *elements);
    for (size_t l = 0; l < g->layers; l++)
        elements[l] = (uint64_t)g->in[l] * (uint64_t)g->out[l];
    ps_sketch_free(&t->sketch);
    ps_status st = ps_sketch_create_drawn(elements, g->layers, (uint32_t)t->scores.spec->sketch,
                                          (uint32_t)model, &t->sketch);
    ps_free(&elements);
    return st;
}

/* The numbers of model i, and its sketch. */
static ps_status enter(tracking *t, size_t i)
{
    ps_status st = ps_train_scores_model(&t->scores, i);
    return st || i == 0 ? st : open_sketch(t, i);
}

/* Of rows of one position: a row of δ·aᵀ is a, times a number. */
static void add_factors(const tracking *t, size_t l, size_t i, float *out)
{
    const ps_row_gradients *g = &t->scores.gradients;
    const float *a = g->a[l] + i * g->in[l], *d = g->d[l] + i * g->out[l];
    for (size_t o = 0; o < g->out[l]; o++)
        if (d[o] != 0)
            ps_sketch_add(t->sketch, l, o * g->in[l], a, g->in[l], d[o], out);
}

static ps_status add_layer(tracking *t, size_t l, size_t n)
{
    const ps_row_gradients *g = &t->scores.gradients;
    size_t all = g->in[l] * g->out[l];
    ps_status st = t->made ? ps_row_gradients_make(g, &t->products, g->d[l], g->out[l], g->a[l],
                                                   g->in[l], t->made)
                           : PS_OK;
    for (size_t i = 0; !st && i < n; i++) {
        float *out = t->features + i * t->width;
        if (t->made)
            ps_sketch_add(t->sketch, l, 0, t->made + i * all, all, 1, out);
        else
            add_factors(t, l, i, out);
    }
    return st;
}

static ps_status make_features(tracking *t, size_t n)
{
    ps_status st = PS_OK;
    memset(t->features, 0, n * t->width * sizeof *t->features);
    for (size_t l = 0; !st && l < t->scores.gradients.layers; l++)
        st = add_layer(t, l, n);
    return st;
}

/* ---- pass 0 ---- */

static ps_status add_rows(void *user, size_t first, size_t n)
{
    tracking *t = user;
    size_t p = t->width;
    ps_status st = make_features(t, n);
    if (!st)
        st = ps_products_columns(&t->products, t->features, p, t->features, p, n, t->room);
    for (size_t i = 0; !st && i < p * p; i++)
        t->gram[i] += (double)t->room[i];
    return st;
}

/* ---- pass 1 ---- */

static size_t share_of(const tracking *t)
{
    return (size_t)(t->scores.end - t->scores.begin);
}

static ps_status whiten_rows(tracking *t, size_t n, float *out)
{
    PS_REQUIRE(t->whiten && n <= t->scores.gradients.batch);
    ps_status st = make_features(t, n);
    if (st)
        return st;
    return ps_products_rows(&t->products, t->features, n, t->whiten, t->width, t->width, out);
}

static ps_status keep_queries(void *user, size_t first, size_t n)
{
    tracking *t = user;
    return whiten_rows(t, n, t->queries + first * t->width);
}

static ps_status score_rows(void *user, size_t first, size_t n)
{
    tracking *t = user;
    const ps_row_gradients *g = &t->scores.gradients;
    size_t queries = t->scores.queries.n, all = share_of(t);
    ps_status st = whiten_rows(t, n, t->turned);
    if (!st)
        st = ps_products_rows(&t->products, t->queries, queries, t->turned, n, t->width, t->room);
    for (size_t i = 0; !st && i < n; i++) {
        double sum = 0;
        for (size_t k = 0; k < t->width; k++)
            sum += (double)t->turned[i * t->width + k] * (double)t->turned[i * t->width + k];
        t->own[first + i] += g->odd[i] ? NAN : sum;
        t->miss[first + i] += (double)g->miss[i];
        for (size_t q = 0; q < queries; q++)
            t->scores.scores[q * all + first + i] += t->room[q * n + i];
    }
    return st;
}

/* Of sums over the models. */
static void take_means(tracking *t)
{
    double models = (double)ps_train_scores_models(t->scores.spec);
    size_t queries = t->scores.queries.n, all = share_of(t);
    for (size_t i = 0; i < all; i++) {
        double miss = t->miss[i] / (models * models);
        t->scores.self[i] = (float)(t->own[i] * miss);
        for (size_t q = 0; q < queries; q++) {
            float *score = &t->scores.scores[q * all + i];
            *score = (float)((double)*score * miss);
        }
    }
}

/* ---- a share ---- */

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    uint64_t p = (uint64_t)spec->sketch, queries = ps_spec_explain_items(x->spec);
    uint64_t n = ps_train_scores_models(spec);
    uint64_t squares =
        x->pass ? n * p * p * sizeof(float) : (p * p + n * half_of(p)) * sizeof(double);
    uint64_t rows = (x->pass ? 2 * queries : 0) + 3 * x->batch;
    if (!x->language && x->model_spec->loss != PS_SPEC_CROSS_ENTROPY)
        return ps_fail(PS_INVALID_ARGUMENT, "the model has loss squared_error, and so no margins; "
                                            "take ekfac or tracin");
    return ps_explain_room(squares + rows * p * sizeof(float),
                           "a number for each two of a sketch, and sketches of rows",
                           spec->n_checkpoints > 1 ? "lower sketch, or name fewer checkpoints"
                                                   : "lower sketch, or explain.rows");
}

/* C of every model. */
static ps_status find_before(const tracking *t, const ps_explaining *x, const float **out)
{
    const ps_explain_array *a = x->before ? ps_explain_get(x->before, "whiten") : NULL;
    size_t models = ps_train_scores_models(t->scores.spec);
    if (!a || !a->floats || ps_explain_array_count(a) != models * t->width * t->width)
        return ps_fail(PS_CORRUPT, "what the pass before has left is not of this model");
    *out = a->floats;
    return PS_OK;
}

static ps_status take_memory(tracking *t, unsigned pass)
{
    size_t batch = t->scores.gradients.batch, queries = t->scores.queries.n, p = t->width;
    const ps_row_gradients *g = &t->scores.gradients;
    size_t room = pass ? (queries + 1) * batch : p * p;
    uint64_t made = g->length > 1 ? batch * ps_row_layers_sizes(g->layer, g->layers).largest : 0;
    ps_status st = ps_explain_room(made * sizeof *t->made, "gradients of a layer, of a batch",
                                   "lower explain.batch");
    if (st)
        return st;
    t->made = made ? ps_try_alloc_raw(made * sizeof *t->made) : NULL;
    t->features = ps_try_alloc_raw(batch * p * sizeof *t->features);
    t->room = ps_try_alloc_raw(room * sizeof *t->room);
    bool whole = t->features && t->room && (t->made || !made);
    if (pass) {
        t->turned = ps_try_alloc_raw(batch * p * sizeof *t->turned);
        t->queries = ps_try_alloc_raw((queries + 1) * p * sizeof *t->queries);
        t->miss = ps_try_alloc((share_of(t) + 1) * sizeof *t->miss);
        t->own = ps_try_alloc((share_of(t) + 1) * sizeof *t->own);
        whole = whole && t->turned && t->queries && t->miss && t->own;
    } else {
        t->gram = ps_try_alloc_raw(p * p * sizeof *t->gram);
        t->halves = ps_try_alloc_raw(ps_train_scores_models(t->scores.spec) * half_of(p) *
                                     sizeof *t->halves);
        whole = whole && t->gram && t->halves;
    }
    return whole ? PS_OK : ps_fail(PS_NO_MEMORY, "sketches of %zu numbers; lower sketch", p);
}

static void free_memory(tracking *t)
{
    ps_sketch_free(&t->sketch);
    ps_free(&t->features);
    ps_free(&t->turned);
    ps_free(&t->made);
    ps_free(&t->room);
    ps_free(&t->gram);
    ps_free(&t->halves);
    ps_free(&t->queries);
    ps_free(&t->miss);
    ps_free(&t->own);
    ps_products_free(&t->products);
    ps_train_scores_close(&t->scores);
}

/* On and below the diagonal, row by row: the rest is the same. */
static void take_half(tracking *t, size_t model)
{
    size_t p = t->width;
    double *to = t->halves + model * half_of(p);
    for (size_t i = 0; i < p; i++, to += i)
        memcpy(to, t->gram + i * p, (i + 1) * sizeof *to);
}

static ps_status score(tracking *t, ps_explain_part *out)
{
    const float *all = NULL;
    ps_status st = find_before(t, t->scores.x, &all);
    for (size_t m = 0; !st && m < ps_train_scores_models(t->scores.spec); m++) {
        t->whiten = all + m * t->width * t->width;
        st = enter(t, m);
        if (!st)
            st = ps_train_scores_each_query(&t->scores, PS_GRADIENT_MARGIN, keep_queries, t);
        if (!st)
            st = ps_train_scores_each_row(&t->scores, PS_GRADIENT_MARGIN, score_rows, t);
    }
    if (st)
        return st;
    take_means(t);
    return ps_train_scores_put(&t->scores, out);
}

static ps_status gather(tracking *t, ps_explain_part *out)
{
    size_t models = ps_train_scores_models(t->scores.spec);
    const uint64_t n = models * half_of(t->width);
    ps_status st = PS_OK;
    for (size_t m = 0; !st && m < models; m++) {
        memset(t->gram, 0, t->width * t->width * sizeof *t->gram);
        st = enter(t, m);
        if (!st)
            st = ps_train_scores_each_row(&t->scores, PS_GRADIENT_MARGIN, add_rows, t);
        if (!st)
            take_half(t, m);
    }
    return st ? st : ps_explain_put_sums(out, "gram", "number", 1, &n, t->halves);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    tracking t = {.products = {.model = x->model}};
    ps_status st = ps_train_scores_open(x, spec, &t.scores);
    if (!st)
        st = open_sketch(&t, 0);
    if (!st) {
        t.width = ps_sketch_width(t.sketch);
        st = take_memory(&t, x->pass);
    }
    if (!st)
        st = x->pass ? score(&t, out) : gather(&t, out);
    free_memory(&t);
    return st;
}

/* ---- all shares ---- */

/* Row by row, of L·D·Lᵀ = k: D^(-1/2)·L⁻¹, over what is below L's diagonal of 1. p³/6 steps, of the
 * widest sketch a minute: fails as x->check. */
static ps_status invert_factor(const ps_explaining *x, const double *l, const double *d, size_t p,
                               double *inverse, float *out)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < p; i++) {
        double *to = inverse + i * p;
        memset(to, 0, p * sizeof *to);
        to[i] = 1;
        for (size_t k = 0; k < i; k++)
            for (size_t j = 0; j <= k; j++)
                to[j] -= l[i * p + k] * inverse[k * p + j];
        for (size_t j = 0; j < p; j++)
            out[i * p + j] = (float)(to[j] / sqrt(d[i]));
        st = x->check(x->user);
    }
    return st;
}

static ps_status whiten(const ps_explaining *x, const double *half, size_t p, double ridge,
                        float *out)
{
    double *k = ps_try_alloc_raw((2 * p * p + p) * sizeof *k), *d = k + 2 * p * p, trace = 0;
    bool positive = false;
    if (!k)
        return ps_fail(PS_NO_MEMORY, "sketches of %zu numbers; lower sketch", p);
    for (size_t i = 0; i < p; i++, half += i)
        for (size_t j = 0; j <= i; j++) {
            k[i * p + j] = k[j * p + i] = half[j];
            trace += i == j ? half[j] : 0;
        }
    for (size_t i = 0; i < p; i++)
        k[i * p + i] += ridge * trace / (double)p;
    ps_status st = ps_factor(k, p, d, 0, &positive);
    if (!st && !positive)
        st = ps_fail(PS_OUT_OF_RANGE,
                     "rows of data.train do not tell %zu numbers apart: raise ridge", p);
    if (!st)
        st = invert_factor(x, k, d, p, k + p * p, out);
    ps_free(&k);
    return st;
}

/* How wide a matrix is of which n numbers are on and below the diagonal; 0: none is. */
static uint64_t width_of(uint64_t n)
{
    uint64_t p = (uint64_t)((sqrt(8 * (double)n + 1) - 1) / 2 + 0.5);
    return p * (p + 1) / 2 == n ? p : 0;
}

static ps_status finish_gram(const ps_explaining *x, const ps_spec_explain_method *spec,
                             ps_explain_part *merged)
{
    const ps_explain_array *gram = ps_explain_get(merged, "gram");
    uint64_t models = ps_train_scores_models(spec);
    uint64_t n = gram && gram->doubles ? ps_explain_array_count(gram) : 0;
    uint64_t p = n % models == 0 ? width_of(n / models) : 0;
    const uint64_t shape[] = {models * p, p};
    if (!p)
        return ps_fail(PS_CORRUPT, "sums over rows are missing");
    ps_status st = ps_explain_room(p * p * (2 * sizeof(double) + 2 * models * sizeof(float)),
                                   "a number for each two of a sketch", "lower sketch");
    if (st)
        return st;
    float *out = ps_try_alloc_raw(models * p * p * sizeof *out);
    if (!out)
        st = ps_fail(PS_NO_MEMORY, "sketches of %" PRIu64 " numbers; lower sketch", p);
    for (uint64_t m = 0; !st && m < models; m++)
        st = whiten(x, gram->doubles + m * half_of(p), p, spec->ridge, out + m * p * p);
    if (!st)
        st = ps_explain_put_result(merged, "whiten", "number number", 2, shape, out);
    ps_explain_drop(merged, "gram");
    ps_free(&out);
    return st;
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    return x->pass ? ps_train_scores_finish(spec, merged) : finish_gram(x, spec, merged);
}

const ps_explain_method ps_explain_method_trak = {
    .name = "trak", .prepare = prepare, .run = run, .finish = finish};
