/* Softmax and the losses, row by row: maximum, exponentials of the differences to it and their sum
 * (so nothing overflows), then what is asked for. A NaN in a row makes its results NaN. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/vector.h"

#include <assert.h>

static inline float row_max(const float *x, int64_t n)
{
    float m = x[0];
    PS_SIMD_MAX(m)
    for (int64_t i = 0; i < n; i++)
        m = x[i] > m ? x[i] : m;
    return m;
}

/* The first index that holds the row's maximum; 0 in a row of NaN. */
static inline int64_t row_argmax(const float *x, int64_t n, float max)
{
    for (int64_t i = 0; i < n; i++) {
        if (x[i] == max)
            return i;
    }
    return 0;
}

/* y = e^(x - max), which may overwrite x; the sum of it */
static inline float row_exp(float *y, const float *x, int64_t n, float max)
{
    float sum = 0;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++) {
        float e = ps_vector_exp(x[i] - max);
        y[i] = e;
        sum += e;
    }
    return sum;
}

static inline float row_exp_sum(const float *x, int64_t n, float max)
{
    float sum = 0;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += ps_vector_exp(x[i] - max);
    return sum;
}

PS_VECTOR
static void softmax_rows(float *y, const float *x, int64_t rows, int64_t n)
{
    for (int64_t r = 0; r < rows; r++, x += n, y += n) {
        float scale = 1.0f / row_exp(y, x, n, row_max(x, n));
        PS_SIMD
        for (int64_t i = 0; i < n; i++)
            y[i] *= scale;
    }
}

void ps_cpu_softmax(ps_stream *s, ps_tensor y, ps_tensor x)
{
    (void)s;
    softmax_rows(ps_tensor_address(y), ps_tensor_address(x), x.shape[0], x.shape[1]);
}

void ps_cpu_argmax(ps_stream *s, ps_tensor index, ps_tensor x)
{
    (void)s;
    int32_t *out = ps_tensor_address(index);
    const float *row = ps_tensor_address(x);
    for (int64_t r = 0; r < x.shape[0]; r++, row += x.shape[1])
        out[r] = (int32_t)row_argmax(row, x.shape[1], row_max(row, x.shape[1]));
}

typedef struct loss_sum {
    double loss;
    int32_t correct;
} loss_sum;

/* loss of a row = log(sum of e^(x - max)) - (x[label] - max); d = weight · (softmax - onehot) */
PS_VECTOR
static loss_sum cross_entropy_rows(float *d, const float *x, const int32_t *labels, int64_t rows,
                                   int64_t n, float weight)
{
    loss_sum total = {0};
    for (int64_t r = 0; r < rows; r++, x += n) {
        int64_t label = labels[r];
        assert(label >= -1 && label < n);
        if (label < 0) { /* left out */
            if (d) {
                memset(d, 0, (size_t)n * sizeof *d);
                d += n;
            }
            continue;
        }
        float max = row_max(x, n);
        float at_label = x[label] - max;
        total.correct += row_argmax(x, n, max) == label;
        float sum = d ? row_exp(d, x, n, max) : row_exp_sum(x, n, max);
        total.loss += log((double)sum) - (double)at_label;
        if (!d)
            continue;
        float scale = weight / sum;
        PS_SIMD
        for (int64_t i = 0; i < n; i++)
            d[i] *= scale;
        d[label] -= weight;
        d += n;
    }
    return total;
}

void ps_cpu_cross_entropy(ps_stream *s, const ps_cross_entropy *c)
{
    (void)s;
    float *d = ps_tensor_present(c->dlogits) ? ps_tensor_address(c->dlogits) : NULL;
    loss_sum total =
        cross_entropy_rows(d, ps_tensor_address(c->logits), ps_tensor_address(c->labels),
                           c->logits.shape[0], c->logits.shape[1], c->scale);
    float *loss = ps_tensor_address(c->loss);
    int32_t *correct = ps_tensor_address(c->correct);
    *loss = (c->add ? *loss : 0) + (float)(total.loss * (double)c->scale);
    *correct = (c->add ? *correct : 0) + total.correct;
}

PS_VECTOR
static double squared_error(const float *y, const float *target, int64_t n)
{
    double sum = 0;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++) {
        double e = (double)y[i] - (double)target[i];
        sum += e * e;
    }
    return sum;
}

/* dy = 2 (y - target) / n */
PS_VECTOR
static void squared_error_gradient(float *dy, const float *y, const float *target, int64_t n)
{
    float scale = 2.0f / (float)n;
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        dy[i] = scale * (y[i] - target[i]);
}

void ps_cpu_squared_error(ps_stream *s, ps_tensor loss, ps_tensor dy, ps_tensor y, ps_tensor target)
{
    (void)s;
    const float *a = ps_tensor_address(y), *b = ps_tensor_address(target);
    int64_t n = ps_tensor_count(y);
    *(float *)ps_tensor_address(loss) = (float)(squared_error(a, b, n) / (double)n);
    if (dy.buffer)
        squared_error_gradient(ps_tensor_address(dy), a, b, n);
}
