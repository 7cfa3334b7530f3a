/* weights: what the numbers of each tensor are like, without data: how they lie, and of matrices
 * what they stretch (spectrum.h). A tensor is one share's; of all tensors:
 *
 *     statistics [tensor, quantity]  PS_EXPLAIN_WEIGHT_QUANTITIES; NaN where there is none
 *     histogram  [tensor, bin]       counts, between -limit and limit (a quantity) in equal bins
 *     singular   [tensor, point]     singular values by rank, of ranks that grow evenly on a log
 *                                    scale from the first to the last; NaN of what is no matrix
 *
 * Spectra of matrices whose smaller side is over side_max are left out, with a warning. A tensor
 * with NaN or infinity has counts alone, and a warning. */
#include "worker/explain/weights.h"

#include "worker/explain/rows.h"
#include "worker/explain/spectrum.h"

#include "common/base/mem.h"

#include <math.h>
#include <string.h>

#define NAME(name) #name,
static const char *const quantities[] = {PS_EXPLAIN_WEIGHT_QUANTITIES(NAME) NULL};
static const ps_explain_entries entries[] = {{"statistics", quantities}, {NULL, NULL}};

/* A share's: zeros in the rows of tensors that are others'. */
typedef struct weighing {
    ps_explaining *x;
    const ps_model_layout *layout;
    int64_t side_max;
    double *statistics, *histogram, *singular;
    ps_explain_part *out;
} weighing;

typedef struct moments {
    double mean, squares, deviation, least, most, zeros, odd; /* odd: NaN or infinite */
} moments;

static moments measure(const float *w, size_t n)
{
    moments m = {.least = INFINITY, .most = -INFINITY};
    double finite = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(w[i])) {
            m.odd++;
            continue;
        }
        double v = (double)w[i];
        finite++;
        m.mean += v;
        m.squares += v * v;
        m.zeros += v == 0;
        m.least = fmin(m.least, v);
        m.most = fmax(m.most, v);
    }
    m.mean /= finite;
    for (size_t i = 0; i < n; i++)
        m.deviation += isfinite(w[i]) ? ((double)w[i] - m.mean) * ((double)w[i] - m.mean) : 0;
    m.deviation = sqrt(m.deviation / finite);
    return m;
}

static void count_bins(const float *w, size_t n, double limit, double *bins)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(w[i]))
            continue;
        double at = limit > 0 ? ((double)w[i] / limit + 1) / 2 * PS_EXPLAIN_WEIGHT_BINS : 0;
        size_t bin = at < 0 ? 0 : (size_t)at;
        bins[bin < PS_EXPLAIN_WEIGHT_BINS ? bin : PS_EXPLAIN_WEIGHT_BINS - 1]++;
    }
}

static void set(double *statistics, ps_explain_weight_quantity quantity, double value)
{
    statistics[quantity] = value;
}

static void describe(const float *w, size_t n, double *statistics, double *bins)
{
    moments m = measure(w, n);
    double limit = fmax(fabs(m.least), fabs(m.most));
    set(statistics, PS_WEIGHT_elements, (double)n);
    set(statistics, PS_WEIGHT_not_finite, m.odd);
    set(statistics, PS_WEIGHT_zeros, m.zeros / (double)n);
    set(statistics, PS_WEIGHT_mean, m.mean);
    set(statistics, PS_WEIGHT_deviation, m.deviation);
    set(statistics, PS_WEIGHT_minimum, m.least);
    set(statistics, PS_WEIGHT_maximum, m.most);
    set(statistics, PS_WEIGHT_limit, limit);
    set(statistics, PS_WEIGHT_norm, sqrt(m.squares));
    count_bins(w, n, limit, bins);
}

/* Ranks of the points from 0 to n − 1, even on a log scale. */
static size_t rank_of(size_t point, size_t n)
{
    double share = (double)point / (PS_EXPLAIN_WEIGHT_POINTS - 1);
    return (size_t)llround(pow((double)n, share)) - 1;
}

static void describe_spectrum(const double *values, size_t n, double *statistics, double *singular)
{
    ps_power_law law = {.alpha = NAN, .from = NAN, .distance = NAN};
    set(statistics, PS_WEIGHT_largest_singular, sqrt(values[0]));
    set(statistics, PS_WEIGHT_stable_rank, ps_spectrum_stable_rank(values, n));
    set(statistics, PS_WEIGHT_effective_rank, ps_spectrum_effective_rank(values, n));
    (void)ps_power_law_fit(values, n, &law); /* none: it stays as it is */
    set(statistics, PS_WEIGHT_alpha, law.alpha);
    set(statistics, PS_WEIGHT_alpha_from, law.from);
    set(statistics, PS_WEIGHT_alpha_distance, law.distance);
    set(statistics, PS_WEIGHT_alpha_tail, (double)law.tail);
    for (size_t i = 0; i < PS_EXPLAIN_WEIGHT_POINTS; i++)
        singular[i] = sqrt(values[rank_of(i, n)]);
}

