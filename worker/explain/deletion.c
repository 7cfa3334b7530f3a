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
 * (samples + 1) · (steps − 1) passes forward a row, and those of the attribution. On the host: a
 * number a row and order, and the curves of some orders at a time. */
#include "worker/explain/attribute.h"
#include "worker/explain/baseline.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

enum { SOME = 64 << 20 }; /* bytes of orders and curves at a time, or one order's */

typedef struct turn {
    double value;
    uint32_t feature;
} turn;

typedef struct deleting {
    ps_explaining *x;
    const ps_explain_items *items;
    bool insert;
    size_t width, features;
    size_t stages;     /* of a curve, behind its first point */
    size_t orders;     /* of a row: the attribution's, then random ones */
    size_t some;       /* of them at a time, */
    size_t first, now; /* from this one on, and so many */
    double *values;
    turn *turns;     /* [features] */
    uint32_t *place; /* [n, now, features]: when a feature's turn is, from 0 */
    double *curves;  /* [n, now, stages + 1] */
    double *heights; /* [n, orders] */
    double *empty;   /* [n]: f(x′) */
    float *curve;    /* [n, stages + 1]: the attribution's */
} deleting;

/* ---- orders ---- */

static int highest_first(const void *a, const void *b)
{
    const turn *x = a, *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return (x->feature > y->feature) - (x->feature < y->feature);
}

