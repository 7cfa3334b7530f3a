/* Householder's reduction to three diagonals, then QL with implicit shifts (Golub and Van Loan,
 * Matrix Computations, 8.3; Bowdler, Martin, Reinsch and Wilkinson 1968). Vectors are rows, so that
 * reflections and rotations run along them; the rotations of a sweep are gathered and applied to
 * some columns at a time, which are threads' to share. */
#include "worker/compress/eigen.h"

#include "common/base/mem.h"
#include "common/base/ranked.h"
#include "common/base/require.h"
#include "worker/compress/parts.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    SWEEPS = 60,
    /* for one value; it takes about two */ COLUMNS = 256,
    WORTH_THREADS = 1 << 21
};

typedef struct rotation {
    double c, s;
} rotation;

typedef struct work {
    double *a; /* [n, n]: row k has reflection k right of its diagonal */
    double *r; /* [n, n]: rows become the vectors */
    size_t n, threads;
    double *d, *e;                 /* the diagonal, and what is beside it */
    double *beta, *p;              /* of each reflection; of one, scratch */
    rotation *rotations;           /* of a sweep: of rows i and i + 1 */
    size_t rotate_from, rotate_to; /* i, from the last to the first */
    const ps_eigen_watch *watch;
} work;

static ps_status go_on(const work *w)
{
    return w->watch && w->watch->check ? w->watch->check(w->watch->user) : PS_OK;
}

static double dot(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* v and beta with (1 − beta·v·vᵀ)·x = (value, 0, …); x becomes v. */
static double reflect(double *x, size_t n, double *beta)
{
    double most = 0, length = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(x[i]));
    for (size_t i = 0; i < n && most > 0; i++)
        length += x[i] / most * (x[i] / most);
    length = most * sqrt(length);
    *beta = 0;
    if (!(length > 0))
        return 0;
    double value = x[0] > 0 ? -length : length, first = x[0] - value;
    for (size_t i = 1; i < n; i++)
        x[i] /= first;
    x[0] = 1;
    *beta = -first / value;
    return value;
}

/* a −= v·wᵀ + w·vᵀ, with w = p − (beta/2·v·p)·v and p = beta·a·v, for what is below and right of
 * row k. */
static void reduce_step(work *w, size_t k)
{
    size_t n = w->n, m = n - k - 1;
    double *v = w->a + k * n + k + 1, *p = w->p;
    w->e[k] = reflect(v, m, &w->beta[k]);
    for (size_t i = 0; i < m; i++)
        p[i] = w->beta[k] * dot(w->a + (k + 1 + i) * n + k + 1, v, m);
    double half = w->beta[k] / 2 * dot(p, v, m);
    for (size_t i = 0; i < m; i++)
        p[i] -= half * v[i];
    for (size_t i = 0; i < m; i++) {
        double *row = w->a + (k + 1 + i) * n + k + 1;
        for (size_t j = 0; j < m; j++)
            row[j] -= v[i] * p[j] + p[i] * v[j];
    }
}

static ps_status reduce(work *w)
{
    size_t n = w->n;
    ps_status st = PS_OK;
    for (size_t k = 0; !st && k + 1 < n; k++) {
        reduce_step(w, k);
        st = go_on(w);
    }
    for (size_t k = 0; k < n; k++) {
        w->d[k] = w->a[k * n + k];
        memset(w->r + k * n, 0, n * sizeof *w->r);
        w->r[k * n + k] = 1;
    }
    for (size_t k = n - 1; !st && k-- > 0; st = go_on(w)) {
        const double *v = w->a + k * n + k + 1;
        for (size_t i = k + 1; i < n; i++) {
            double *row = w->r + i * n + k + 1, t = w->beta[k] * dot(row, v, n - k - 1);
            for (size_t j = 0; j < n - k - 1; j++)
                row[j] -= t * v[j];
        }
    }
    return st;
}

static void rotate(void *user, uint64_t part)
{
    const work *w = user;
    size_t from = part * COLUMNS, some = w->n - from < COLUMNS ? w->n - from : COLUMNS;
    for (size_t i = w->rotate_to; i-- > w->rotate_from;) {
        double *x = w->r + i * w->n + from, *y = x + w->n;
        const rotation q = w->rotations[i];
        for (size_t k = 0; k < some; k++) {
            double was = y[k];
            y[k] = q.s * x[k] + q.c * was;
            x[k] = q.c * x[k] - q.s * was;
        }
    }
}

