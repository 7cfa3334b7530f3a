/* Kernels of the rows, and their agreement. */
#include "worker/explain/similarity.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <math.h>

void ps_similarity_kernel(const float *x, size_t rows, size_t columns, double *k)
{
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = 0;
            for (size_t c = 0; c < columns; c++)
                sum += (double)x[i * columns + c] * (double)x[j * columns + c];
            k[i * rows + j] = k[j * rows + i] = sum;
        }
    }
}

/* out = H·k·H with H = 1 − 1/n: what a kernel is of rows whose mean is taken off. */
static void centre(const double *k, size_t n, double *out, double *means)
{
    double whole = 0;
    for (size_t i = 0; i < n; i++) {
        means[i] = 0;
        for (size_t j = 0; j < n; j++)
            means[i] += k[i * n + j] / (double)n;
        whole += means[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            out[i * n + j] = k[i * n + j] - means[i] - means[j] + whole;
}

static double product(const double *k, const double *l, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n * n; i++)
        sum += k[i] * l[i];
    return sum;
}

static double ratio(double kl, double kk, double ll)
{
    return kk > 0 && ll > 0 ? kl / sqrt(kk * ll) : NAN;
}

ps_status ps_cka(const double *k, const double *l, size_t rows, double *out)
{
    size_t all = rows * rows;
    double *room = ps_try_alloc_raw((2 * all + rows) * sizeof *room);
    if (!room)
        return ps_fail(PS_NO_MEMORY, "the similarity of two layers over %zu rows", rows);
    double *kc = room, *lc = room + all;
    centre(k, rows, kc, room + 2 * all);
    centre(l, rows, lc, room + 2 * all);
    *out = ratio(product(kc, lc, rows), product(kc, kc, rows), product(lc, lc, rows));
    ps_free(&room);
    return PS_OK;
}

/* Times n·(n−3). */
static double hsic(const double *k, const double *l, size_t n)
{
    double trace = 0, sum_k = 0, sum_l = 0, between = 0;
    for (size_t i = 0; i < n; i++) {
        double row_k = 0, row_l = 0;
        for (size_t j = 0; j < n; j++) {
            if (j == i)
                continue;
            trace += k[i * n + j] * l[i * n + j];
            row_k += k[i * n + j];
            row_l += l[i * n + j];
        }
        sum_k += row_k;
        sum_l += row_l;
        between += row_k * row_l;
    }
    double m = (double)n;
    return trace + sum_k * sum_l / ((m - 1) * (m - 2)) - 2 / (m - 2) * between;
}

double ps_cka_debiased(const double *k, const double *l, size_t rows)
{
    PS_REQUIRE(rows >= 4);
    return ratio(hsic(k, l, rows), hsic(k, k, rows), hsic(l, l, rows));
}
