/* integrated_gradients: (x − x′) ⊙ ∫ ∇f(x′ + α(x − x′)) dα along the straight path from the
 * baseline x′ (Sundararajan, Taly and Yan 2017), by Gauss and Legendre's rule of `steps` points.
 * Its axiom is completeness: the values add up to f(x) − f(x′). By how much they do not is the
 * row's `residual`; where that is more than the tolerance its path is integrated anew, by parts,
 * until it has had steps_max points (path_parts.h). So a row's cost is its own, and the memory that
 * of one batch, however many steps there are.
 *
 * Gradients of steps are added in their order, in float64.
 *
 * Of models of linear layers alone the path is straight behind the first layer, too, z′ + α(z −
 * z′), and all points of it have the first layer's weights as their last factor: it is computed for
 * the ends alone, and its transpose for the sum, which leaves of each step what is behind it. */
#include "worker/explain/baseline.h"
#include "worker/explain/first_layer.h"
#include "worker/explain/path_parts.h"
#include "worker/explain/quadrature.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct integral {
    const ps_explaining *x;
    const ps_explain_items *items;
    size_t width;
    size_t inner; /* numbers of a point of the path: width, or units of the first layer */
    size_t *open; /* rows that are not within the tolerance yet, */
    size_t n_open;
    size_t steps; /* at first */
    double *alpha, *weight;
    double *sums;     /* [n, inner] */
    double *wide;     /* [width] */
    double *baseline; /* [n]: f(x′) */
    float *weights;   /* behind the first layer: [units, width], */
    float *from, *to; /* z′ and z, [n, units]; NULL: the path is of what the model takes */
    float *steps_used, *residual, *values;
} integral;

static void free_all(integral *g)
{
    ps_free(&g->open);
    ps_free(&g->alpha);
    ps_free(&g->weight);
    ps_free(&g->sums);
    ps_free(&g->wide);
    ps_free(&g->baseline);
    ps_free(&g->weights);
    ps_free(&g->from);
    ps_free(&g->to);
    ps_free(&g->steps_used);
    ps_free(&g->residual);
    ps_free(&g->values);
}

static ps_status take_all(const ps_spec_explain_method *spec, integral *g)
{
    size_t n = g->items->n, most = (size_t)spec->steps;
    g->open = ps_try_alloc_raw(n * sizeof *g->open);
    g->alpha = ps_try_alloc_raw(most * sizeof *g->alpha);
    g->weight = ps_try_alloc_raw(most * sizeof *g->weight);
    g->sums = ps_try_alloc(n * g->inner * sizeof *g->sums);
    g->wide = ps_try_alloc_raw(g->width * sizeof *g->wide);
    g->baseline = ps_try_alloc_raw(n * sizeof *g->baseline);
    g->steps_used = ps_try_alloc_raw(n * sizeof(float));
    g->residual = ps_try_alloc_raw(n * sizeof(float));
    g->values = ps_try_alloc_raw(n * ps_explain_features(g->x, g->items) * sizeof(float));
    bool ends = !ps_first_layer_takes_inputs(g->x);
    if (!ends) {
        g->from = ps_try_alloc_raw(n * g->inner * sizeof *g->from);
        g->to = ps_try_alloc_raw(n * g->inner * sizeof *g->to);
        ends = g->from && g->to;
    }
    if (ends && g->open && g->alpha && g->weight && g->sums && g->wide && g->baseline &&
        g->steps_used && g->residual && g->values)
        return PS_OK;
    return ps_fail(PS_NO_MEMORY, "sums of gradients of %zu rows; lower explain.batch", n);
}

/* ---- the ends ---- */

static void make_baseline(void *user, size_t i, void *point, size_t *item)
{
    const integral *g = user;
    ps_explain_baseline_put(g->x->baseline, g->width, point);
    *item = i;
}

static void take_baseline(void *user, size_t i, double score, const float *gradient)
{
    const integral *g = user;
    g->baseline[i] = score;
}

static void make_row(void *user, size_t i, void *point, size_t *item)
{
    const integral *g = user;
    memcpy(point, g->items->points + i * g->width, g->width * sizeof(float));
    *item = i;
}

static void take_row(void *user, size_t i, double score, const float *gradient)
{
}

static ps_status see_ends(ps_explaining *x, integral *g)
{
    const ps_explain_points baseline = {
        .n = g->items->n, .make = make_baseline, .take = take_baseline, .user = g};
    const ps_explain_points rows = {
        .n = g->items->n, .make = make_row, .take = take_row, .user = g};
    if (!ps_first_layer_takes_inputs(x))
        return ps_explain_evaluate(x, g->items, &baseline);
    ps_status st = ps_first_layer_answers(x, g->items, &baseline, g->from);
    if (!st)
        st = ps_first_layer_answers(x, g->items, &rows, g->to);
    return st ? st : ps_first_layer_weights(x, &g->weights);
}

/* ---- points of the path: of each open row all steps, one row behind the other ---- */

static double start_of(const integral *g, size_t row, size_t k)
{
    return g->weights ? (double)g->from[row * g->inner + k]
                      : (double)ps_explain_baseline_at(g->x->baseline, k);
}

static double way_of(void *user, size_t row, size_t k)
{
    const integral *g = user;
    const float *to = g->weights ? g->to : g->items->points;
    return (double)to[row * g->inner + k] - start_of(g, row, k);
}

