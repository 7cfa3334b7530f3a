/* Bias: forward and backward. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

typedef struct bias_run {
    ps_tensor y; /* or dy; [rows,columns] */
    ps_tensor bias;
    float beta;
    float *scratch; /* for BF16: bias, then a row a thread; or a few rows' part a thread */
} bias_run;

static void add_rows_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const bias_run *r = context;
    int64_t n = r->y.shape[1];
    size_t padded = ps_cpu_padded(n);
    const float *bias = r->scratch ? r->scratch : ps_tensor_address(r->bias);
    float *scratch = r->scratch ? r->scratch + padded * (size_t)(slot + 1) : NULL;
    for (int64_t row = begin; row < end; row++) {
        float *y = ps_cpu_place(r->y, row * n, scratch);
        if (y == scratch)
            (void)ps_cpu_load(r->y, row * n, n, scratch);
        ps_cpu_add_scaled(y, 1, bias, n);
        ps_cpu_store(r->y, row * n, n, y);
    }
}

void ps_cpu_bias_add(ps_stream *s, ps_tensor y, ps_tensor bias)
{
    bias_run r = {.y = y, .bias = bias};
    int64_t n = y.shape[1];
    if (y.dtype == PS_DTYPE_BF16) {
        r.scratch = ps_cpu_scratch(s, ps_cpu_padded(n) * (size_t)(ps_cpu_threads(s) + 1));
        if (!r.scratch)
            return;
        (void)ps_cpu_load(bias, 0, n, r.scratch);
    }
    ps_cpu_for(s, y.shape[0], ps_cpu_grain(n), add_rows_cb, &r);
}

/* dbias[n] += sum of dy[rows,n], whose rows are ld apart, four at a time: a quarter of the stores
 */
PS_VECTOR
static void sum_rows(float *restrict dbias, const float *restrict dy, int64_t ld, int64_t rows,
                     int64_t n)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4, dy += 4 * ld) {
        PS_SIMD
        for (int64_t c = 0; c < n; c++)
            dbias[c] += (dy[c] + dy[c + ld]) + (dy[c + 2 * ld] + dy[c + 3 * ld]);
    }
    for (; r < rows; r++, dy += ld) {
        PS_SIMD
        for (int64_t c = 0; c < n; c++)
            dbias[c] += dy[c];
    }
}

/* Threads share columns, so each sum has one order. */
static void sum_columns_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const bias_run *r = context;
    int64_t columns = r->y.shape[1], rows = r->y.shape[0], n = end - begin;
    float *d = (float *)ps_tensor_address(r->bias) + begin;
    /* not a product: what beta 0 replaces may be NaN */
    for (int64_t c = 0; c < n; c++)
        d[c] = r->beta == 0 ? 0 : d[c] * r->beta;
    if (!r->scratch) {
        sum_rows(d, (const float *)ps_tensor_address(r->y) + begin, columns, rows, n);
        return;
    }
    int64_t ld = (int64_t)ps_cpu_padded(columns);
    float *scratch = r->scratch + 4 * ld * slot;
    for (int64_t row = 0; row < rows; row += 4) {
        int64_t some = rows - row < 4 ? rows - row : 4;
        for (int64_t i = 0; i < some; i++)
            (void)ps_cpu_load(r->y, (row + i) * columns + begin, n, scratch + i * ld);
        sum_rows(d, scratch, ld, some, n);
    }
}

void ps_cpu_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta)
{
    bias_run r = {.y = dy, .bias = dbias, .beta = beta};
    int64_t n = dy.shape[1];
    if (dy.dtype == PS_DTYPE_BF16) {
        r.scratch = ps_cpu_scratch(s, 4 * ps_cpu_padded(n) * (size_t)ps_cpu_threads(s));
        if (!r.scratch)
            return;
    }
    ps_cpu_for(s, n, ps_cpu_column_grain(s, n), sum_columns_cb, &r);
}
