/* Means of gradients at drawn points.
 *
 * smooth_grad: saliency that does not hang on the very point: the mean of |∇f| over x + N(0, σ²),
 * σ = noise · (largest − smallest number of the row) (Smilkov 2017); beside it their `variance`
 * (VarGrad, Adebayo 2018). With noise 0 it is saliency.
 *
 * gradient_shap: (x − x′) ⊙ the mean of ∇f at points between x′ and x drawn evenly (Erion 2021;
 * Lundberg's GradientExplainer): integrated gradients by chance. It adds up to f(x) − f(x′) the
 * better the more samples there are: `residual` says how well.
 *
 * samples · (forward and backward) a row. Point k of an item is drawn by both numbers alone. */
#include "worker/explain/baseline.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

typedef struct drawing {
    ps_explaining *x;
    const ps_explain_items *items;
    size_t width, features, samples;
    double noise;
    bool between;          /* gradient_shap's points, signed and times x − x′ */
    double *empty;         /* [n]: f(x′); gradient_shap alone */
    double *mean, *spread; /* [n, features]; spread: Σ(v − mean)² (Welford 1962) */
} drawing;

static void stream_of(const drawing *d, size_t row, size_t sample, ps_rng *rng)
{
    ps_explain_rng(d->x, d->items->item[row] << 20 | sample, rng);
}

static void add_noise(const drawing *d, const float *input, ps_rng *rng, float *out)
{
    double least = INFINITY, most = -INFINITY;
    for (size_t k = 0; k < d->width; k++) {
        least = fmin(least, (double)input[k]);
        most = fmax(most, (double)input[k]);
    }
    double deviation = d->noise * (most - least);
    for (size_t k = 0; k < d->width; k++)
        out[k] = (float)((double)input[k] + deviation * ps_rng_normal(rng));
}

static void step_between(const drawing *d, const float *input, ps_rng *rng, float *out)
{
    double alpha = ps_rng_uniform(rng);
    for (size_t k = 0; k < d->width; k++) {
        double from = (double)ps_explain_baseline_at(d->x->baseline, k);
        out[k] = (float)(from + alpha * ((double)input[k] - from));
    }
}

/* Point i: sample i % samples of row i / samples. */
static void make(void *user, size_t i, void *point, size_t *item)
{
    const drawing *d = user;
    ps_rng rng;
    *item = i / d->samples;
    stream_of(d, *item, i % d->samples, &rng);
    const float *input = d->items->points + *item * d->width;
    (d->between ? step_between : add_noise)(d, input, &rng, point);
}

static double measure(const drawing *d, const float *input, const float *gradient, size_t feature)
{
    size_t each = d->width / d->features;
    double sum = 0;
    for (size_t k = feature * each; k < (feature + 1) * each; k++) {
        double g = (double)gradient[k];
        double by = (double)input[k] - (double)ps_explain_baseline_at(d->x->baseline, k);
        sum += d->between ? g * by : g * g;
    }
    return d->between ? sum : sqrt(sum);
}

static void take(void *user, size_t i, double score, const float *gradient)
{
    const drawing *d = user;
    size_t row = i / d->samples, seen = i % d->samples + 1;
    const float *input = d->items->points + row * d->width;
    for (size_t f = 0; f < d->features; f++) {
        double value = measure(d, input, gradient, f), *mean = d->mean + row * d->features + f;
        double off = value - *mean;
        *mean += off / (double)seen;
        d->spread[row * d->features + f] += off * (value - *mean);
    }
}

/* ---- what is left ---- */

static void make_empty(void *user, size_t i, void *point, size_t *item)
{
    const drawing *d = user;
    ps_explain_baseline_put(d->x->baseline, d->width, point);
    *item = i;
}

static void take_empty(void *user, size_t i, double score, const float *gradient)
{
    ((drawing *)user)->empty[i] = score;
}

static ps_status put_residual(drawing *d, ps_explain_part *out)
{
    float *residual = ps_try_alloc_raw(d->items->n * sizeof *residual);
    d->empty = ps_try_alloc_raw(d->items->n * sizeof *d->empty);
    const ps_explain_points points = {
        .n = d->items->n, .make = make_empty, .take = take_empty, .user = d};
    ps_status st = residual && d->empty ? ps_explain_evaluate(d->x, d->items, &points)
                                        : ps_fail(PS_NO_MEMORY, "residuals of a batch");
    for (size_t row = 0; !st && row < d->items->n; row++) {
        double sum = 0, change = d->items->scores[row] - d->empty[row];
        for (size_t f = 0; f < d->features; f++)
            sum += d->mean[row * d->features + f];
        residual[row] = (float)(fabs(sum - change) / fmax(fabs(change), 1e-12));
    }
    if (!st)
        st = ps_explain_put_rows(out, "residual", "", d->items->n, 0, NULL, residual);
    ps_free(&residual);
    ps_free(&d->empty);
    return st;
}

/* values[i] of mean or of spread, times a factor, or the root of that. */
static ps_status put_scaled(const drawing *d, const char *name, const double *from, double factor,
                            bool root, ps_explain_part *out)
{
    size_t n = d->items->n * d->features;
    float *values = ps_try_alloc_raw(n * sizeof *values);
    if (!values)
        return ps_fail(PS_NO_MEMORY, "gradients of a batch");
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(root ? sqrt(from[i] * factor) : from[i] * factor);
    ps_status st = ps_explain_put_values(out, name, d->x->language ? "token" : "feature",
                                         d->items->n, d->features, values);
    ps_free(&values);
    return st;
}

static ps_status put(drawing *d, ps_explain_part *out)
{
    double n = (double)d->samples, degrees = n > 1 ? n - 1 : NAN;
    ps_status st = put_scaled(d, "values", d->mean, 1, false, out);
    if (!st && !d->between)
        st = put_scaled(d, "variance", d->spread, 1 / n, false, out);
    if (!st)
        st = put_scaled(d, "standard_error", d->spread, 1 / degrees / n, true, out);
    return !st && d->between ? put_residual(d, out) : st;
}

static ps_status draw(drawing *d, ps_explain_part *out)
{
    size_t n = d->items->n * d->features;
    d->mean = ps_try_alloc(n * sizeof *d->mean);
    d->spread = ps_try_alloc(n * sizeof *d->spread);
    const ps_explain_points points = {
        .n = d->items->n * d->samples, .gradients = true, .make = make, .take = take, .user = d};
    ps_status st = d->mean && d->spread ? ps_explain_evaluate(d->x, d->items, &points)
                                        : ps_fail(PS_NO_MEMORY, "gradients of a batch");
    if (!st)
        st = put(d, out);
    ps_free(&d->mean);
    ps_free(&d->spread);
    return st;
}

static drawing drawing_of(ps_explaining *x, const ps_spec_explain_method *spec,
                          const ps_explain_items *items)
{
    return (drawing){.x = x,
                     .items = items,
                     .width = ps_explain_width(x, items),
                     .features = ps_explain_features(x, items),
                     .samples = (size_t)spec->samples,
                     .noise = spec->noise};
}

static ps_status run_smooth(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                            const ps_explain_items *items, ps_explain_part *out)
{
    drawing d = drawing_of(x, spec, items);
    return draw(&d, out);
}

static ps_status run_shap(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                          const ps_explain_items *items, ps_explain_part *out)
{
    drawing d = drawing_of(x, spec, items);
    d.between = true;
    return draw(&d, out);
}

const ps_explain_method ps_explain_method_smooth_grad = {.name = "smooth_grad", .run = run_smooth};
const ps_explain_method ps_explain_method_gradient_shap = {.name = "gradient_shap",
                                                           .run = run_shap};
