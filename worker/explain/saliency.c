/* saliency: how steep f is in each input, |∇f| (Simonyan et al. 2013); of a token the length of the
 * gradient by its embedding. gradient_x_input: ∇f ⊙ x, signed, of a token the sum over its
 * embedding: f itself where f is linear and homogeneous (Shrikumar et al. 2016).
 *
 * One pass forward and backward a row. */
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

typedef struct gradients {
    const ps_explaining *x;
    const ps_explain_items *items;
    bool times_input;
    double *wide;  /* [width] */
    float *values; /* [n, features] */
} gradients;

static void make(void *user, size_t i, void *point, size_t *item)
{
    const gradients *g = user;
    size_t width = ps_explain_width(g->x, g->items);
    memcpy(point, g->items->points + i * width, width * sizeof(float));
    *item = i;
}

static void measure(const gradients *g, const float *gradient, float *out)
{
    size_t n = ps_explain_features(g->x, g->items), each = ps_explain_width(g->x, g->items) / n;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t k = 0; k < each; k++)
            sum += (double)gradient[i * each + k] * (double)gradient[i * each + k];
        out[i] = (float)sqrt(sum);
    }
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const gradients *g = user;
    size_t width = ps_explain_width(g->x, g->items);
    float *out = g->values + i * ps_explain_features(g->x, g->items);
    if (!g->times_input) {
        measure(g, gradient, out);
        return;
    }
    for (size_t k = 0; k < width; k++)
        g->wide[k] = (double)gradient[k] * (double)g->items->points[i * width + k];
    ps_explain_fold(g->x, g->items, g->wide, out);
}

static ps_status run_gradients(ps_explaining *x, const ps_explain_items *items, bool times_input,
                               ps_explain_part *out)
{
    size_t features = ps_explain_features(x, items);
    gradients g = {.x = x,
                   .items = items,
                   .times_input = times_input,
                   .wide = ps_try_alloc_raw(ps_explain_width(x, items) * sizeof(double)),
                   .values = ps_try_alloc_raw(items->n * features * sizeof(float))};
    const ps_explain_points points = {
        .n = items->n, .gradients = true, .make = make, .take = take, .user = &g};
    ps_status st = g.wide && g.values ? PS_OK : ps_fail(PS_NO_MEMORY, "gradients of a batch");
    if (!st)
        st = ps_explain_evaluate(x, items, &points);
    if (!st)
        st = ps_explain_put_values(out, "values", x->language ? "token" : "feature", items->n,
                                   features, g.values);
    ps_free(&g.wide);
    ps_free(&g.values);
    return st;
}

static ps_status run_saliency(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                              const ps_explain_items *items, ps_explain_part *out)
{
    return run_gradients(x, items, false, out);
}

static ps_status run_times_input(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                                 const ps_explain_items *items, ps_explain_part *out)
{
    return run_gradients(x, items, true, out);
}

const ps_explain_method ps_explain_method_saliency = {.name = "saliency", .run = run_saliency};
const ps_explain_method ps_explain_method_gradient_x_input = {.name = "gradient_x_input",
                                                              .run = run_times_input};