static ps_status spectrum_of(weighing *g, const ps_model_parameter_spec *spec, const float *w,
                             double *statistics, double *singular)
{
    int64_t side = spec->shape[0] < spec->shape[1] ? spec->shape[0] : spec->shape[1];
    if (side > g->side_max) {
        ps_explain_warn(g->out, "%s: no spectrum, its smaller side is %lld, over side_max (%lld)",
                        spec->name, (long long)side, (long long)g->side_max);
        return PS_OK;
    }
    const ps_eigen_watch watch = {g->x->check, g->x->user};
    double *values = ps_try_alloc_raw((size_t)side * sizeof *values);
    ps_status st =
        values ? ps_spectrum(w, (size_t)spec->shape[0], (size_t)spec->shape[1], 0, &watch, values)
               : ps_fail(PS_NO_MEMORY, "%lld singular values", (long long)side);
    if (!st)
        describe_spectrum(values, (size_t)side, statistics, singular);
    ps_free(&values);
    return st ? ps_wrap(st, "tensor %s", spec->name) : PS_OK;
}

static void set_all(double *values, size_t n, double value)
{
    for (size_t i = 0; i < n; i++)
        values[i] = value;
}

static ps_status weigh(weighing *g, size_t tensor, const float *w)
{
    const ps_model_parameter_spec *spec = &g->layout->parameters[tensor];
    double *statistics = g->statistics + tensor * PS_EXPLAIN_WEIGHT_COUNT;
    double *singular = g->singular + tensor * PS_EXPLAIN_WEIGHT_POINTS;
    set_all(statistics, PS_EXPLAIN_WEIGHT_COUNT, NAN);
    set_all(singular, PS_EXPLAIN_WEIGHT_POINTS, NAN);
    describe(w, (size_t)ps_model_parameter_elements(spec), statistics,
             g->histogram + tensor * PS_EXPLAIN_WEIGHT_BINS);
    if (statistics[PS_WEIGHT_not_finite] > 0)
        ps_explain_warn(g->out, "%s: %g of its numbers are NaN or infinite", spec->name,
                        statistics[PS_WEIGHT_not_finite]);
    else if (spec->rank == 2)
        return spectrum_of(g, spec, w, statistics, singular);
    return PS_OK;
}

static ps_status weigh_share(weighing *g)
{
    ps_stream *stream = ps_model_stream(g->x->model);
    ps_status st = PS_OK;
    for (size_t i = g->x->share; !st && i < g->layout->count; i += PS_EXPLAIN_SHARES) {
        ps_tensor from = ps_model_parameter(g->x->model, i);
        float *w = ps_try_alloc_raw(ps_tensor_bytes(from));
        st = w ? ps_copy_to_host(stream, w, from, ps_tensor_bytes(from))
               : ps_fail(PS_NO_MEMORY, "tensor %s", g->layout->parameters[i].name);
        if (!st)
            st = weigh(g, i, w);
        ps_free(&w);
        if (!st)
            st = g->x->check(g->x->user);
    }
    return st;
}

static ps_status put(const weighing *g)
{
    uint64_t shape[2] = {g->layout->count, PS_EXPLAIN_WEIGHT_COUNT};
    ps_status st =
        ps_explain_put_sums(g->out, "statistics", "tensor quantity", 2, shape, g->statistics);
    shape[1] = PS_EXPLAIN_WEIGHT_BINS;
    if (!st)
        st = ps_explain_put_sums(g->out, "histogram", "tensor bin", 2, shape, g->histogram);
    shape[1] = PS_EXPLAIN_WEIGHT_POINTS;
    if (!st)
        st = ps_explain_put_sums(g->out, "singular", "tensor point", 2, shape, g->singular);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    weighing g = {
        .x = x, .layout = ps_model_parameters(x->model), .side_max = spec->side_max, .out = out};
    size_t each = PS_EXPLAIN_WEIGHT_COUNT + PS_EXPLAIN_WEIGHT_BINS + PS_EXPLAIN_WEIGHT_POINTS;
    g.statistics = ps_try_alloc(g.layout->count * each * sizeof *g.statistics);
    if (!g.statistics)
        return ps_fail(PS_NO_MEMORY, "statistics of %zu tensors", g.layout->count);
    g.histogram = g.statistics + g.layout->count * PS_EXPLAIN_WEIGHT_COUNT;
    g.singular = g.histogram + g.layout->count * PS_EXPLAIN_WEIGHT_BINS;
    ps_status st = weigh_share(&g);
    if (!st)
        st = put(&g);
    ps_free(&g.statistics);
    return st;
}

const ps_explain_method ps_explain_method_weights = {
    .name = "weights", .entries = entries, .run = run};
