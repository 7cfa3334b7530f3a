/* activations: how each channel of each layer is used, over all rows, and of language models all
 * their tokens, at `point`:
 *
 *     statistics [layer, channel, quantity]  mean, deviation, least, most, kurtosis (3 of a normal
 *                                            distribution; NaN where nothing varies), and the share
 *                                            that is above 0. NaN: the layer has fewer channels
 *     dead       [layer]                     channels that are above 0 for no row: units that a
 *                                            relu has lost
 *     histogram  [layer, bin]                counts, of all channels; edges [edge] are powers of
 *                                            two either side of 0, the outer bins without an end,
 *                                            so that any two models can be laid over each other
 *
 * Moments are made of sums of powers in float64, which are added whoever has computed them: a
 * deviation below 1e-7 of the mean is lost, and a kurtosis where it is below 1e-3 of it.
 *
 * One pass forward a row. */
#include "worker/explain/hidden.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <math.h>

enum { ABOVE, SUM, SQUARE, CUBE, FOURTH, SUMS };
enum { MEAN, DEVIATION, LEAST, MOST, KURTOSIS, ACTIVE, QUANTITIES };
static const char *const quantities[] = {"mean",     "deviation", "least", "most",
                                         "kurtosis", "active",    NULL};
static const ps_explain_entries entries[] = {{"statistics", quantities}, {NULL, NULL}};

enum { OCTAVE_LEAST = -8, OCTAVES = 17, SIDE = OCTAVES + 1, BINS = 2 * SIDE };

/* [0, 2⁻⁸), [2⁻⁸, 2⁻⁷), … [2⁸, ∞), and below 0 [−2⁻⁸, 0), … (−∞, −2⁸): each has its lower edge. */
static size_t bin_of(float value)
{
    double size = fmin(fabs((double)value), ldexp(1, OCTAVE_LEAST + OCTAVES)); /* infinity, too */
    int step = size >= ldexp(1, OCTAVE_LEAST) ? ilogb(size) - OCTAVE_LEAST + 1 : 0;
    if (value < 0 && step && size == ldexp(1, ilogb(size)))
        step--;
    size_t at = (size_t)(step < SIDE ? step : SIDE - 1);
    return value < 0 ? SIDE - 1 - at : SIDE + at;
}

static void fill_edges(float edges[BINS - 1])
{
    for (int i = 0; i < OCTAVES; i++) {
        edges[SIDE + i] = (float)ldexp(1, OCTAVE_LEAST + i);
        edges[SIDE - 2 - i] = -edges[SIDE + i];
    }
    edges[SIDE - 1] = 0;
}

typedef struct counting {
    const ps_explain_hidden *hidden;
    double *sums;      /* [layers, widest, SUMS] */
    double *histogram; /* [layers, BINS] */
    float *range;      /* [2, layers, widest]: least, most; NaN at first */
    double rows;
} counting;

static void add(counting *c, size_t layer, size_t channel, float value)
{
    size_t widest = c->hidden->widest, at = layer * widest + channel;
    double v = (double)value, *sums = c->sums + at * SUMS;
    float *least = c->range + at, *most = least + c->hidden->layers * widest;
    sums[ABOVE] += v > 0;
    sums[SUM] += v;
    sums[SQUARE] += v * v;
    sums[CUBE] += v * v * v;
    sums[FOURTH] += v * v * v * v;
    *least = fminf(*least, value);
    *most = fmaxf(*most, value);
    if (!isnan(value))
        c->histogram[layer * BINS + bin_of(value)]++;
}

static void see(void *user, size_t layer, const float *values, size_t rows)
{
    counting *c = user;
    size_t columns = c->hidden->columns[layer];
    for (size_t i = 0; i < rows; i++)
        for (size_t channel = 0; channel < columns; channel++)
            add(c, layer, channel, values[i * columns + channel]);
}

static ps_status put(const counting *c, ps_explain_part *out)
{
    const uint64_t layers = c->hidden->layers, widest = c->hidden->widest;
    const uint64_t sums[] = {layers, widest, SUMS}, histogram[] = {layers, BINS},
                   range[] = {2, layers, widest}, one[] = {1};
    ps_status st = ps_explain_put_sums(out, "sums", "layer channel power", 3, sums, c->sums);
    if (!st)
        st = ps_explain_put_sums(out, "histogram", "layer bin", 2, histogram, c->histogram);
    if (!st)
        st = ps_explain_put_sums(out, "count", "count", 1, one, &c->rows);
    /* of these items, for finish, since ends do not add up */
    return st ? st : ps_explain_put_rows(out, "range", "end layer channel", 1, 3, range, c->range);
}

static ps_status put_channels(const ps_explain_hidden *h, ps_explain_part *out)
{
    const uint64_t layers = h->layers, edge_count = BINS - 1;
    float edges[BINS - 1], *channels = ps_alloc_array(h->layers, sizeof *channels);
    fill_edges(edges);
    for (size_t i = 0; i < h->layers; i++)
        channels[i] = (float)h->columns[i];
    ps_status st = ps_explain_put_result(out, "channels", "layer", 1, &layers, channels);
    ps_free(&channels);
    return st ? st : ps_explain_put_result(out, "edges", "edge", 1, &edge_count, edges);
}

