/* Happy path: H's inverse by its factor; then the least group goes, weights and inverse are brought
 * up to date, and so on. Sums are made in one order, on one thread: every worker that asks finds
 * the same groups. Fails where there is no memory. */
#include "worker/compress/groups.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "worker/compress/error.h"
#include "worker/compress/factor.h"

#include <float.h>
#include <math.h>

typedef struct removal {
    const ps_compress_problem *p;
    size_t n, span;
    double *inverse; /* P: [n, n] */
    double *w;       /* [rows, n]: what those that are left have become */
    double *block;   /* [span, span]: the factor of P_gg, by Cholesky */
    double *rows;    /* [span, n]: (P_gg)⁻¹·P_g */
} removal;

static double sum_at(const ps_hessian *h, size_t n, size_t i, size_t j)
{
    if (h->squares)
        return i == j ? (double)h->sums[i] : 0;
    return (double)h->sums[i <= j ? i * n + j : j * n + i];
}

/* ---- the inverse ---- */

/* L, whose diagonal is 1, becomes its inverse; above the diagonal nothing is read. */
static void invert_lower(double *l, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double *row = l + i * n;
        for (size_t k = 0; k < i; k++) { /* L⁻¹_i = −Σ L_ik·L⁻¹_k, which changes what is before k */
            double f = row[k];
            row[k] = -f;
            for (size_t j = 0; j < k; j++)
                row[j] -= f * l[k * n + j];
        }
    }
}

/* P = L⁻ᵀ·D⁻¹·L⁻¹ */
static void square_lower(const double *l, const double *d, size_t n, double *p)
{
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i <= k; i++) {
            double f = (i == k ? 1 : l[k * n + i]) / d[k];
            for (size_t j = 0; j < i; j++)
                p[i * n + j] += f * l[k * n + j];
            p[i * n + i] += f * (i == k ? 1 : l[k * n + i]);
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            p[j * n + i] = p[i * n + j];
}

static void fill(double *a, const ps_hessian *h, size_t n, double damp)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += sum_at(h, n, i, i);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            a[i * n + j] = sum_at(h, n, i, j) + (i == j ? damp * sum / (double)n : 0);
}

static ps_status invert(removal *r)
{
    bool positive = false;
    double *l = ps_try_alloc_raw(r->n * r->n * sizeof *l);
    double *d = ps_try_alloc_raw(r->n * sizeof *d);
    ps_status st =
        l && d ? PS_OK : ps_fail(PS_NO_MEMORY, "tensor %s: the inverse of its sums", r->p->name);
    for (double damp = r->p->options.damp; !st && !positive; damp *= 10) {
        fill(l, r->p->hessian, r->n, fmin(damp, 1));
        st = ps_factor(l, r->n, d, r->p->options.threads, &positive);
        if (damp >= 1)
            break;
    }
    if (!st && positive) {
        invert_lower(l, r->n);
        square_lower(l, d, r->n, r->inverse);
    } else if (!st) {
        for (size_t i = 0; i < r->n; i++)
            r->inverse[i * r->n + i] = 1;
    }
    ps_free(&l);
    ps_free(&d);
    return st;
}

/* ---- one group ---- */

/* A pivot that rounding has made nothing stays as small as rounding is. */
static void factor_block(removal *r, size_t first)
{
    size_t m = r->span;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j <= i; j++) {
            double whole = r->inverse[(first + i) * r->n + first + j], sum = whole;
            for (size_t k = 0; k < j; k++)
                sum -= r->block[i * m + k] * r->block[j * m + k];
            if (i == j && !(sum > DBL_EPSILON * whole))
                sum = fmax(DBL_EPSILON * whole, DBL_MIN);
            r->block[i * m + j] = i == j ? sqrt(sum) : sum / r->block[j * m + j];
        }
}

/* Of a group whose block is factored: |L⁻¹·w_gᵀ|², row by row. */
static double loss_of(removal *r, size_t first)
{
    size_t m = r->span;
    double loss = 0;
    factor_block(r, first);
    for (uint64_t row = 0; row < r->p->rows; row++)
        for (size_t i = 0; i < m; i++) {
            double z = r->w[row * r->n + first + i];
            for (size_t k = 0; k < i; k++)
                z -= r->block[i * m + k] * r->rows[k];
            r->rows[i] = z / r->block[i * m + i]; /* room of its own: nothing is removed yet */
            loss += r->rows[i] * r->rows[i];
        }
    return loss;
}

