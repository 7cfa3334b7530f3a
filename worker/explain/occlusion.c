/* occlusion: a window that is as in the baseline is moved over the input, and what f loses by it is
 * shared out: a feature's value is the mean over the windows that cover it (Zeiler and Fergus
 * 2013). Windows of two numbers are of an image, of one number of what is in a row: features or
 * tokens. One pass forward a row and window. */
#include "worker/explain/ablate.h"
#include "worker/explain/features.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { USUAL = 4 }; /* side of a window of an image */

/* What is in a row as rows and columns, and the windows over that. */
typedef struct windows {
    size_t rows, columns;   /* of the input */
    size_t high, wide;      /* a window */
    size_t down, along;     /* its steps */
    size_t n_down, n_along; /* how many there are, each way */
} windows;

static size_t count(size_t side, size_t window, size_t step)
{
    return side <= window ? 1 : (side - window + step - 1) / step + 1;
}

static ps_status lay_out(const ps_spec_explain_method *spec, size_t features, bool language,
                         windows *w)
{
    size_t side = (size_t)(sqrt((double)features) + 0.5);
    bool usual = spec->n_window == 0 && !language && (spec->n_shape || side * side == features);
    ps_status st = PS_OK;
    *w = (windows){.rows = 1, .columns = features, .high = 1, .wide = 1};
    if (language && (spec->n_window == 2 || spec->n_shape))
        return ps_fail(PS_INVALID_ARGUMENT, "tokens stand in a row; say window: [n]");
    if (usual || spec->n_window == 2)
        st = ps_explain_image(spec->shape, spec->n_shape, features, &w->rows, &w->columns);
    if (spec->n_window) {
        w->wide = (size_t)spec->window[spec->n_window - 1];
        w->high = spec->n_window == 2 ? (size_t)spec->window[0] : 1;
    } else if (usual) {
        w->high = w->rows < USUAL ? w->rows : USUAL;
        w->wide = w->columns < USUAL ? w->columns : USUAL;
    }
    if (st)
        return st;
    if (w->high > w->rows || w->wide > w->columns)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "the window is %zu by %zu, and the input %zu by %zu; say a smaller window",
                       w->high, w->wide, w->rows, w->columns);
    w->along = spec->n_stride ? (size_t)spec->stride[spec->n_stride - 1] : w->wide;
    w->down = spec->n_stride == 2 ? (size_t)spec->stride[0] : spec->n_stride ? w->along : w->high;
    w->n_down = count(w->rows, w->high, w->down);
    w->n_along = count(w->columns, w->wide, w->along);
    return PS_OK;
}

/* The last window of a side ends with it. */
static size_t begin(size_t i, size_t step, size_t side, size_t window)
{
    return i * step + window > side ? side - window : i * step;
}

static void list_windows(const windows *w, ps_ablation *out)
{
    size_t at = 0;
    for (size_t set = 0; set < out->sets; set++) {
        size_t top = begin(set / w->n_along, w->down, w->rows, w->high);
        size_t left = begin(set % w->n_along, w->along, w->columns, w->wide);
        for (size_t row = top; row < top + w->high; row++)
            for (size_t column = left; column < left + w->wide; column++)
                out->members[at++] = (uint32_t)(row * w->columns + column);
        out->begin[set + 1] = at;
    }
}

/* sums, n: [features], of one row and of all. */
static void share_out(const ps_ablation *sets, const float *drops, size_t features, double *sums,
                      const uint32_t *n, float *values)
{
    memset(sums, 0, features * sizeof *sums);
    for (size_t s = 0; s < sets->sets; s++)
        for (size_t m = sets->begin[s]; m < sets->begin[s + 1]; m++)
            sums[sets->members[m]] += (double)drops[s];
    for (size_t f = 0; f < features; f++)
        values[f] = n[f] ? (float)(sums[f] / n[f]) : 0;
}

static ps_status share_all(const ps_ablation *sets, const float *drops, size_t rows,
                           size_t features, float *values)
{
    double *sums = ps_try_alloc_raw(features * sizeof *sums);
    uint32_t *n = ps_try_alloc(features * sizeof *n);
    for (size_t m = 0; n && m < sets->begin[sets->sets]; m++)
        n[sets->members[m]]++;
    for (size_t i = 0; sums && n && i < rows; i++)
        share_out(sets, drops + i * sets->sets, features, sums, n, values + i * features);
    ps_status st = sums && n ? PS_OK : ps_fail(PS_NO_MEMORY, "sums of %zu features", features);
    ps_free(&sums);
    ps_free(&n);
    return st;
}

static ps_status occlude(ps_explaining *x, const ps_explain_items *items, const windows *w,
                         const ps_ablation *ablation, ps_explain_part *out)
{
    size_t sets = ablation->sets, features = w->rows * w->columns;
    float *drops = ps_try_alloc_raw(items->n * sets * sizeof *drops);
    float *values = ps_try_alloc_raw(items->n * features * sizeof *values);
    ps_status st = drops && values ? ps_ablate(x, items, ablation, drops)
                                   : ps_fail(PS_NO_MEMORY, "values of %zu windows", sets);
    if (!st)
        st = share_all(ablation, drops, items->n, features, values);
    if (!st)
        st = ps_explain_put_values(out, "values", x->language ? "token" : "feature", items->n,
                                   features, values);
    ps_free(&drops);
    ps_free(&values);
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    windows w;
    ps_ablation ablation;
    ps_status st = lay_out(spec, ps_explain_features(x, items), x->language, &w);
    if (st)
        return st;
    size_t sets = w.n_down * w.n_along;
    st = ps_ablation_make(sets, sets * w.high * w.wide, &ablation);
    if (!st) {
        list_windows(&w, &ablation);
        st = occlude(x, items, &w, &ablation, out);
    }
    ps_ablation_free(&ablation);
    return st;
}

const ps_explain_method ps_explain_method_occlusion = {.name = "occlusion", .run = run};
