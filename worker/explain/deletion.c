/* Whether an attribution knows what matters (Samek et al. 2017; Petsiuk, Das and Saenko 2018).
 *
 * deletion: features or tokens are put to the baseline one after the other, the highest value
 * first: the sooner f falls, the better. insertion: the other way round, from the baseline, the
 * sooner f rises. The curve of f at `steps` stages is kept as `curve`, that from all features to
 * none, or none to all; its mean height (trapezoids), less f(x′) and by |f(x) − f(x′)|, is `auc`.
 *
 * A model may lose f soon whatever is hidden, so the number alone says little: `random` is the mean
 * of it over `samples` random orders, and `gain` by how much the attribution is better than that,
 * above 0 where it is worth something. `standard_error` is of random.
 *
 * (samples + 1) · (steps − 1) passes forward a row, and those of the attribution. */
#include "worker/explain/attribute.h"
#include "worker/explain/baseline.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

typedef struct deleting {
    ps_explaining *x;
    const ps_explain_items *items;
    bool insert;
    size_t width, features;
    size_t stages; /* of a curve, behind its first point */
    size_t orders; /* of a row: the attribution's, then random ones */
    double *values;
    uint32_t *place; /* [n, orders, features]: when a feature's turn is, from 0 */
    double *curves;  /* [n, orders, stages + 1] */
    double *empty;   /* [n]: f(x′) */
} deleting;

/* ---- orders ---- */

typedef struct turn {
    double value;
    uint32_t feature;
} turn;

static int highest_first(const void *a, const void *b)
{
    const turn *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return (x->feature > y->feature) - (x->feature < y->feature);
}

static void order_by_value(const deleting *d, size_t row, turn *turns, uint32_t *place)
{
    for (size_t f = 0; f < d->features; f++) {
        double value = d->values[row * d->features + f];
        turns[f] = (turn){isnan(value) ? -INFINITY : value, (uint32_t)f};
    }
    qsort(turns, d->features, sizeof *turns, highest_first);
    for (size_t i = 0; i < d->features; i++)
        place[turns[i].feature] = (uint32_t)i;
}

/* Fisher and Yates'. */
static void order_by_chance(const deleting *d, size_t row, size_t order, uint32_t *place)
{
    ps_rng rng;
    ps_explain_rng(d->x, d->items->item[row] << 20 | order, &rng);
    for (size_t f = 0; f < d->features; f++) {
        size_t other = (size_t)ps_rng_below(&rng, f + 1);
        place[f] = place[other];
        place[other] = (uint32_t)f;
    }
}

static ps_status order_all(deleting *d)
{
    turn *turns = ps_try_alloc_raw(d->features * sizeof *turns);
    if (!turns)
        return ps_fail(PS_NO_MEMORY, "an order of %zu features", d->features);
    for (size_t row = 0; row < d->items->n; row++)
        for (size_t order = 0; order < d->orders; order++) {
            uint32_t *place = d->place + (row * d->orders + order) * d->features;
            if (order == 0)
                order_by_value(d, row, turns, place);
            else
                order_by_chance(d, row, order, place);
        }
    ps_free(&turns);
    return PS_OK;
}

/* ---- curves ---- */

/* Features whose turn is over at a stage. */
static size_t changed_at(const deleting *d, size_t stage)
{
    return (stage * d->features + d->stages / 2) / d->stages;
}

/* Point i: of row i / (orders · inner), of each order the stages between the ends. */
static void make(void *user, size_t i, void *point, size_t *item)
{
    const deleting *d = user;
    size_t inner = d->stages - 1, each = d->width / d->features;
    size_t curve = i / inner, changed = changed_at(d, i % inner + 1);
    const uint32_t *place = d->place + curve * d->features;
    float *out = point;
    *item = curve / d->orders;
    const float *input = d->items->points + *item * d->width;
    for (size_t k = 0; k < d->width; k++) {
        bool over = place[k / each] < changed;
        out[k] = over == d->insert ? input[k] : ps_explain_baseline_at(d->x->baseline, k);
    }
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const deleting *d = user;
    size_t inner = d->stages - 1;
    d->curves[i / inner * (d->stages + 1) + i % inner + 1] = score;
}

static void make_empty(void *user, size_t i, void *point, size_t *item)
{
    const deleting *d = user;
    ps_explain_baseline_put(d->x->baseline, d->width, point);
    *item = i;
}

static void take_empty(void *user, size_t i, double score, const float *gradient)
{
    ((deleting *)user)->empty[i] = score;
}

static ps_status draw_curves(deleting *d)
{
    size_t n = d->items->n;
    const ps_explain_points ends = {.n = n, .make = make_empty, .take = take_empty, .user = d};
    const ps_explain_points inner = {
        .n = n * d->orders * (d->stages - 1), .make = make, .take = take, .user = d};
    ps_status st = ps_explain_evaluate(d->x, d->items, &ends);
    for (size_t i = 0; !st && i < n * d->orders; i++) {
        double *curve = d->curves + i * (d->stages + 1), full = d->items->scores[i / d->orders];
        curve[0] = d->insert ? d->empty[i / d->orders] : full;
        curve[d->stages] = d->insert ? full : d->empty[i / d->orders];
    }
    return st ? st : ps_explain_evaluate(d->x, d->items, &inner);
}

