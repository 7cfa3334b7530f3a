/* lrp: layer-wise relevance propagation by the ε rule (Bach et al. 2015): what is explained goes
 * back as relevance, which each unit shares out over its inputs by what they added to it,
 *     R_i = Σ_j a_i·w_ji / (z_j + ε·sign z_j) · R_j,
 * and which activations pass on as it is. As gradients: behind each layer's product the slope of
 * the activation is a / (z + ε·sign z) (Ancona 2018), and the values are that gradient times x.
 * With relu, without biases and with ε at 0 they are gradient_x_input, and add up to f(x).
 *
 * Biases have a share of their own: `remainder` is what of f(x) no feature has, theirs and what ε
 * swallows.
 *
 * One pass forward and backward a row. */
#include "worker/explain/layer_rule.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

typedef struct relevance {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t width, features;
    double *wide;              /* [width] */
    float *values, *remainder; /* [n, features], [n] */
} relevance;

static double share(const void *user, size_t layer, size_t unit, double z, double a)
{
    const ps_spec_explain_method *spec = user;
    double by = z + copysign(spec->epsilon, z);
    return by == 0 ? 0 : a / by;
}

static void make(void *user, size_t i, void *point, size_t *item)
{
    const relevance *r = user;
    memcpy(point, r->items->points + i * r->width, r->width * sizeof(float));
    *item = i;
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const relevance *r = user;
    const float *input = r->items->points + i * r->width;
    double sum = 0;
    for (size_t k = 0; k < r->width; k++) {
        r->wide[k] = (double)input[k] * (double)gradient[k];
        sum += r->wide[k];
    }
    ps_explain_fold(r->x, r->items, r->wide, r->values + i * r->features);
    r->remainder[i] = (float)(score - sum);
}

static ps_status go_back(relevance *r, ps_layer_rule *rule, const ps_spec_explain_method *spec,
                         ps_explain_part *out)
{
    const ps_explain_points points = {.n = r->items->n,
                                      .gradients = true,
                                      .make = make,
                                      .take = take,
                                      .user = r,
                                      .hooks = ps_layer_rule_use(rule, share, spec)};
    ps_status st = ps_explain_evaluate(r->x, r->items, &points);
    if (!st)
        st = ps_layer_rule_status(rule);
    if (!st)
        st = ps_explain_put_values(out, "values", "feature", r->items->n, r->features, r->values);
    return st ? st : ps_explain_put_rows(out, "remainder", "", r->items->n, 0, NULL, r->remainder);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    ps_layer_rule *rule = NULL;
    ps_status st = ps_layer_rule_make(x, &rule);
    *state = rule;
    return st;
}

static void free_state(void *state)
{
    ps_layer_rule *rule = state;
    ps_layer_rule_free(&rule);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    relevance r = {.x = x,
                   .items = items,
                   .width = ps_explain_width(x, items),
                   .features = ps_explain_features(x, items)};
    r.wide = ps_try_alloc_raw(r.width * sizeof *r.wide);
    r.values = ps_try_alloc_raw(items->n * r.features * sizeof *r.values);
    r.remainder = ps_try_alloc_raw(items->n * sizeof *r.remainder);
    ps_status st = r.wide && r.values && r.remainder
                       ? go_back(&r, state, spec, out)
                       : ps_fail(PS_NO_MEMORY, "relevance of %zu rows", items->n);
    ps_free(&r.wide);
    ps_free(&r.values);
    ps_free(&r.remainder);
    return st;
}

const ps_explain_method ps_explain_method_lrp = {
    .name = "lrp", .prepare = prepare, .run = run, .free = free_state};
