/* The Gram matrix of the smaller side, in squares of BLOCK that threads share, and its
 * eigenvalues. */
#include "worker/explain/spectrum.h"

#include "common/base/mem.h"
#include "common/base/ranked.h"
#include "common/base/require.h"
#include "worker/compress/dense.h"
#include "worker/compress/eigen.h"
#include "worker/compress/parts.h"
#include "worker/explain/room.h"

#include <math.h>

enum { BLOCK = PS_DENSE_BLOCK, AT_ONCE = 64 }; /* squares between two looks at whether to end */

typedef struct gram {
    const float *w;
    size_t m, n;           /* the smaller side and the other */
    size_t step_m, step_n; /* from one number to the next along each, in w */
    double *g;             /* [m, m] */
    uint64_t first;        /* the square that the threads begin with */
} gram;

/* to[rows, columns] of w's part that begins at (i, k), or its transpose. */
static void copy_part(const gram *g, size_t i, size_t rows, size_t k, size_t columns, double *to,
                      bool transposed)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            to[transposed ? c * rows + r : r * columns + c] =
                (double)g->w[(i + r) * g->step_m + (k + c) * g->step_n];
}

/* Part p is a square on or below the diagonal, row by row. */
static void gram_work(void *state, uint64_t p)
{
    gram *g = state;
    size_t row = 0, before = 0;
    p += g->first;
    while (before + row + 1 <= p)
        before += ++row;
    size_t i = row * BLOCK, j = (p - before) * BLOCK;
    size_t rows = ps_least(BLOCK, g->m - i), columns = ps_least(BLOCK, g->m - j);
    double x[BLOCK * BLOCK], y[BLOCK * BLOCK];
    for (size_t k = 0; k < g->n; k += BLOCK) {
        size_t deep = ps_least(BLOCK, g->n - k);
        copy_part(g, i, rows, k, deep, x, false);
        copy_part(g, j, columns, k, deep, y, true);
        ps_dense_add(g->g + i * g->m + j, g->m, x, deep, y, columns, rows, columns, deep);
    }
}

/* All squares; ends early as watch says. */
static ps_status multiply(gram *g, size_t threads, const ps_eigen_watch *watch)
{
    size_t blocks = (g->m + BLOCK - 1) / BLOCK, all = blocks * (blocks + 1) / 2;
    ps_status st = PS_OK;
    for (size_t at = 0; !st && at < all; at += AT_ONCE) {
        g->first = at;
        ps_parts_run(threads, ps_least(AT_ONCE, all - at), gram_work, g);
        st = watch && watch->check ? watch->check(watch->user) : PS_OK;
    }
    return st;
}

static void mirror(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            a[j * n + i] = a[i * n + j];
}

static ps_status check_finite(const float *w, size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows * columns; i++)
        if (!isfinite(w[i]))
            return ps_fail(PS_OUT_OF_RANGE, "row %zu has NaN or infinity in column %zu",
                           i / columns, i % columns);
    return PS_OK;
}

ps_status ps_spectrum(const float *w, size_t rows, size_t columns, size_t threads,
                      const ps_eigen_watch *watch, double *values)
{
    PS_REQUIRE(rows >= 1 && columns >= 1);
    ps_status st = check_finite(w, rows, columns);
    if (st)
        return st;
    bool wide = columns >= rows;
    gram g = {.w = w,
              .m = wide ? rows : columns,
              .n = wide ? columns : rows,
              .step_m = wide ? columns : 1,
              .step_n = wide ? 1 : columns};
    st = ps_explain_room(2 * (uint64_t)g.m * g.m * sizeof *g.g, "the spectrum of a matrix",
                         "lower side_max");
    if (st)
        return st;
    g.g = ps_try_alloc(g.m * g.m * sizeof *g.g);
    if (!g.g)
        return ps_fail(PS_NO_MEMORY, "the spectrum of %zu by %zu numbers", rows, columns);
    st = multiply(&g, threads, watch);
    mirror(g.g, g.m);
    if (!st)
        st = ps_eigen(g.g, g.m, values, threads, watch);
    for (size_t i = 0; !st && i < g.m; i++)
        values[i] = values[i] > 0 ? values[i] : 0; /* a zero may come out a little below it */
    ps_free(&g.g);
    return st;
}

static double sum_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

double ps_spectrum_stable_rank(const double *values, size_t n)
{
    return n && values[0] > 0 ? sum_of(values, n) / values[0] : 0;
}

double ps_spectrum_effective_rank(const double *values, size_t n)
{
    double sum = sum_of(values, n), entropy = 0;
    if (!(sum > 0))
        return 0;
    for (size_t i = 0; i < n; i++)
        entropy -= values[i] > 0 ? values[i] / sum * log(values[i] / sum) : 0;
    return exp(entropy);
}