/* ---- what is left ---- */

/* NaN: the row's score is the baseline's. */
static double height(const deleting *d, size_t row, size_t order)
{
    const double *curve = d->curves + (row * d->orders + order) * (d->stages + 1);
    double empty = d->empty[row], change = fabs(d->items->scores[row] - empty), sum = 0;
    for (size_t i = 0; i < d->stages; i++)
        sum += (curve[i] + curve[i + 1]) / 2 - empty;
    return change > 0 ? sum / (double)d->stages / change : NAN;
}

enum { AUC, RANDOM, GAIN, ERROR, FIGURES };

static void measure(const deleting *d, size_t row, float *figures[FIGURES])
{
    double own = height(d, row, 0), mean = 0, spread = 0, n = (double)(d->orders - 1);
    for (size_t order = 1; order < d->orders; order++)
        mean += height(d, row, order) / n;
    for (size_t order = 1; order < d->orders; order++)
        spread += pow(height(d, row, order) - mean, 2);
    figures[AUC][row] = (float)own;
    figures[RANDOM][row] = (float)mean;
    figures[GAIN][row] = (float)(d->insert ? own - mean : mean - own);
    figures[ERROR][row] = (float)sqrt(spread / (n - 1) / n);
}

static ps_status put_curves(const deleting *d, ps_explain_part *out)
{
    size_t points = d->stages + 1;
    float *curves = ps_try_alloc_raw(d->items->n * points * sizeof *curves);
    if (!curves)
        return ps_fail(PS_NO_MEMORY, "curves of %zu rows", d->items->n);
    for (size_t row = 0; row < d->items->n; row++)
        for (size_t i = 0; i < points; i++)
            curves[row * points + i] = (float)d->curves[row * d->orders * points + i];
    ps_status st = ps_explain_put_values(out, "curve", "stage", d->items->n, points, curves);
    ps_free(&curves);
    return st;
}

static ps_status put(const deleting *d, ps_explain_part *out)
{
    static const char *const names[FIGURES] = {"auc", "random", "gain", "standard_error"};
    size_t n = d->items->n;
    float *memory = ps_try_alloc_raw(FIGURES * n * sizeof *memory), *figures[FIGURES];
    if (!memory)
        return ps_fail(PS_NO_MEMORY, "figures of %zu rows", n);
    for (size_t i = 0; i < FIGURES; i++)
        figures[i] = memory + i * n;
    for (size_t row = 0; row < n; row++)
        measure(d, row, figures);
    ps_status st = put_curves(d, out);
    for (size_t i = 0; !st && i < FIGURES; i++)
        st = ps_explain_put_rows(out, names[i], "", n, 0, NULL, figures[i]);
    ps_free(&memory);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec,
                     const ps_explain_items *items, bool insert, ps_explain_part *out)
{
    size_t features = ps_explain_features(x, items), n = items->n, stages = (size_t)spec->steps;
    if (!x->language && stages > features)
        stages = features; /* of prompts each has its own: then they are as said */
    deleting d = {.x = x,
                  .items = items,
                  .insert = insert,
                  .width = ps_explain_width(x, items),
                  .features = features,
                  .stages = stages,
                  .orders = (size_t)spec->samples + 1};
    d.values = ps_try_alloc_raw(n * features * sizeof *d.values);
    d.place = ps_try_alloc(n * d.orders * features * sizeof *d.place);
    d.curves = ps_try_alloc_raw(n * d.orders * (d.stages + 1) * sizeof *d.curves);
    d.empty = ps_try_alloc_raw(n * sizeof *d.empty);
    ps_status st =
        d.values && d.place && d.curves && d.empty
            ? PS_OK
            : ps_fail(PS_NO_MEMORY, "%zu orders of %zu features; lower explain.batch or samples",
                      d.orders, features);
    if (!st)
        st = ps_explain_attribute(x, spec, items, false, d.values);
    if (!st)
        st = order_all(&d);
    if (!st)
        st = draw_curves(&d);
    if (!st)
        st = put(&d, out);
    ps_free(&d.values);
    ps_free(&d.place);
    ps_free(&d.curves);
    ps_free(&d.empty);
    return st;
}

static ps_status run_deletion(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                              const ps_explain_items *items, ps_explain_part *out)
{
    return run(x, spec, items, false, out);
}

static ps_status run_insertion(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                               const ps_explain_items *items, ps_explain_part *out)
{
    return run(x, spec, items, true, out);
}

const ps_explain_method ps_explain_method_deletion = {.name = "deletion", .run = run_deletion};
const ps_explain_method ps_explain_method_insertion = {.name = "insertion", .run = run_insertion};
