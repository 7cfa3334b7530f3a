/* infidelity: E[(Iᵀφ − (f(x) − f(x − I)))²]: by how much an attribution is wrong about what f loses
 * (Yeh et al. 2019). I is x − x′ of features or tokens drawn with probability ½ each, 0 of the
 * others, and φ is a share of f as attributions here are, so that Iᵀφ is Σφ over those drawn: 0
 * where f is a sum of functions of single features and φ are these. `correlation` of the same two
 * over the draws is the faithfulness of Bhatt et al. (2020).
 *
 * normalise: φ is first multiplied by β = E[ab]/E[a²] of the two, which is best, so that
 * attributions that differ by a factor are as good as each other; `beta` has it.
 *
 * Each draw is from the row itself, never from the draw before. samples passes forward a row, and
 * those of the attribution. */
#include "worker/explain/agreement.h"
#include "worker/explain/attribute.h"
#include "worker/explain/baseline.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

typedef struct drawing {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t width, features, samples;
    bool normalise;
    double *values;    /* [n, features] */
    double *predicted; /* [n, samples]: Iᵀφ */
    double *lost;      /* likewise: f(x) − f(x − I) */
} drawing;

/* Point i: draw i % samples of row i / samples. */
static void make(void *user, size_t i, void *point, size_t *item)
{
    const drawing *d = user;
    size_t each = d->width / d->features;
    float *out = point;
    double sum = 0;
    ps_rng rng;
    *item = i / d->samples;
    ps_explain_rng(d->x, d->items->item[*item] << 20 | i % d->samples, &rng);
    memcpy(out, d->items->points + *item * d->width, d->width * sizeof *out);
    for (size_t f = 0; f < d->features; f++) {
        if (ps_rng_next(&rng) >> 63)
            continue;
        sum += d->values[*item * d->features + f];
        for (size_t k = f * each; k < (f + 1) * each; k++)
            out[k] = ps_explain_baseline_at(d->x->baseline, k);
    }
    d->predicted[i] = sum;
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const drawing *d = user;
    d->lost[i] = d->items->scores[i / d->samples] - score;
}

/* ---- what is left ---- */

enum { INFIDELITY, CORRELATION, ERROR, BETA, FIGURES };

static double best_factor(const double *a, const double *b, size_t n)
{
    double ab = 0, aa = 0;
    for (size_t i = 0; i < n; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
    }
    return aa > 0 ? ab / aa : NAN;
}

static void measure(const drawing *d, size_t row, float *figures[FIGURES])
{
    size_t n = d->samples;
    const double *a = d->predicted + row * n, *b = d->lost + row * n;
    double beta = d->normalise ? best_factor(a, b, n) : 1, mean = 0, spread = 0;
    for (size_t i = 0; i < n; i++) {
        double square = pow(beta * a[i] - b[i], 2), off = square - mean;
        mean += off / (double)(i + 1);
        spread += off * (square - mean);
    }
    figures[INFIDELITY][row] = (float)mean;
    figures[CORRELATION][row] = (float)ps_pearson(a, b, n);
    figures[ERROR][row] = (float)sqrt(spread / (double)(n - 1) / (double)n);
    figures[BETA][row] = (float)beta;
}

static ps_status put(const drawing *d, ps_explain_part *out)
{
    static const char *const names[FIGURES] = {"infidelity", "correlation", "standard_error",
                                               "beta"};
    size_t n = d->items->n, count = d->normalise ? FIGURES : BETA;
    float *memory = ps_try_alloc_raw(FIGURES * n * sizeof *memory), *figures[FIGURES];
    if (!memory)
        return ps_fail(PS_NO_MEMORY, "figures of %zu rows", n);
    for (size_t i = 0; i < FIGURES; i++)
        figures[i] = memory + i * n;
    for (size_t row = 0; row < n; row++)
        measure(d, row, figures);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < count; i++)
        st = ps_explain_put_rows(out, names[i], "", n, 0, NULL, figures[i]);
    ps_free(&memory);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    size_t draws = items->n * (size_t)spec->samples;
    drawing d = {.x = x,
                 .items = items,
                 .width = ps_explain_width(x, items),
                 .features = ps_explain_features(x, items),
                 .samples = (size_t)spec->samples,
                 .normalise = spec->normalise};
    d.values = ps_try_alloc_raw(items->n * d.features * sizeof *d.values);
    d.predicted = ps_try_alloc_raw(draws * sizeof *d.predicted);
    d.lost = ps_try_alloc_raw(draws * sizeof *d.lost);
    const ps_explain_points points = {.n = draws, .make = make, .take = take, .user = &d};
    ps_status st = d.values && d.predicted && d.lost
                       ? ps_explain_attribute(x, spec, items, true, d.values)
                       : ps_fail(PS_NO_MEMORY, "%zu draws; lower explain.batch or samples", draws);
    if (!st)
        st = ps_explain_evaluate(x, items, &points);
    if (!st)
        st = put(&d, out);
    ps_free(&d.values);
    ps_free(&d.predicted);
    ps_free(&d.lost);
    return st;
}

const ps_explain_method ps_explain_method_infidelity = {.name = "infidelity", .run = run};
