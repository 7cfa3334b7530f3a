/* Softmax and the losses, row by row: maximum, exponentials of the differences to it and their sum
 * (so nothing overflows), then what is asked for. A NaN in a row makes its results NaN. */
#include "common/base/require.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

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
static void softmax_row(float *y, const float *x, int64_t n)
{
    float scale = 1.0f / row_exp(y, x, n, row_max(x, n));
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] *= scale;
}

/* Sums of pieces are added in the pieces' order: the same for any number of threads. */
enum { PIECES = 64 };

static int64_t piece_grain(int64_t n, int64_t least)
{
    int64_t grain = (n + PIECES - 1) / PIECES;
    return grain > least ? grain : least;
}

typedef struct rows_run {
    float *y;
    const float *x;
    int32_t *index;
    int64_t n;
} rows_run;

static void softmax_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const rows_run *r = context;
    for (int64_t row = begin; row < end; row++)
        softmax_row(r->y + row * r->n, r->x + row * r->n, r->n);
}

void ps_cpu_softmax(ps_stream *s, ps_tensor y, ps_tensor x)
{
    rows_run r = {.y = ps_tensor_address(y), .x = ps_tensor_address(x), .n = x.shape[1]};
    ps_cpu_for(s, x.shape[0], ps_cpu_grain(2 * r.n), softmax_cb, &r);
}

PS_VECTOR
static int64_t find_largest(const float *x, int64_t n)
{
    return row_argmax(x, n, row_max(x, n));
}

static void argmax_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const rows_run *r = context;
    for (int64_t row = begin; row < end; row++)
        r->index[row] = (int32_t)find_largest(r->x + row * r->n, r->n);
}

void ps_cpu_argmax(ps_stream *s, ps_tensor index, ps_tensor x)
{
    rows_run r = {.x = ps_tensor_address(x), .index = ps_tensor_address(index), .n = x.shape[1]};
    ps_cpu_for(s, x.shape[0], ps_cpu_grain(r.n), argmax_cb, &r);
}

typedef struct loss_sum {
    double loss;
    int32_t correct;
} loss_sum;

/* loss = log(sum of e^(x - max)) - (x[label] - max); d, unless NULL, = weight · (softmax - onehot)
 */
PS_VECTOR
static loss_sum cross_entropy_row(float *d, const float *x, int64_t label, int64_t n, float weight)
{
    float max = row_max(x, n);
    float at_label = x[label] - max;
    loss_sum one = {.correct = row_argmax(x, n, max) == label};
    float sum = d ? row_exp(d, x, n, max) : row_exp_sum(x, n, max);
    one.loss = log((double)sum) - (double)at_label;
    if (!d)
        return one;
    float scale = weight / sum;
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        d[i] *= scale;
    d[label] -= weight;
    return one;
}

typedef struct cross_entropy_run {
    const ps_cross_entropy *c;
    int64_t grain;
    loss_sum sums[PIECES];
    float *scratch; /* for BF16: a row a thread */
} cross_entropy_run;

static void cross_entropy_cb(void *context, int64_t begin, int64_t end, int slot)
{
    cross_entropy_run *r = context;
    const ps_cross_entropy *c = r->c;
    int64_t n = c->logits.shape[1];
    const int32_t *labels = ps_tensor_address(c->labels);
    const float *logits = ps_tensor_address(c->logits);
    float *scratch = r->scratch + ps_cpu_padded(n) * (size_t)slot;
    loss_sum total = {0};
    for (int64_t row = begin; row < end; row++) {
        int64_t label = labels[row];
        PS_REQUIRE(label >= -1 && label < n);
        float *d =
            ps_tensor_present(c->dlogits) ? ps_cpu_place(c->dlogits, row * n, scratch) : NULL;
        if (label >= 0) {
            loss_sum one = cross_entropy_row(d, logits + row * n, label, n, c->scale);
            total.loss += one.loss;
            total.correct += one.correct;
        } else if (d) {
            memset(d, 0, (size_t)n * sizeof *d); /* left out */
        }
        if (d)
            ps_cpu_store(c->dlogits, row * n, n, d);
    }
    r->sums[begin / r->grain] = total;
}

void ps_cpu_cross_entropy(ps_stream *s, const ps_cross_entropy *c)
{
    int64_t rows = c->logits.shape[0], n = c->logits.shape[1];
    cross_entropy_run r = {.c = c, .grain = piece_grain(rows, ps_cpu_grain(3 * n))};
    r.scratch = ps_cpu_scratch(s, ps_cpu_padded(n) * (size_t)ps_cpu_threads(s));
    if (!r.scratch)
        return;
    ps_cpu_for(s, rows, r.grain, cross_entropy_cb, &r);
    loss_sum total = {0};
    for (int i = 0; i < PIECES; i++) {
        total.loss += r.sums[i].loss;
        total.correct += r.sums[i].correct;
    }
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

/* dy = scale·(y - target) */
PS_VECTOR
static void squared_error_gradient(float *dy, const float *y, const float *target, float scale,
                                   int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        dy[i] = scale * (y[i] - target[i]);
}

typedef struct squared_error_run {
    float *dy;
    const float *y, *target;
    int64_t n, grain;
    double sums[PIECES];
} squared_error_run;

static void squared_error_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    squared_error_run *r = context;
    const float *y = r->y + begin, *target = r->target + begin;
    r->sums[begin / r->grain] = squared_error(y, target, end - begin);
    if (r->dy)
        squared_error_gradient(r->dy + begin, y, target, 2.0f / (float)r->n, end - begin);
}

void ps_cpu_squared_error(ps_stream *s, ps_tensor loss, ps_tensor dy, ps_tensor y, ps_tensor target)
{
    int64_t n = ps_tensor_count(y);
    squared_error_run r = {.dy = ps_tensor_present(dy) ? ps_tensor_address(dy) : NULL,
                           .y = ps_tensor_address(y),
                           .target = ps_tensor_address(target),
                           .n = n,
                           .grain = piece_grain(n, ps_cpu_grain(2))};
    ps_cpu_for(s, n, r.grain, squared_error_cb, &r);
    double sum = 0;
    for (int i = 0; i < PIECES; i++)
        sum += r.sums[i];
    *(float *)ps_tensor_address(loss) = (float)(sum / (double)n);
}
