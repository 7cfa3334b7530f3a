/* Cholesky's, right-looking (Golub and Van Loan, Matrix Computations, 4.2.9): a block on the
 * diagonal, what lies below it, and that times itself taken from all the rest. What lies below is
 * held transposed, so that its solving and the product run along rows. At the end columns are
 * divided by what is on their diagonal. */
#include "worker/compress/factor.h"

#include "common/base/mem.h"
#include "common/base/ranked.h"
#include "common/base/require.h"
#include "worker/compress/dense.h"
#include "worker/compress/parts.h"

#include <math.h>

enum { BLOCK = PS_DENSE_BLOCK, ROWS = 64 };

typedef struct factoring {
    double *a;
    size_t n;
    size_t from, some; /* the block's columns */
    double *below; /* [BLOCK, n − from − some]: what lies below it, transposed; then its negative */
    size_t ld;
} factoring;

/* The block on the diagonal: a = l·lᵀ. */
static bool factor_block(double *a, size_t n, size_t some)
{
    for (size_t i = 0; i < some; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0 && isfinite(sum)))
                return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    return true;
}

/* Some rows below it: x·lᵀ = a. */
static void below_work(void *user, uint64_t part)
{
    factoring *f = user;
    size_t first = f->from + f->some, at = part * ROWS, rows = ps_least(ROWS, f->n - first - at);
    double *a = f->a + (first + at) * f->n + f->from, *t = f->below + at;
    const double *l = f->a + f->from * f->n + f->from;
    for (size_t j = 0; j < f->some; j++)
        for (size_t r = 0; r < rows; r++)
            t[j * f->ld + r] = a[r * f->n + j];
    for (size_t j = 0; j < f->some; j++) {
        for (size_t k = 0; k < j; k++)
            for (size_t r = 0; r < rows; r++)
                t[j * f->ld + r] -= l[j * f->n + k] * t[k * f->ld + r];
        for (size_t r = 0; r < rows; r++)
            t[j * f->ld + r] /= l[j * f->n + j];
    }
    for (size_t j = 0; j < f->some; j++)
        for (size_t r = 0; r < rows; r++) {
            a[r * f->n + j] = t[j * f->ld + r];
            t[j * f->ld + r] = -t[j * f->ld + r];
        }
}

/* Some rows of the rest, to the diagonal. */
static void rest_work(void *user, uint64_t part)
{
    factoring *f = user;
    size_t first = f->from + f->some, at = part * ROWS, rows = ps_least(ROWS, f->n - first - at);
    double *a = f->a + (first + at) * f->n;
    ps_dense_add(a + first, f->n, a + f->from, f->n, f->below, f->ld, rows, at + rows, f->some);
}

static void unit_work(void *user, uint64_t row)
{
    factoring *f = user;
    for (size_t j = 0; j < row; j++)
        f->a[row * f->n + j] /= f->a[j * f->n + j];
}

static bool factor_all(factoring *f, size_t threads)
{
    for (f->from = 0; f->from < f->n; f->from += f->some) {
        f->some = ps_least(BLOCK, f->n - f->from);
        if (!factor_block(f->a + f->from * f->n + f->from, f->n, f->some))
            return false;
        size_t parts = (f->n - f->from - f->some + ROWS - 1) / ROWS;
        ps_parts_run(threads, parts, below_work, f);
        ps_parts_run(threads, parts, rest_work, f);
    }
    return true;
}

ps_status ps_factor(double *a, size_t n, double *d, size_t threads, bool *positive)
{
    PS_REQUIRE(a && d && n);
    factoring f = {.a = a, .n = n, .ld = n};
    f.below = ps_try_alloc_raw(BLOCK * n * sizeof *f.below);
    if (!f.below)
        return ps_fail(PS_NO_MEMORY, "factor of a matrix of %zu columns", n);
    *positive = factor_all(&f, threads);
    ps_free(&f.below);
    if (!*positive)
        return PS_OK;
    ps_parts_run(threads, n, unit_work, &f);
    for (size_t j = 0; j < n; j++)
        d[j] = a[j * n + j] * a[j * n + j];
    return PS_OK;
}