/* rows = (P_gg)⁻¹·P_g: forwards, and back */
static void solve_block(removal *r, size_t first)
{
    size_t m = r->span, n = r->n;
    for (size_t i = 0; i < m; i++) {
        double *x = r->rows + i * n;
        for (size_t j = 0; j < n; j++)
            x[j] = r->inverse[(first + i) * n + j];
        for (size_t k = 0; k < i; k++)
            for (size_t j = 0; j < n; j++)
                x[j] -= r->block[i * m + k] * r->rows[k * n + j];
        for (size_t j = 0; j < n; j++)
            x[j] /= r->block[i * m + i];
    }
    for (size_t i = m; i-- > 0;) {
        double *x = r->rows + i * n;
        for (size_t k = i + 1; k < m; k++)
            for (size_t j = 0; j < n; j++)
                x[j] -= r->block[k * m + i] * r->rows[k * n + j];
        for (size_t j = 0; j < n; j++)
            x[j] /= r->block[i * m + i];
    }
}

/* a[rows, n] -= a_g·(P_gg)⁻¹·P_g */
static void take_off(const removal *r, double *a, uint64_t rows, size_t first)
{
    for (uint64_t row = 0; row < rows; row++)
        for (size_t k = 0; k < r->span; k++) {
            double f = a[row * r->n + first + k];
            for (size_t j = 0; j < first && f != 0; j++)
                a[row * r->n + j] -= f * r->rows[k * r->n + j];
            for (size_t j = first + r->span; j < r->n && f != 0; j++)
                a[row * r->n + j] -= f * r->rows[k * r->n + j];
        }
}

static void take_out(removal *r, size_t first)
{
    factor_block(r, first);
    solve_block(r, first);
    take_off(r, r->w, r->p->rows, first);
    take_off(r, r->inverse, r->n, first);
}

/* ---- all ---- */

static double remove_least(removal *r, size_t groups, bool *keep)
{
    size_t least = SIZE_MAX;
    double lost = 0;
    for (size_t g = 0; g < groups; g++) {
        if (!keep[g])
            continue;
        double loss = loss_of(r, g * r->span);
        if (least == SIZE_MAX || loss < lost) {
            least = g;
            lost = loss;
        }
    }
    PS_REQUIRE(least != SIZE_MAX);
    keep[least] = false;
    take_out(r, least * r->span);
    return lost;
}

static ps_status run(removal *r, uint64_t left, bool *keep, double *lost)
{
    size_t groups = r->n / r->span;
    double gone = 0, all = 0;
    ps_status st = invert(r);
    if (!st)
        st = ps_error_power(r->p->weights, NULL, r->p->rows, r->n, r->p->hessian,
                            r->p->options.threads, &all);
    for (uint64_t i = 0; i < r->p->rows * r->n; i++)
        r->w[i] = (double)r->p->weights[i];
    for (size_t g = 0; g < groups; g++)
        keep[g] = true;
    for (size_t n = groups; !st && n > left; n--)
        gone += remove_least(r, groups, keep);
    *lost = all > 0 ? gone / all : 0;
    return st;
}

ps_status ps_groups_keep(const ps_compress_problem *problem, uint64_t span, uint64_t left,
                         bool *keep, double *lost)
{
    const ps_compress_problem *p = problem;
    PS_REQUIRE(p->hessian && span && p->columns % span == 0 && left && left <= p->columns / span);
    removal r = {.p = p, .n = (size_t)p->columns, .span = (size_t)span};
    r.inverse = ps_try_alloc(r.n * r.n * sizeof *r.inverse);
    r.w = ps_try_alloc_raw((size_t)p->rows * r.n * sizeof *r.w);
    r.block = ps_try_alloc_raw(r.span * r.span * sizeof *r.block);
    r.rows = ps_try_alloc_raw(r.span * r.n * sizeof *r.rows);
    ps_status st = r.inverse && r.w && r.block && r.rows
                       ? run(&r, left, keep, lost)
                       : ps_fail(PS_NO_MEMORY, "tensor %s: which groups stay", p->name);
    ps_free(&r.inverse);
    ps_free(&r.w);
    ps_free(&r.block);
    ps_free(&r.rows);
    return st;
}