static void order_by_value(const deleting *d, size_t row, uint32_t *place)
{
    turn *turns = d->turns;
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

static void order_some(const deleting *d)
{
    for (size_t row = 0; row < d->items->n; row++)
        for (size_t i = 0; i < d->now; i++) {
            uint32_t *place = d->place + (row * d->now + i) * d->features;
            if (d->first + i == 0)
                order_by_value(d, row, place);
            else
                order_by_chance(d, row, d->first + i, place);
        }
}

/* ---- curves ---- */

/* Features whose turn is over at a stage. */
static size_t changed_at(const deleting *d, size_t stage)
{
    return (stage * d->features + d->stages / 2) / d->stages;
}

/* Point i: of row i / (now · inner), of each order the stages between the ends. */
static void make(void *user, size_t i, void *point, size_t *item)
{
    const deleting *d = user;
    size_t inner = d->stages - 1, each = d->width / d->features;
    size_t curve = i / inner, changed = changed_at(d, i % inner + 1);
    const uint32_t *place = d->place + curve * d->features;
    float *out = point;
    *item = curve / d->now;
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

static ps_status draw_some(deleting *d)
{
    size_t curves = d->items->n * d->now;
    const ps_explain_points inner = {
        .n = curves * (d->stages - 1), .make = make, .take = take, .user = d};
    for (size_t i = 0; i < curves; i++) {
        double *curve = d->curves + i * (d->stages + 1), full = d->items->scores[i / d->now];
        curve[0] = d->insert ? d->empty[i / d->now] : full;
        curve[d->stages] = d->insert ? full : d->empty[i / d->now];
    }
    return ps_explain_evaluate(d->x, d->items, &inner);
}

/* NaN: the row's score is the baseline's. */
static double height(const deleting *d, size_t row, const double *curve)
{
    double empty = d->empty[row], change = fabs(d->items->scores[row] - empty), sum = 0;
    for (size_t i = 0; i < d->stages; i++)
        sum += (curve[i] + curve[i + 1]) / 2 - empty;
    return change > 0 ? sum / (double)d->stages / change : NAN;
}

static void keep_some(deleting *d)
{
    size_t points = d->stages + 1;
    for (size_t row = 0; row < d->items->n; row++)
        for (size_t i = 0; i < d->now; i++) {
            const double *curve = d->curves + (row * d->now + i) * points;
            d->heights[row * d->orders + d->first + i] = height(d, row, curve);
            for (size_t k = 0; d->first + i == 0 && k < points; k++)
                d->curve[row * points + k] = (float)curve[k];
        }
}

static ps_status draw_all(deleting *d)
{
    const ps_explain_points ends = {
        .n = d->items->n, .make = make_empty, .take = take_empty, .user = d};
    ps_status st = ps_explain_evaluate(d->x, d->items, &ends);
    for (d->first = 0; !st && d->first < d->orders; d->first += d->now) {
        size_t left = d->orders - d->first;
        d->now = left < d->some ? left : d->some;
        order_some(d);
        st = draw_some(d);
        if (!st)
            keep_some(d);
    }
    return st;
}

/* ---- what is left ---- */

enum { AUC, RANDOM, GAIN, ERROR, FIGURES };

static void measure(const deleting *d, size_t row, float *figures[FIGURES])
{
    const double *heights = d->heights + row * d->orders;
    double own = heights[0], mean = 0, spread = 0, n = (double)(d->orders - 1);
    for (size_t order = 1; order < d->orders; order++)
        mean += heights[order] / n;
    for (size_t order = 1; order < d->orders; order++)
        spread += pow(heights[order] - mean, 2);
    figures[AUC][row] = (float)own;
    figures[RANDOM][row] = (float)mean;
    figures[GAIN][row] = (float)(d->insert ? own - mean : mean - own);
    figures[ERROR][row] = (float)sqrt(spread / (n - 1) / n);
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
    ps_status st = ps_explain_put_values(out, "curve", "stage", n, d->stages + 1, d->curve);
    for (size_t i = 0; !st && i < FIGURES; i++)
        st = ps_explain_put_rows(out, names[i], "", n, 0, NULL, figures[i]);
    ps_free(&memory);
    return st;
}

static ps_status take_memory(deleting *d)
{
    size_t n = d->items->n, features = d->features, points = d->stages + 1;
    size_t each = n * (features * sizeof *d->place + points * sizeof *d->curves);
    d->some = SOME / each < 1 ? 1 : SOME / each < d->orders ? SOME / each : d->orders;
    ps_status st = ps_explain_room(n * d->orders * sizeof *d->heights + d->some * each,
                                   "heights and orders of deletion and insertion",
                                   "lower explain.batch, or their samples");
    if (st)
        return st;
    d->values = ps_try_alloc_raw(n * features * sizeof *d->values);
    d->turns = ps_try_alloc_raw(features * sizeof *d->turns);
    d->place = ps_try_alloc(n * d->some * features * sizeof *d->place);
    d->curves = ps_try_alloc_raw(n * d->some * points * sizeof *d->curves);
    d->heights = ps_try_alloc_raw(n * d->orders * sizeof *d->heights);
    d->empty = ps_try_alloc_raw(n * sizeof *d->empty);
    d->curve = ps_try_alloc_raw(n * points * sizeof *d->curve);
    return d->values && d->turns && d->place && d->curves && d->heights && d->empty && d->curve
               ? PS_OK
               : ps_fail(PS_NO_MEMORY, "%zu orders of %zu features; lower explain.batch or samples",
                         d->orders, features);
}

static void free_memory(deleting *d)
{
    ps_free(&d->values);
    ps_free(&d->turns);
    ps_free(&d->place);
    ps_free(&d->curves);
    ps_free(&d->heights);
    ps_free(&d->empty);
    ps_free(&d->curve);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec,
                     const ps_explain_items *items, bool insert, ps_explain_part *out)
{
    size_t features = ps_explain_features(x, items), stages = (size_t)spec->steps;
    if (!x->language && stages > features)
        stages = features; /* of prompts each has its own: then they are as said */
    deleting d = {.x = x,
                  .items = items,
                  .insert = insert,
                  .width = ps_explain_width(x, items),
                  .features = features,
                  .stages = stages,
                  .orders = (size_t)spec->samples + 1};
    ps_status st = take_memory(&d);
    if (!st)
        st = ps_explain_attribute(x, spec, items, false, d.values);
    if (!st)
        st = draw_all(&d);
    if (!st)
        st = put(&d, out);
    free_memory(&d);
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
