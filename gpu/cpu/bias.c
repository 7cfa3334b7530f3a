/* Bias: forward and backward. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/vector.h"

/* y[rows,columns] += bias[columns] */
PS_VECTOR
static void add_rows(float *restrict y, const float *restrict bias, int64_t rows, int64_t columns)
{
    for (int64_t r = 0; r < rows; r++, y += columns) {
        PS_SIMD
        for (int64_t c = 0; c < columns; c++)
            y[c] += bias[c];
    }
}

void ps_cpu_bias_add(ps_stream *s, ps_tensor y, ps_tensor bias)
{
    (void)s;
    add_rows(ps_tensor_address(y), ps_tensor_address(bias), y.shape[0], y.shape[1]);
}

/* dbias[columns] += sum of dy[rows,columns], four rows at a time: a quarter of the stores */
PS_VECTOR
static void sum_rows(float *restrict dbias, const float *restrict dy, int64_t rows, int64_t columns)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4, dy += 4 * columns) {
        PS_SIMD
        for (int64_t c = 0; c < columns; c++)
            dbias[c] += (dy[c] + dy[c + columns]) + (dy[c + 2 * columns] + dy[c + 3 * columns]);
    }
    for (; r < rows; r++, dy += columns) {
        PS_SIMD
        for (int64_t c = 0; c < columns; c++)
            dbias[c] += dy[c];
    }
}

void ps_cpu_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta)
{
    (void)s;
    float *d = ps_tensor_address(dbias);
    /* not a product: what beta 0 replaces may be NaN */
    for (int64_t c = 0; c < dbias.shape[0]; c++)
        d[c] = beta == 0 ? 0 : d[c] * beta;
    sum_rows(d, ps_tensor_address(dy), dy.shape[0], dy.shape[1]);
}
