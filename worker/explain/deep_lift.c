/* deep_lift: what each feature adds to f(x) − f(x′) when every activation's slope is taken to be
 * what it did between the baseline and the row, Δa/Δz (Shrikumar et al. 2017, the rescale rule).
 * Where z did not move, its slope: in float32 the ratio of two such differences is rounding. So the
 * values add up to f(x) − f(x′) where f is a logit, and `residual` says to what.
 *
 * Two passes forward and one backward a row. */
#include "worker/explain/baseline.h"
#include "worker/explain/layer_rule.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 0.01 /* that residual is to be within */
#define STILL     1e-4 /* a move of z is one that is more than this of its size */

typedef struct lifting {
    ps_explaining *x;
    const ps_explain_items *items;
    ps_layer_rule *rule;
    size_t width, features, units; /* of all layers */
    double *z, *a;                 /* [units]: the baseline's, one layer behind the other */
    size_t *first;                 /* [layers]: where each begins */
    double *empty;                 /* [n]: f(x′) */
    double *wide;                  /* [width] */
    float *values, *residual;
} lifting;

/* ---- the baseline ---- */

static double as_it_is(const void *user, size_t layer, size_t unit, double z, double a)
{
    return NAN;
}

static void make_empty(void *user, size_t i, void *point, size_t *item)
{
    const lifting *l = user;
    ps_explain_baseline_put(l->x->baseline, l->width, point);
    *item = i;
}

static void take_empty(void *user, size_t i, double score, const float *gradient)
{
    ((lifting *)user)->empty[i] = score;
}

/* Its rows are all the same: the first is kept. */
static ps_status lift_baseline(lifting *l)
{
    const ps_explain_points points = {.n = l->items->n,
                                      .make = make_empty,
                                      .take = take_empty,
                                      .user = l,
                                      .hooks = ps_layer_rule_use(l->rule, as_it_is, NULL)};
    ps_status st = ps_explain_evaluate(l->x, l->items, &points);
    if (!st)
        st = ps_layer_rule_status(l->rule);
    for (size_t i = 0; !st && i < ps_layer_rule_layers(l->rule); i++)
        for (size_t k = 0; k < ps_layer_rule_units(l->rule, i); k++) {
            l->z[l->first[i] + k] = (double)ps_layer_rule_before(l->rule, i)[k];
            l->a[l->first[i] + k] = (double)ps_layer_rule_behind(l->rule, i)[k];
        }
    return st;
}

/* ---- rows ---- */

/* 1 of the last layer. */
static double rescale(const void *user, size_t layer, size_t unit, double z, double a)
{
    const lifting *l = user;
    size_t at = l->first[layer] + unit;
    double moved = z - l->z[at];
    if (fabs(moved) <= STILL * fmax(fabs(z), fabs(l->z[at])))
        return NAN;
    return (a - l->a[at]) / moved;
}

static void make(void *user, size_t i, void *point, size_t *item)
{
    const lifting *l = user;
    memcpy(point, l->items->points + i * l->width, l->width * sizeof(float));
    *item = i;
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const lifting *l = user;
    const float *input = l->items->points + i * l->width;
    double sum = 0, change = l->items->scores[i] - l->empty[i];
    for (size_t k = 0; k < l->width; k++) {
        double by = (double)input[k] - (double)ps_explain_baseline_at(l->x->baseline, k);
        l->wide[k] = by * (double)gradient[k];
        sum += l->wide[k];
    }
    ps_explain_fold(l->x, l->items, l->wide, l->values + i * l->features);
    l->residual[i] = (float)(fabs(sum - change) / fmax(fabs(change), 1e-12));
}

static ps_status lift_rows(lifting *l)
{
    const ps_explain_points points = {.n = l->items->n,
                                      .gradients = true,
                                      .make = make,
                                      .take = take,
                                      .user = l,
                                      .hooks = ps_layer_rule_use(l->rule, rescale, l)};
    ps_status st = ps_explain_evaluate(l->x, l->items, &points);
    return st ? st : ps_layer_rule_status(l->rule);
}

/* ---- a run ---- */

static ps_status take_all(lifting *l)
{
    size_t n = l->items->n, layers = ps_layer_rule_layers(l->rule);
    l->first = ps_alloc_array(layers, sizeof *l->first);
    for (size_t i = 0; i < layers; i++) {
        l->first[i] = l->units;
        l->units += ps_layer_rule_units(l->rule, i);
    }
    l->z = ps_try_alloc_raw(l->units * sizeof *l->z);
    l->a = ps_try_alloc_raw(l->units * sizeof *l->a);
    l->empty = ps_try_alloc_raw(n * sizeof *l->empty);
    l->wide = ps_try_alloc_raw(l->width * sizeof *l->wide);
    l->values = ps_try_alloc_raw(n * l->features * sizeof *l->values);
    l->residual = ps_try_alloc_raw(n * sizeof *l->residual);
    return l->z && l->a && l->empty && l->wide && l->values && l->residual
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "gradients of %zu rows; lower explain.batch", n);
}

static void free_all(lifting *l)
{
    ps_free(&l->first);
    ps_free(&l->z);
    ps_free(&l->a);
    ps_free(&l->empty);
    ps_free(&l->wide);
    ps_free(&l->values);
    ps_free(&l->residual);
}

static ps_status put(const lifting *l, ps_explain_part *out)
{
    ps_status st =
        ps_explain_put_values(out, "values", "feature", l->items->n, l->features, l->values);
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", l->items->n, 0, NULL, l->residual);
    out->tolerance = TOLERANCE;
    return st;
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
    lifting l = {.x = x,
                 .items = items,
                 .rule = state,
                 .width = ps_explain_width(x, items),
                 .features = ps_explain_features(x, items)};
    ps_status st = take_all(&l);
    if (!st)
        st = lift_baseline(&l);
    if (!st)
        st = lift_rows(&l);
    if (!st)
        st = put(&l, out);
    free_all(&l);
    return st;
}

const ps_explain_method ps_explain_method_deep_lift = {
    .name = "deep_lift", .prepare = prepare, .run = run, .free = free_state};
