/* Axioms of CKA, and its definition over features instead of rows. */
#include "worker/explain/similarity.h"

#include "tests/lib/check_main.h"

#include "common/base/rng.h"

#include <math.h>
#include <string.h>

enum { ROWS = 120, X = 12, Y = 7 };

static void draw(uint64_t seed, float *x, size_t columns)
{
    ps_rng rng;
    ps_rng_seed(&rng, seed);
    for (size_t i = 0; i < ROWS * columns; i++)
        x[i] = (float)(ps_rng_normal(&rng) + 0.3 * (double)(i % columns));
}

/* ‖XcᵀYc‖² of columns whose mean is taken off. */
static double squared(const float *x, size_t nx, const float *y, size_t ny)
{
    double all = 0;
    for (size_t a = 0; a < nx; a++)
        for (size_t b = 0; b < ny; b++) {
            double sum = 0, mx = 0, my = 0;
            for (size_t r = 0; r < ROWS; r++) {
                mx += x[r * nx + a];
                my += y[r * ny + b];
                sum += (double)x[r * nx + a] * y[r * ny + b];
            }
            sum -= mx * my / ROWS;
            all += sum * sum;
        }
    return all;
}

static double kernels[3][ROWS * ROWS];

START_TEST(cka_is_its_definition)
{
    static float x[ROWS * X], y[ROWS * Y];
    draw(1, x, X);
    draw(2, y, Y);
    for (size_t r = 0; r < ROWS; r++)
        y[r * Y] = x[r * X] + x[r * X + 1];
    ps_similarity_kernel(x, ROWS, X, kernels[0]);
    ps_similarity_kernel(y, ROWS, Y, kernels[1]);
    double got, want = squared(x, X, y, Y) / sqrt(squared(x, X, x, X) * squared(y, Y, y, Y));
    ck_ok(ps_cka(kernels[0], kernels[1], ROWS, &got));
    ck_assert_double_eq_tol(got, want, 1e-11);
}
END_TEST

START_TEST(rotation_scale_and_shift_change_nothing)
{
    static float x[ROWS * X], y[ROWS * X];
    draw(3, x, X);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < X; c += 2) { /* turned in planes, three times as large, moved */
            float a = x[r * X + c], b = x[r * X + c + 1];
            y[r * X + c] = 3 * (0.6F * a - 0.8F * b) + 5;
            y[r * X + c + 1] = 3 * (0.8F * a + 0.6F * b);
        }
    ps_similarity_kernel(x, ROWS, X, kernels[0]);
    ps_similarity_kernel(y, ROWS, X, kernels[1]);
    double self, turned;
    ck_ok(ps_cka(kernels[0], kernels[0], ROWS, &self));
    ck_ok(ps_cka(kernels[0], kernels[1], ROWS, &turned));
    ck_assert_double_eq_tol(self, 1, 1e-12);
    ck_assert_double_eq_tol(turned, 1, 1e-5);
    ck_assert_double_eq_tol(ps_cka_debiased(kernels[0], kernels[0], ROWS), 1, 1e-12);
    ck_assert_double_eq_tol(ps_cka_debiased(kernels[0], kernels[1], ROWS), 1, 1e-5);
}
END_TEST

/* Layers that have nothing to do with each other: the plain one says otherwise. */
START_TEST(independent_layers_are_not_alike_without_bias)
{
    static float x[ROWS * X];
    double plain = 0, debiased = 0, one;
    for (uint64_t i = 0; i < 40; i++) {
        draw(100 + i, x, X);
        ps_similarity_kernel(x, ROWS, X, kernels[0]);
        draw(500 + i, x, X);
        ps_similarity_kernel(x, ROWS, X, kernels[1]);
        ck_ok(ps_cka(kernels[0], kernels[1], ROWS, &one));
        plain += one / 40;
        debiased += ps_cka_debiased(kernels[0], kernels[1], ROWS) / 40;
    }
    ck_assert_double_gt(plain, 0.08);
    ck_assert_double_lt(fabs(debiased), 0.01);
}
END_TEST

/* HSIC without bias by its first definition: the mean over fours of different rows of
 * k(i,j)·l(i,j) + k(i,j)·l(q,r) − 2·k(i,j)·l(i,q) (Gretton 2005). */
START_TEST(the_debiased_sum_is_the_mean_over_fours)
{
    enum { FEW = 7 };
    static float x[ROWS * X];
    double k[FEW * FEW], l[FEW * FEW], sums[3] = {0};
    draw(7, x, X);
    ps_similarity_kernel(x, FEW, X, k);
    draw(8, x, X);
    ps_similarity_kernel(x, FEW, X, l);
    const double *pairs[3][2] = {{k, l}, {k, k}, {l, l}};
    for (size_t p = 0; p < 3; p++) {
        const double *a = pairs[p][0], *b = pairs[p][1];
        for (size_t i = 0; i < FEW; i++)
            for (size_t j = 0; j < FEW; j++)
                for (size_t q = 0; q < FEW; q++)
                    for (size_t r = 0; r < FEW; r++) {
                        if (i == j || i == q || i == r || j == q || j == r || q == r)
                            continue;
                        sums[p] +=
                            a[i * FEW + j] * (b[i * FEW + j] + b[q * FEW + r] - 2 * b[i * FEW + q]);
                    }
    }
    double want = sums[0] / sqrt(sums[1] * sums[2]);
    ck_assert_double_eq_tol(ps_cka_debiased(k, l, FEW), want, 1e-11);
}
END_TEST

static const ps_check_case cases[] = {
    {&cka_is_its_definition},
    {&rotation_scale_and_shift_change_nothing},
    {&independent_layers_are_not_alike_without_bias},
    {&the_debiased_sum_is_the_mean_over_fours},
    {0},
};

int main(void)
{
    return ps_check_main("explain/similarity", cases);
}
