/* Both by ranks, which one sort gives. */
#include "worker/explain/agreement.h"

#include "common/base/mem.h"
#include "common/base/ranked.h"

#include <math.h>

/* ranks[n], from 1 */
static ps_status rank(const double *x, size_t n, double *ranks)
{
    ps_ranked *sorted = ps_try_alloc_raw(n * sizeof *sorted);
    if (!sorted)
        return ps_fail(PS_NO_MEMORY, "ranks of %zu numbers", n);
    for (size_t i = 0; i < n; i++)
        sorted[i] = (ps_ranked){x[i], i};
    qsort(sorted, n, sizeof *sorted, ps_ranked_up);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && sorted[end].value == sorted[i].value;)
            end++;
        for (size_t k = i; k < end; k++)
            ranks[sorted[k].at] = (double)(i + 1 + end) / 2;
    }
    ps_free(&sorted);
    return PS_OK;
}

/* Asked as it stands: the mean of equals may be off by a bit, and then something is left. */
static bool all_the_same(const double *x, size_t n)
{
    size_t i = 1;
    while (i < n && x[i] == x[0])
        i++;
    return i >= n;
}

double ps_pearson(const double *x, const double *y, size_t n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    if (all_the_same(x, n) || all_the_same(y, n))
        return NAN;
    for (size_t i = 0; i < n; i++) {
        mx += x[i] / (double)n;
        my += y[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        yy += (y[i] - my) * (y[i] - my);
        xy += (x[i] - mx) * (y[i] - my);
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

ps_status ps_spearman(const double *x, const double *y, size_t n, double *out)
{
    *out = NAN;
    if (n < 2)
        return PS_OK;
    double *ranks = ps_try_alloc_raw(2 * n * sizeof *ranks);
    if (!ranks)
        return ps_fail(PS_NO_MEMORY, "ranks of %zu numbers", n);
    ps_status st = rank(x, n, ranks);
    if (!st)
        st = rank(y, n, ranks + n);
    if (!st)
        *out = ps_pearson(ranks, ranks + n, n);
    ps_free(&ranks);
    return st;
}

ps_status ps_auc(const double *scores, const bool *wanted, size_t n, double *out)
{
    *out = NAN;
    if (n < 2)
        return PS_OK;
    double *ranks = ps_try_alloc_raw(n * sizeof *ranks);
    if (!ranks)
        return ps_fail(PS_NO_MEMORY, "ranks of %zu scores", n);
    ps_status st = rank(scores, n, ranks);
    double sum = 0, yes = 0;
    for (size_t i = 0; !st && i < n; i++) {
        yes += wanted[i];
        sum += wanted[i] ? ranks[i] : 0;
    }
    double no = (double)n - yes;
    if (!st && yes > 0 && no > 0)
        *out = (sum - yes * (yes + 1) / 2) / (yes * no);
    ps_free(&ranks);
    return st;
}
