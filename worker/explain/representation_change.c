/* representation_change: how alike the layers of this model and those of another one see the same
 * rows (similarity.h): `cka` [layer, other_layer] and `cka_debiased`, on the diagonal what became
 * of a layer, beside it where one went. Layers may differ in width, and models in their number of
 * layers. Of at most the first 1024 rows, of language models of their last token, at `point` in
 * both.
 *
 * One pass forward a row through each model; then rows² numbers a layer of both. */
#include "worker/explain/hidden.h"
#include "worker/explain/other.h"
#include "worker/explain/room.h"
#include "worker/explain/rows.h"
#include "worker/explain/similarity.h"

#include "common/base/mem.h"

#include <math.h>

enum { DEBIASED_ROWS = 4 }; /* that it needs */

#define OTHER "other_"

/* ---- by rows ---- */

typedef struct keeping {
    ps_explaining other;
    ps_explain_hidden mine, its;
} keeping;

static void free_keeping(void *state)
{
    keeping *k = state;
    if (!k)
        return;
    ps_explain_hidden_free(&k->mine);
    ps_explain_hidden_free(&k->its);
    ps_free(&k);
}

static ps_status prepare(ps_explaining *x, const ps_spec_explain_method *spec, void **state)
{
    keeping *k = ps_new(keeping);
    *state = k;
    ps_status st = x->other->beside(x->other->user, x, &k->other);
    if (!st)
        st = ps_explain_hidden_open(x, spec->point, &k->mine);
    if (!st) {
        st = ps_explain_hidden_open(&k->other, spec->point, &k->its);
        st = st ? ps_wrap(st, "model %s", x->other->name) : st;
    }
    return st;
}

static ps_status run(ps_explaining *x, const ps_spec_explain_method *spec, void *state,
                     const ps_explain_items *items, ps_explain_part *out)
{
    keeping *k = state;
    ps_status st = ps_explain_keep(x, &k->mine, items, "", out);
    if (!st)
        st = ps_explain_keep(&k->other, &k->its, items, OTHER, out);
    x->evaluations += k->other.evaluations;
    k->other.evaluations = 0;
    return st;
}

/* ---- of all rows ---- */

typedef struct comparing {
    ps_explain_kept mine, its;
    double *kernels; /* [layers of both, rows, rows], mine first */
    float *plain, *debiased;
} comparing;

static double *kernel(const comparing *c, size_t layer)
{
    return c->kernels + layer * c->mine.rows * c->mine.rows;
}

static ps_status make_kernels(const comparing *c)
{
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < c->mine.layers; i++)
        st = ps_explain_kept_kernel(&c->mine, i, kernel(c, i));
    for (size_t i = 0; !st && i < c->its.layers; i++)
        st = ps_explain_kept_kernel(&c->its, i, kernel(c, c->mine.layers + i));
    return st;
}

static ps_status compare(const comparing *c, size_t layer, size_t other)
{
    const double *k = kernel(c, layer), *l = kernel(c, c->mine.layers + other);
    size_t at = layer * c->its.layers + other, n = c->mine.rows;
    double plain = NAN;
    ps_status st = ps_cka(k, l, n, &plain);
    c->plain[at] = (float)plain;
    c->debiased[at] = n >= DEBIASED_ROWS ? (float)ps_cka_debiased(k, l, n) : NAN;
    return st;
}

static ps_status compare_all(const comparing *c, ps_explain_part *merged)
{
    const uint64_t shape[] = {c->mine.layers, c->its.layers};
    ps_status st = make_kernels(c);
    for (size_t a = 0; !st && a < c->mine.layers; a++)
        for (size_t b = 0; !st && b < c->its.layers; b++)
            st = compare(c, a, b);
    if (!st)
        st = ps_explain_put_result(merged, "cka", "layer other_layer", 2, shape, c->plain);
    return st ? st
              : ps_explain_put_result(merged, "cka_debiased", "layer other_layer", 2, shape,
                                      c->debiased);
}

static ps_status finish(ps_explaining *x, const ps_spec_explain_method *spec,
                        ps_explain_part *merged)
{
    comparing c;
    if (!ps_explain_kept_of(merged, "", &c.mine) || !ps_explain_kept_of(merged, OTHER, &c.its))
        return PS_OK;
    if (c.mine.rows != c.its.rows)
        return ps_fail(PS_CORRUPT,
                       "representation_change: %zu rows of one model and %zu of the "
                       "other",
                       c.mine.rows, c.its.rows);
    size_t n = c.mine.rows, layers = c.mine.layers + c.its.layers,
           cells = c.mine.layers * c.its.layers;
    ps_status st = ps_explain_room(layers * n * n * sizeof *c.kernels,
                                   "what rows are to each other in the layers of two models",
                                   "take fewer explain.rows");
    if (st)
        return st;
    c.kernels = ps_try_alloc_raw(layers * n * n * sizeof *c.kernels);
    c.plain = ps_try_alloc_raw(cells * sizeof *c.plain);
    c.debiased = ps_try_alloc_raw(cells * sizeof *c.debiased);
    st = c.kernels && c.plain && c.debiased
             ? compare_all(&c, merged)
             : ps_fail(PS_NO_MEMORY, "%zu layers of %zu rows; fewer explain.rows take less", layers,
                       n);
    ps_explain_kept_drop(merged, "");
    ps_explain_kept_drop(merged, OTHER);
    ps_free(&c.kernels);
    ps_free(&c.plain);
    ps_free(&c.debiased);
    return st;
}

const ps_explain_method ps_explain_method_representation_change = {.name = "representation_change",
                                                                   .prepare = prepare,
                                                                   .run = run,
                                                                   .free = free_keeping,
                                                                   .finish = finish};