/* One sweep from m up to l, with the shift that is nearest to d[l]. */
static void sweep(work *w, size_t l, size_t m)
{
    double *d = w->d, *e = w->e;
    double half = (d[l + 1] - d[l]) / (2 * e[l]), shift = hypot(half, 1);
    double g = d[m] - d[l] + e[l] / (half + copysign(shift, half)), s = 1, c = 1, p = 0;
    size_t i = m;
    bool broke = false;
    w->rotate_to = m;
    while (i > l && !broke) {
        i--;
        double f = s * e[i], b = c * e[i], r = hypot(f, g);
        e[i + 1] = r;
        if (r == 0) { /* it falls in two here */
            d[i + 1] -= p;
            e[m] = 0;
            broke = true;
            i++;
            break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        w->rotations[i] = (rotation){c, s};
    }
    w->rotate_from = i;
    bool many = (m - i) * w->n >= WORTH_THREADS;
    ps_parts_run(many ? w->threads : 1, (w->n + COLUMNS - 1) / COLUMNS, rotate, w);
    if (broke)
        return;
    d[l] -= p;
    e[l] = g;
    e[m] = 0;
}

static ps_status no_convergence(const work *w)
{
    return ps_fail(PS_INTERNAL, "eigenvalues of a matrix of %zu rows do not converge", w->n);
}

/* What is beside the diagonal and smaller than the whole matrix's rounding is nothing: of one that
 * has no full rank both values beside it are noise, too. */
static double nothing(const work *w)
{
    double most = 0;
    for (size_t i = 0; i < w->n; i++)
        most = fmax(most, fabs(w->d[i]) + fabs(w->e[i]));
    return DBL_EPSILON * most;
}

static ps_status diagonalise(work *w)
{
    const double least = nothing(w);
    for (size_t l = 0; l < w->n; l++)
        for (int turn = 0;; turn++) {
            size_t m = l;
            while (m + 1 < w->n && fabs(w->e[m]) > least)
                m++;
            if (m == l)
                break;
            if (turn == SWEEPS)
                return no_convergence(w);
            sweep(w, l, m);
            ps_status st = go_on(w);
            if (st)
                return st;
        }
    for (size_t l = 0; l < w->n; l++)
        if (!isfinite(w->d[l]))
            return no_convergence(w);
    return PS_OK;
}

static void give(const work *w, ps_ranked *order, double *a, double *values)
{
    for (size_t i = 0; i < w->n; i++)
        order[i] = (ps_ranked){w->d[i], i};
    qsort(order, w->n, sizeof *order, ps_ranked_down);
    for (size_t i = 0; i < w->n; i++) {
        values[i] = order[i].value;
        memcpy(a + i * w->n, w->r + order[i].at * w->n, w->n * sizeof *a);
    }
}

ps_status ps_eigen(double *a, size_t n, double *values, size_t threads, const ps_eigen_watch *watch)
{
    PS_REQUIRE(n);
    work w = {.a = a, .n = n, .threads = threads, .watch = watch};
    w.r = ps_try_alloc_raw(n * n * sizeof(double));
    double *rows = ps_try_alloc(4 * n * sizeof(double));
    w.rotations = ps_try_alloc(n * sizeof *w.rotations);
    ps_ranked *order = ps_try_alloc(n * sizeof *order);
    ps_status st = w.r && rows && w.rotations && order
                       ? PS_OK
                       : ps_fail(PS_NO_MEMORY, "eigenvalues of a matrix of %zu rows", n);
    if (!st) {
        w.d = rows;
        w.e = rows + n;
        w.beta = rows + 2 * n;
        w.p = rows + 3 * n;
        st = reduce(&w);
    }
    if (!st)
        st = diagonalise(&w);
    if (!st)
        give(&w, order, a, values);
    ps_free(&w.r);
    ps_free(&rows);
    ps_free(&w.rotations);
    ps_free(&order);
    return st;
}
