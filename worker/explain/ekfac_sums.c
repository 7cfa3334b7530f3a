#include "worker/explain/ekfac_sums.h"

#include "common/base/mem.h"
#include "worker/compress/eigen.h"

#include <inttypes.h>
#include <math.h>

static ps_status find_vectors(const ps_explaining *x, double *matrix, size_t n, double rows,
                              float *out)
{
    const ps_eigen_watch watch = {x->check, x->user}; /* of a wide layer it takes minutes */
    double *values = ps_try_alloc_raw(n * sizeof *values);
    if (!values)
        return ps_fail(PS_NO_MEMORY, "%zu eigenvalues", n);
    for (size_t i = 0; i < n * n; i++)
        matrix[i] /= rows;
    ps_status st = ps_eigen(matrix, n, values, 0, &watch);
    for (size_t i = 0; !st && i < n * n; i++)
        out[i] = (float)matrix[i];
    ps_free(&values);
    return st;
}

/* Sides of layers, which come from a file: squares of all of them are n numbers. */
static bool are_shapes(const ps_explain_array *shapes, uint64_t n)
{
    uint64_t sum = 0;
    if (!shapes || !shapes->floats || shapes->rank != 2 || shapes->shape[1] != 2)
        return false;
    for (uint64_t i = 0; i < 2 * shapes->shape[0]; i++) {
        float side = shapes->floats[i];
        if (!(side >= 1) || side > PS_EKFAC_SIDE_MOST || side != floorf(side))
            return false;
        sum += (uint64_t)side * (uint64_t)side;
    }
    return sum == n;
}

static ps_status find_all_vectors(const ps_explaining *x, const ps_explain_array *shapes,
                                  double *sums, double rows, float *out)
{
    ps_status st = PS_OK;
    for (uint64_t i = 0; !st && i < 2 * shapes->shape[0]; i++) {
        size_t n = (size_t)shapes->floats[i];
        st = find_vectors(x, sums, n, rows, out);
        sums += n * n;
        out += n * n;
        if (st)
            st = ps_wrap(st, "layer %" PRIu64, i / 2);
    }
    return st;
}

/* What shares have summed becomes what the next pass begins with. */
ps_status ps_ekfac_finish_sums(const ps_explaining *x, ps_explain_part *merged, const char *name)
{
    ps_explain_array *sums = ps_explain_find(merged, name);
    const ps_explain_array *rows = ps_explain_get(merged, "rows"),
                           *shapes = ps_explain_get(merged, PS_EKFAC_SHAPES);
    uint64_t n = sums ? ps_explain_array_count(sums) : 0;
    if (!n || !sums->doubles || !rows || !rows->doubles || ps_explain_array_count(rows) != 1 ||
        (!x->pass && !are_shapes(shapes, n)))
        return ps_fail(PS_CORRUPT, "sums over rows are missing");
    if (!(rows->doubles[0] > 0))
        return ps_fail(PS_OUT_OF_RANGE, "no row of data.train has a finite gradient");
    float *out = ps_try_alloc_raw(n * sizeof *out);
    if (!out)
        return ps_fail(PS_NO_MEMORY, "%" PRIu64 " numbers of layers", n);
    ps_status st = PS_OK;
    for (uint64_t i = 0; x->pass && i < n; i++)
        out[i] = (float)(sums->doubles[i] / rows->doubles[0]);
    if (!x->pass)
        st = find_all_vectors(x, shapes, sums->doubles, rows->doubles[0], out);
    if (!st)
        st = ps_explain_put_result(merged, name, "number", 1, &n, out);
    ps_explain_drop(merged, "rows");
    ps_explain_drop(merged, PS_EKFAC_SHAPES);
    ps_free(&out);
    return st;
}