static void free_hidden(void *state)
{
    ps_explain_hidden *h = state;
    if (h)
        ps_explain_hidden_free(h);
    ps_free(&h);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    *state = ps_alloc(sizeof(ps_explain_hidden));
    return ps_explain_hidden_open(x, spec->point, *state);
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    const ps_explain_hidden *h = state;
    size_t all = h->layers * h->widest;
    counting c = {.hidden = h, .rows = (double)(items->n * (size_t)items->length)};
    c.sums = ps_try_alloc(all * SUMS * sizeof *c.sums);
    c.histogram = ps_try_alloc(h->layers * BINS * sizeof *c.histogram);
    c.range = ps_try_alloc_raw(2 * all * sizeof *c.range);
    for (size_t i = 0; c.range && i < 2 * all; i++)
        c.range[i] = NAN;
    ps_status st = c.sums && c.histogram && c.range
                       ? ps_explain_hidden_pass(x, items, h, see, &c)
                       : ps_fail(PS_NO_MEMORY, "statistics of %zu channels", all);
    if (!st)
        st = put(&c, out);
    if (!st)
        st = put_channels(h, out);
    ps_free(&c.sums);
    ps_free(&c.histogram);
    ps_free(&c.range);
    return st;
}

/* ---- all of it ---- */

static void describe(const double *sums, double n, float *out)
{
    double mean = sums[SUM] / n, second = sums[SQUARE] / n, third = sums[CUBE] / n;
    double variance = fmax(second - mean * mean, 0);
    double fourth = sums[FOURTH] / n - 4 * mean * third + 6 * mean * mean * second -
                    3 * mean * mean * mean * mean;
    out[MEAN] = (float)mean;
    out[DEVIATION] = (float)sqrt(variance);
    out[KURTOSIS] = variance > 0 ? (float)(fourth / (variance * variance)) : NAN;
    out[ACTIVE] = (float)(sums[ABOVE] / n);
}

typedef struct finishing {
    size_t layers, widest, ranges;
    double n;
    const double *sums;
    const float *range; /* [ranges, 2, layers, widest] */
    const float *channels;
    float *statistics, *dead;
} finishing;

static void find_ends(const finishing *f, size_t at, float *out)
{
    size_t all = f->layers * f->widest;
    out[LEAST] = out[MOST] = NAN;
    for (size_t i = 0; i < f->ranges; i++) {
        out[LEAST] = fminf(out[LEAST], f->range[i * 2 * all + at]);
        out[MOST] = fmaxf(out[MOST], f->range[(i * 2 + 1) * all + at]);
    }
}

static void describe_all(const finishing *f)
{
    for (size_t layer = 0; layer < f->layers; layer++) {
        f->dead[layer] = 0;
        for (size_t channel = 0; channel < f->widest; channel++) {
            size_t at = layer * f->widest + channel;
            float *out = f->statistics + at * QUANTITIES;
            bool there = (float)channel < f->channels[layer];
            for (size_t i = 0; i < QUANTITIES; i++)
                out[i] = NAN;
            if (!there)
                continue;
            describe(f->sums + at * SUMS, f->n, out);
            find_ends(f, at, out);
            f->dead[layer] += f->sums[at * SUMS + ABOVE] == 0;
        }
    }
}

/* false: no row is there, or these are not what run leaves. */
static bool gather(const ps_explain_part *merged, finishing *f)
{
    const ps_explain_array *sums = ps_explain_get(merged, "sums"),
                           *range = ps_explain_get(merged, "range"),
                           *channels = ps_explain_get(merged, "channels"),
                           *count = ps_explain_get(merged, "count");
    if (!sums || !range || !channels || !count || !sums->doubles || !count->doubles ||
        !range->floats || !channels->floats || sums->rank != 3 || range->rank != 4 ||
        channels->rank != 1 || ps_explain_array_count(count) != 1)
        return false;
    *f = (finishing){.layers = (size_t)sums->shape[0],
                     .widest = (size_t)sums->shape[1],
                     .ranges = (size_t)range->shape[0],
                     .n = count->doubles[0],
                     .sums = sums->doubles,
                     .range = range->floats,
                     .channels = channels->floats};
    return f->n > 0 && sums->shape[2] == SUMS && channels->shape[0] == f->layers &&
           range->shape[1] == 2 && range->shape[2] == f->layers && range->shape[3] == f->widest;
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    finishing f;
    if (!gather(merged, &f))
        return PS_OK;
    const uint64_t shape[] = {f.layers, f.widest, QUANTITIES};
    f.statistics = ps_try_alloc_raw(f.layers * f.widest * QUANTITIES * sizeof *f.statistics);
    f.dead = ps_try_alloc_raw(f.layers * sizeof *f.dead);
    ps_status st = f.statistics && f.dead
                       ? PS_OK
                       : ps_fail(PS_NO_MEMORY, "statistics of %zu channels", f.widest);
    if (!st) {
        describe_all(&f);
        st = ps_explain_put_result(merged, "statistics", "layer channel quantity", 3, shape,
                                   f.statistics);
    }
    if (!st)
        st = ps_explain_put_result(merged, "dead", "layer", 1, shape, f.dead);
    ps_explain_drop(merged, "sums");
    ps_explain_drop(merged, "range");
    ps_explain_drop(merged, "count");
    ps_free(&f.statistics);
    ps_free(&f.dead);
    return st;
}

const ps_explain_method ps_explain_method_activations = {.name = "activations",
                                                         .entries = entries,
                                                         .prepare = prepare,
                                                         .run = run,
                                                         .free = free_hidden,
                                                         .finish = finish};
