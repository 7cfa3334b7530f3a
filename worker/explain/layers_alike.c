/* similarity: how alike the layers of a model see the rows (similarity.h): linear CKA of what they
 * make of each, of language models of its last token, at `point`: `cka` [layer, layer], and
 * `cka_debiased`, which is near 0 of layers that have nothing in common, where the plain one grows
 * with their width. Of at most the first 1024 rows.
 *
 * One pass forward a row; then rows² numbers a layer. */
#include "worker/explain/hidden.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"
#include "worker/explain/similarity.h"

#include "common/base/mem.h"

#include <math.h>

enum { DEBIASED_ROWS = 4 }; /* that it needs */

typedef struct comparing {
    ps_explain_kept kept;
    double *kernels; /* [layers, rows, rows] */
    float *plain, *debiased;
} comparing;

static double *kernel(const comparing *c, size_t layer)
{
    return c->kernels + layer * c->kept.rows * c->kept.rows;
}

static ps_status compare(const comparing *c, size_t a, size_t b)
{
    size_t n = c->kept.rows, layers = c->kept.layers;
    double plain = NAN, debiased = NAN;
    ps_status st = ps_cka(kernel(c, a), kernel(c, b), n, &plain);
    if (n >= DEBIASED_ROWS)
        debiased = ps_cka_debiased(kernel(c, a), kernel(c, b), n);
    c->plain[a * layers + b] = c->plain[b * layers + a] = (float)plain;
    c->debiased[a * layers + b] = c->debiased[b * layers + a] = (float)debiased;
    return st;
}

static ps_status compare_all(const comparing *c, ps_explain_part *merged)
{
    const uint64_t shape[] = {c->kept.layers, c->kept.layers};
    ps_status st = PS_OK;
    for (size_t a = 0; !st && a < c->kept.layers; a++)
        st = ps_explain_kept_kernel(&c->kept, a, kernel(c, a));
    for (size_t a = 0; !st && a < c->kept.layers; a++)
        for (size_t b = 0; !st && b <= a; b++)
            st = compare(c, a, b);
    if (!st)
        st = ps_explain_put_result(merged, "cka", "layer layer", 2, shape, c->plain);
    return st ? st
              : ps_explain_put_result(merged, "cka_debiased", "layer layer", 2, shape, c->debiased);
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    comparing c;
    if (!ps_explain_kept_of(merged, "", &c.kept))
        return PS_OK;
    size_t n = c.kept.rows, layers = c.kept.layers;
    ps_status st =
        ps_explain_room(layers * n * n * sizeof *c.kernels,
                        "what rows are to each other in each layer", "take fewer explain.rows");
    if (st)
        return st;
    c.kernels = ps_try_alloc_raw(layers * n * n * sizeof *c.kernels);
    c.plain = ps_try_alloc_raw(layers * layers * sizeof *c.plain);
    c.debiased = ps_try_alloc_raw(layers * layers * sizeof *c.debiased);
    st = c.kernels && c.plain && c.debiased
             ? compare_all(&c, merged)
             : ps_fail(PS_NO_MEMORY,
                       "%zu layers of %zu rows; fewer explain.rows take "
                       "less",
                       layers, n);
    ps_explain_kept_drop(merged, "");
    ps_free(&c.kernels);
    ps_free(&c.plain);
    ps_free(&c.debiased);
    return st;
}

const ps_explain_method ps_explain_method_similarity = {.name = "similarity",
                                                        .prepare = ps_explain_keep_prepare,
                                                        .run = ps_explain_keep_run,
                                                        .free = ps_explain_keep_free,
                                                        .finish = finish};
