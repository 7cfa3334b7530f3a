/* sensitivity: how much an attribution changes when the row hardly does (Yeh et al. 2019):
 * ‖φ(x + δ) − φ(x)‖/‖φ(x)‖ for `samples` δ drawn evenly from ‖δ‖∞ ≤ radius: the `largest`, and
 * `mean`, which does not grow with the samples. What is explained stays the target of x, and what
 * the attribution draws stays the same, so that only the change of the row is seen. NaN: φ(x) is 0.
 *
 * samples times the attribution's passes. */
#include "worker/explain/attribute.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>

typedef struct shaking {
    ps_explaining *x;
    const ps_spec_explain_method *spec;
    const ps_explain_items *items;
    size_t width, features;
    float *points;          /* [n, width] */
    double *before, *after; /* [n, features] */
    float *largest, *mean;  /* [n] */
} shaking;

static void shake(const shaking *s, size_t sample)
{
    for (size_t row = 0; row < s->items->n; row++) {
        ps_rng rng;
        ps_explain_rng(s->x, s->items->item[row] << 20 | sample, &rng);
        for (size_t k = row * s->width; k < (row + 1) * s->width; k++)
            s->points[k] = (float)((double)s->items->points[k] +
                                   s->spec->radius * (2 * ps_rng_uniform(&rng) - 1));
    }
}

static double change_of(const shaking *s, size_t row)
{
    double change = 0, length = 0;
    for (size_t f = row * s->features; f < (row + 1) * s->features; f++) {
        change += pow(s->after[f] - s->before[f], 2);
        length += s->before[f] * s->before[f];
    }
    return length > 0 ? sqrt(change / length) : NAN;
}

static ps_status sample_once(shaking *s, size_t sample)
{
    ps_explain_moved moved;
    shake(s, sample);
    ps_status st = ps_explain_move(s->x, s->items, s->points, &moved);
    if (!st)
        st = ps_explain_attribute(s->x, s->spec, &moved.items, false, s->after);
    for (size_t row = 0; !st && row < s->items->n; row++) {
        double change = change_of(s, row);
        if (!(change <= (double)s->largest[row]))
            s->largest[row] = (float)change;
        s->mean[row] += (float)(change / (double)s->spec->samples);
    }
    ps_explain_moved_free(&moved);
    return st;
}

static ps_status measure(shaking *s, ps_explain_part *out)
{
    ps_status st = ps_explain_attribute(s->x, s->spec, s->items, false, s->before);
    for (size_t i = 0; !st && i < (size_t)s->spec->samples; i++)
        st = sample_once(s, i);
    if (!st)
        st = ps_explain_put_rows(out, "largest", "", s->items->n, 0, NULL, s->largest);
    if (!st)
        st = ps_explain_put_rows(out, "mean", "", s->items->n, 0, NULL, s->mean);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    shaking s = {.x = x,
                 .spec = spec,
                 .items = items,
                 .width = ps_explain_width(x, items),
                 .features = ps_explain_features(x, items)};
    s.points = ps_try_alloc_raw(items->n * s.width * sizeof *s.points);
    s.before = ps_try_alloc_raw(items->n * s.features * sizeof *s.before);
    s.after = ps_try_alloc_raw(items->n * s.features * sizeof *s.after);
    s.largest = ps_try_alloc(items->n * sizeof *s.largest);
    s.mean = ps_try_alloc(items->n * sizeof *s.mean);
    ps_status st = s.points && s.before && s.after && s.largest && s.mean
                       ? measure(&s, out)
                       : ps_fail(PS_NO_MEMORY, "%zu rows of %zu numbers", items->n, s.width);
    ps_free(&s.points);
    ps_free(&s.before);
    ps_free(&s.after);
    ps_free(&s.largest);
    ps_free(&s.mean);
    return st;
}

const ps_explain_method ps_explain_method_sensitivity = {.name = "sensitivity", .run = run};