static void put_point(void *user, size_t row, double alpha, float *out)
{
    const integral *g = user;
    for (size_t k = 0; k < g->inner; k++)
        out[k] = (float)(start_of(g, row, k) + alpha * way_of(user, row, k));
}

static void make_step(void *user, size_t i, void *point, size_t *item)
{
    const integral *g = user;
    *item = g->open[i / g->steps];
    put_point(user, *item, g->alpha[i % g->steps], point);
}

static void take_step(void *user, size_t i, double score, const float *gradient)
{
    const integral *g = user;
    double *sums = g->sums + g->open[i / g->steps] * g->inner;
    double weight = g->weight[i % g->steps];
    for (size_t k = 0; k < g->inner; k++)
        sums[k] += weight * (double)gradient[k];
}

static ps_status integrate(ps_explaining *x, integral *g)
{
    const ps_explain_points points = {.n = g->n_open * g->steps,
                                      .first = g->weights,
                                      .gradients = true,
                                      .make = make_step,
                                      .take = take_step,
                                      .user = g};
    ps_gauss_legendre(g->steps, g->alpha, g->weight);
    for (size_t i = 0; i < g->n_open; i++)
        memset(g->sums + g->open[i] * g->inner, 0, g->inner * sizeof *g->sums);
    return ps_explain_evaluate(x, g->items, &points);
}

/* The row's mean gradient by what the model takes. */
static void widen(const integral *g, size_t row)
{
    const double *sums = g->sums + row * g->inner;
    if (!g->weights) {
        memcpy(g->wide, sums, g->width * sizeof *g->wide);
        return;
    }
    memset(g->wide, 0, g->width * sizeof *g->wide);
    for (size_t unit = 0; unit < g->inner; unit++) {
        const float *w = g->weights + unit * g->width;
        for (size_t k = 0; sums[unit] != 0 && k < g->width; k++)
            g->wide[k] += sums[unit] * (double)w[k];
    }
}

/* The row's values, and how far they are from adding up. */
static double settle(const integral *g, size_t row)
{
    double total = 0;
    widen(g, row);
    const float *input = g->items->points + row * g->width;
    for (size_t k = 0; k < g->width; k++) {
        g->wide[k] *= (double)input[k] - (double)ps_explain_baseline_at(g->x->baseline, k);
        total += g->wide[k];
    }
    size_t features = ps_explain_features(g->x, g->items);
    ps_explain_fold(g->x, g->items, g->wide, g->values + row * features);
    double change = g->items->scores[row] - g->baseline[row];
    return fabs(total - change) / fmax(fabs(change), 1e-12);
}

/* Rows that are not within the tolerance stay open. */
static void close_rows(integral *g, double tolerance)
{
    size_t left = 0;
    for (size_t i = 0; i < g->n_open; i++) {
        size_t row = g->open[i];
        double residual = settle(g, row);
        g->residual[row] = (float)residual;
        if (!(residual <= tolerance))
            g->open[left++] = row;
    }
    g->n_open = left;
}

static ps_status go_by_parts(ps_explaining *x, const ps_spec_explain_method *spec, integral *g)
{
    const ps_path path = {.items = g->items,
                          .first = g->weights,
                          .inner = g->inner,
                          .at = put_point,
                          .way = way_of,
                          .user = g,
                          .from = g->baseline,
                          .tolerance = spec->tolerance,
                          .most = (size_t)spec->steps_max,
                          .sums = g->sums,
                          .steps = g->steps_used};
    return ps_path_by_parts(x, &path, g->open, g->n_open);
}

static ps_status solve(ps_explaining *x, const ps_spec_explain_method *spec, integral *g)
{
    ps_status st = see_ends(x, g);
    g->steps = (size_t)spec->steps;
    for (g->n_open = 0; g->n_open < g->items->n; g->n_open++) {
        g->open[g->n_open] = g->n_open;
        g->steps_used[g->n_open] = (float)g->steps;
    }
    if (!st)
        st = integrate(x, g);
    if (!st)
        close_rows(g, spec->tolerance);
    if (!st && g->n_open)
        st = go_by_parts(x, spec, g);
    if (!st)
        close_rows(g, spec->tolerance);
    return st;
}

static ps_status put(const ps_explaining *x, const ps_spec_explain_method *spec, const integral *g,
                     ps_explain_part *out)
{
    size_t n = g->items->n;
    ps_status st = ps_explain_put_values(out, "values", x->language ? "token" : "feature", n,
                                         ps_explain_features(x, g->items), g->values);
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", n, 0, NULL, g->residual);
    if (!st)
        st = ps_explain_put_rows(out, "steps", "", n, 0, NULL, g->steps_used);
    out->tolerance = spec->tolerance;
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    integral g = {.x = x, .items = items, .width = ps_explain_width(x, items)};
    g.inner = ps_first_layer_takes_inputs(x) ? ps_first_layer_units(x) : g.width;
    ps_status st = take_all(spec, &g);
    if (!st)
        st = solve(x, spec, &g);
    if (!st)
        st = put(x, spec, &g, out);
    free_all(&g);
    return st;
}

const ps_explain_method ps_explain_method_integrated_gradients = {.name = "integrated_gradients",
                                                                  .run = run};
