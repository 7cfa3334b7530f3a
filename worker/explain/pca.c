/* pca: the rows as each layer sees them (of language models their last token, at `point`), in the
 * few directions in which they lie furthest apart:
 *
 *     coordinates [layer, row, component]  along each direction, from the mean; a direction's sign
 *                                          is the one that makes its largest coordinate positive
 *     explained   [layer, component]       share of the variance that lies along it
 *     discarded   [layer]                  share that lies along none: the relative square of the
 *                                          error of rows that are put together from coordinates
 *
 * Of at most the first 1024 rows. From what rows are to each other (k = XXᵀ of centred X, whose
 * eigenvectors are the coordinates by their lengths), which needs no square of the width. */
#include "worker/explain/hidden.h"
#include "worker/explain/rows.h"

#include "common/base/mem.h"
#include "worker/compress/eigen.h"

#include <math.h>

typedef struct turning {
    ps_explain_kept kept;
    size_t components;
    double *kernel, *values; /* [rows, rows], [rows] */
    float *coordinates, *explained, *discarded;
} turning;

/* Along the k-th direction. */
static void place_rows(const turning *t, size_t layer, size_t k)
{
    size_t n = t->kept.rows;
    const double *vector = t->kernel + k * n;
    double length = sqrt(fmax(t->values[k], 0)), sign = 1, largest = 0;
    for (size_t i = 0; i < n; i++)
        if (fabs(vector[i]) > largest) {
            largest = fabs(vector[i]);
            sign = vector[i] < 0 ? -1 : 1;
        }
    for (size_t i = 0; i < n; i++)
        t->coordinates[(layer * n + i) * t->components + k] = (float)(sign * length * vector[i]);
}

static ps_status turn(const turning *t, size_t layer)
{
    size_t n = t->kept.rows;
    double all = 0, left = 0;
    ps_status st = ps_explain_kept_kernel(&t->kept, layer, t->kernel);
    if (!st)
        st = ps_eigen(t->kernel, n, t->values, 0, NULL);
    if (st)
        return ps_wrap(st, "layer %zu", layer);
    for (size_t i = 0; i < n; i++)
        all += fmax(t->values[i], 0);
    for (size_t i = t->components; i < n; i++)
        left += fmax(t->values[i], 0);
    for (size_t k = 0; k < t->components; k++) {
        place_rows(t, layer, k);
        t->explained[layer * t->components + k] =
            all > 0 ? (float)(fmax(t->values[k], 0) / all) : NAN;
    }
    t->discarded[layer] = all > 0 ? (float)(left / all) : NAN;
    return PS_OK;
}

static ps_status turn_all(const turning *t, ps_explain_part *merged)
{
    const uint64_t coordinates[] = {t->kept.layers, t->kept.rows, t->components},
                   explained[] = {t->kept.layers, t->components};
    ps_status st = PS_OK;
    for (size_t layer = 0; !st && layer < t->kept.layers; layer++)
        st = turn(t, layer);
    if (!st)
        st = ps_explain_put_result(merged, "coordinates", "layer row component", 3, coordinates,
                                   t->coordinates);
    if (!st)
        st = ps_explain_put_result(merged, "explained", "layer component", 2, explained,
                                   t->explained);
    return st ? st
              : ps_explain_put_result(merged, "discarded", "layer", 1, explained, t->discarded);
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    turning t;
    if (!ps_explain_kept_of(merged, "", &t.kept))
        return PS_OK;
    size_t n = t.kept.rows, layers = t.kept.layers;
    t.components = (size_t)spec->components < n ? (size_t)spec->components : n;
    t.kernel = ps_try_alloc_raw(n * n * sizeof *t.kernel);
    t.values = ps_try_alloc_raw(n * sizeof *t.values);
    t.coordinates = ps_try_alloc_raw(layers * n * t.components * sizeof *t.coordinates);
    t.explained = ps_try_alloc_raw(layers * t.components * sizeof *t.explained);
    t.discarded = ps_try_alloc_raw(layers * sizeof *t.discarded);
    ps_status st = t.kernel && t.values && t.coordinates && t.explained && t.discarded
                       ? turn_all(&t, merged)
                       : ps_fail(PS_NO_MEMORY, "directions of %zu rows", n);
    ps_explain_kept_drop(merged, "");
    ps_free(&t.kernel);
    ps_free(&t.values);
    ps_free(&t.coordinates);
    ps_free(&t.explained);
    ps_free(&t.discarded);
    return st;
}

const ps_explain_method ps_explain_method_pca = {.name = "pca",
                                                 .prepare = ps_explain_keep_prepare,
                                                 .run = ps_explain_keep_run,
                                                 .free = ps_explain_keep_free,
                                                 .finish = finish};
