/* Kernels of every shape run and give what plain C in float64 gives. */
#include "tests/cuda/kernels.h"
#include "tests/cuda/rig.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdlib.h>

static void some(float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(i * 7919 % 1000) / 100 - 5;
}

START_TEST(a_kernel_without_barriers)
{
    enum { N = 1000 };
    float x[N], y[N], got[N];
    some(x, N);
    some(y, N);
    float *dx = rig_device(x, sizeof x), *dy = rig_device(y, sizeof y);
    ck_assert_int_eq(run_saxpy(NULL, dy, dx, 3, N), cudaSuccess);
    rig_to_host(got, dy, sizeof got);
    for (int i = 0; i < N; i++)
        ck_assert_float_eq_tol(got[i], y[i] + 3 * x[i], 1e-5f);
    ck_assert_int_eq(cudaFree(dx), cudaSuccess);
    ck_assert_int_eq(cudaFree(dy), cudaSuccess);
    ck_assert_int_eq(ps_shim_live(), 0);
}
END_TEST

START_TEST(shuffles_and_shared_memory)
{
    enum { ROWS = 5, COLUMNS = 300 };
    float x[ROWS * COLUMNS], got[ROWS * COLUMNS];
    some(x, ROWS * COLUMNS);
    float *dx = rig_device(x, sizeof x), *dy = rig_device(NULL, sizeof x);
    ck_assert_int_eq(run_layernorm(NULL, dy, dx, ROWS, COLUMNS), cudaSuccess);
    rig_to_host(got, dy, sizeof got);
    for (int r = 0; r < ROWS; r++) {
        const float *row = x + r * COLUMNS;
        double mean = 0, squares = 0;
        for (int i = 0; i < COLUMNS; i++)
            mean += row[i] / (double)COLUMNS;
        for (int i = 0; i < COLUMNS; i++)
            squares += (row[i] - mean) * (row[i] - mean);
        double scale = 1 / sqrt(squares / COLUMNS + 1e-5);
        for (int i = 0; i < COLUMNS; i++)
            ck_assert_double_eq_tol(got[r * COLUMNS + i], (row[i] - mean) * scale, 1e-5);
    }
}
END_TEST

START_TEST(dynamic_shared_memory)
{
    enum { N = 300 };
    double x[N], got[N];
    for (int i = 0; i < N; i++)
        x[i] = i;
    double *dx = rig_device(x, sizeof x), *dy = rig_device(NULL, sizeof x);
    ck_assert_int_eq(run_reversed(NULL, dy, dx, N), cudaSuccess);
    rig_to_host(got, dy, sizeof got);
    for (int i = 0; i < N; i++)
        ck_assert_double_eq(got[i], N - 1 - i);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_kernel_without_barriers},
    {&shuffles_and_shared_memory},
    {&dynamic_shared_memory},
    {NULL},
};

int main(void)
{
    return ps_check_main("cuda/run", cases);
}
