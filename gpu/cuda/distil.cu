/* Cross-entropy and the divergence from a teacher, a row a block: largest elements and sums first,
 * as loss.cu has them, then where the teacher's top_k begins, then the divergence, and the gradient
 * in a pass of its own, which may write over the logits. The formulas are those of
 * gpu/cpu/distil.c.
 *
 * The k-th largest is found without sorting: floats in the order of their bits (negative ones
 * turned round) are narrowed down bit by bit, by how many are not below. */
#include "gpu/cuda/reduce.h"

namespace
{
enum { THREADS = 256, PARTS = 1024 };

/* A row as log-probabilities: scale·(x - largest) - log_sum. */
struct soft {
    const float *x;
    float largest, scale, log_sum;

    __device__ float operator()(int64_t i) const
    {
        float l = scale * (x[i] - largest) - log_sum;
        return l < -1e30f ? -1e30f : l; /* a NaN stays one */
    }
};

/* e^x, which is never 0: of the rest of the classes logarithms are taken. NaN stays. */
__device__ float positive_exp(float x)
{
    return expf(x < -87.0f ? -87.0f : x);
}

__device__ soft soft_of(const float *x, int64_t n, float scale)
{
    float largest = -INFINITY, sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        largest = fmaxf(largest, x[i]);
    largest = ps_block(largest, ps_larger());
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        sum += positive_exp(scale * (x[i] - largest));
    return {x, largest, scale, logf(ps_block_sum(sum))};
}

/* ---- top_k ---- */

__device__ uint32_t order_of(float x)
{
    uint32_t bits = __float_as_uint(x);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

__device__ float of_order(uint32_t order)
{
    return __uint_as_float(order >> 31 ? order & 0x7fffffffu : ~order);
}

/* The largest order that at least k of n elements are not below. */
__device__ float kth_largest(const float *x, int64_t n, int64_t k)
{
    uint32_t found = 0;
    for (int bit = 31; bit >= 0; bit--) {
        uint32_t tried = found | 1u << bit;
        int count = 0;
        for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
            count += order_of(x[i]) >= tried;
        if (ps_block_sum(count) >= k)
            found = tried;
    }
    return of_order(found);
}

/* ---- divergences ---- */

template <typename T> struct distil {
    T *dlogits; /* NULL: not wanted */
    const float *logits, *teacher;
    const int *labels;
    int64_t rows, n, teacher_n, shared, top_k;
    int kind; /* ps_divergence */
    float temperature, scale, alpha;
};

struct row {
    soft student, teacher;
    float least; /* the teacher's logit from which on a class stands for itself */
    double rest_p, rest_q, divergence;
    float mean, rest_slope; /* as gpu/cpu/distil.c has them */
};

__device__ float log_middle(float p, float q)
{
    float most = fmaxf(p, q);
    return most + logf(0.5f + 0.5f * expf(fminf(p, q) - most));
}

__device__ void sum_rest(row &r, int64_t shared)
{
    float p = 0, q = 0;
    for (int64_t i = threadIdx.x; i < shared; i += blockDim.x)
        if (!(r.teacher.x[i] >= r.least)) {
            p += positive_exp(r.teacher(i));
            q += positive_exp(r.student(i));
        }
    r.rest_p = (double)ps_block_sum(p);
    r.rest_q = (double)ps_block_sum(q);
}

/* The sums over the classes that stand for themselves: of_p with p before the logarithm, of_q with
 * q; then the rest. */
__device__ void measure(row &r, int64_t shared, int kind)
{
    float of_p = 0, of_q = 0;
    for (int64_t i = threadIdx.x; i < shared; i += blockDim.x) {
        if (!(r.teacher.x[i] >= r.least))
            continue;
        float p = r.teacher(i), q = r.student(i);
        float m = kind == PS_DIVERGENCE_JSD ? log_middle(p, q) : 0;
        of_p += expf(p) * (p - (kind == PS_DIVERGENCE_JSD ? m : q));
        of_q += expf(q) * (q - (kind == PS_DIVERGENCE_JSD ? m : p));
    }
    double sum_p = (double)ps_block_sum(of_p), sum_q = (double)ps_block_sum(of_q);
    double middle = (r.rest_p + r.rest_q) / 2, log_pq = 0, log_pm = 0, log_qm = 0;
    if (r.rest_q > 0) {
        log_pq = log(r.rest_p / r.rest_q);
        log_pm = log(r.rest_p / middle);
        log_qm = log(r.rest_q / middle);
    }
    if (kind == PS_DIVERGENCE_KL) {
        r.divergence = sum_p + r.rest_p * log_pq;
        r.mean = 0;
        r.rest_slope = r.rest_q > 0 ? (float)(1 - r.rest_p / r.rest_q) : 0;
    } else if (kind == PS_DIVERGENCE_REVERSE_KL) {
        r.divergence = sum_q - r.rest_q * log_pq;
        r.mean = (float)r.divergence;
        r.rest_slope = (float)(-log_pq - r.divergence);
    } else {
        sum_q += r.rest_q * log_qm;
        r.divergence = (sum_p + r.rest_p * log_pm + sum_q) / 2;
        r.mean = (float)sum_q;
        r.rest_slope = (float)((log_qm - sum_q) / 2);
    }
}

/* q·(g - mean) of a class; p and q are logarithms. */
__device__ float slope(int kind, float p, float q, float mean)
{
    if (kind == PS_DIVERGENCE_KL)
        return expf(q) - expf(p);
    if (kind == PS_DIVERGENCE_REVERSE_KL)
        return expf(q) * (q - p - mean);
    return expf(q) * 0.5f * (q - log_middle(p, q) - mean);
}

/* dlogits may be logits' memory: each element is read by the thread that writes it. */
template <typename T>
__device__ void write_gradient(const distil<T> &c, T *d, const row &r, soft plain, int label)
{
    float task = c.scale * (1 - c.alpha), far = c.scale * c.alpha * c.temperature;
    for (int64_t i = threadIdx.x; i < c.n; i += blockDim.x) {
        float slope_of = 0;
        if (i < c.shared) {
            float q = r.student(i);
            slope_of = r.teacher.x[i] >= r.least ? slope(c.kind, r.teacher(i), q, r.mean)
                                                 : expf(q) * r.rest_slope;
        }
        ps_store(d + i, task * (expf(plain(i)) - (i == label)) + far * slope_of);
    }
}

/* The first of the largest; 0 in a row of NaN. */
__device__ int first_of(const float *x, int64_t n, float largest)
{
    int at = INT32_MAX;
    for (int64_t i = threadIdx.x; i < n && at == INT32_MAX; i += blockDim.x)
        at = x[i] == largest ? (int)i : at;
    struct smaller {
        __device__ int operator()(int a, int b) const
        {
            return min(a, b);
        }
    };
    at = ps_block(at, smaller());
    return at == INT32_MAX ? 0 : at;
}

struct part {
    double loss, divergence;
    int correct;
};

template <typename T> __device__ void one_row(const distil<T> &c, int64_t at, part &total)
{
    const float *x = c.logits + at * c.n;
    int label = c.labels[at];
    T *d = c.dlogits ? c.dlogits + at * c.n : nullptr;
    if (label < 0) { /* left out */
        for (int64_t i = threadIdx.x; d && i < c.n; i += blockDim.x)
            ps_store(d + i, 0.0f);
        return;
    }
    soft plain = soft_of(x, c.n, 1);
    row r = {soft_of(x, c.shared, 1 / c.temperature),
             soft_of(c.teacher + at * c.teacher_n, c.shared, 1 / c.temperature),
             -INFINITY,
             0,
             0,
             0,
             0,
             0};
    if (c.top_k) {
        r.least = kth_largest(r.teacher.x, c.shared, c.top_k);
        sum_rest(r, c.shared);
    }
    measure(r, c.shared, c.kind);
    total.loss += (double)plain.log_sum - ((double)x[label] - (double)plain.largest);
    total.divergence += r.divergence;
    total.correct += first_of(x, c.n, plain.largest) == label;
    __syncthreads(); /* all have read what the gradient may take the place of */
    if (d)
        write_gradient(c, d, r, plain, label);
}

template <typename T> __global__ void __launch_bounds__(THREADS) rows(part *parts, distil<T> c)
{
    part total = {0, 0, 0};
    for (int64_t at = blockIdx.x; at < c.rows; at += gridDim.x)
        one_row(c, at, total);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = total;
}

/* One block: the parts in their order. */
__global__ void __launch_bounds__(THREADS)
    finish(float *loss, float *divergence, int *correct, const part *parts, unsigned n, float scale,
           bool add)
{
    part sum = {0, 0, 0};
    for (unsigned i = threadIdx.x; i < n; i += THREADS) {
        sum.loss += parts[i].loss;
        sum.divergence += parts[i].divergence;
        sum.correct += parts[i].correct;
    }
    sum.loss = ps_block_sum(sum.loss);
    sum.divergence = ps_block_sum(sum.divergence);
    sum.correct = ps_block_sum(sum.correct);
    if (threadIdx.x == 0) {
        *loss = (add ? *loss : 0) + (float)(sum.loss * (double)scale);
        *divergence = (add ? *divergence : 0) + (float)(sum.divergence * (double)scale);
        *correct = (add ? *correct : 0) + sum.correct;
    }
}

template <typename T> void run(ps_stream *s, const ps_distil *d)
{
    const ps_cross_entropy *t = &d->task;
    int64_t n = t->logits.shape[1], teacher_n = d->teacher.shape[1];
    int64_t shared = n < teacher_n ? n : teacher_n;
    distil<T> c = {ps_at<T>(t->dlogits),
                   ps_at<float>(t->logits),
                   ps_at<float>(d->teacher),
                   ps_at<int>(t->labels),
                   t->logits.shape[0],
                   n,
                   teacher_n,
                   shared,
                   d->top_k < shared ? d->top_k : 0, /* all of them are all */
                   d->kind,
                   d->temperature,
                   t->scale,
                   d->alpha};
    part *parts = static_cast<part *>(ps_cuda_scratch(s));
    unsigned blocks = ps_blocks(c.rows, 1, PARTS);
    if (!ps_cuda_begin(s))
        return;
    cudaStream_t q = ps_cuda_queue(s);
    if (ps_cuda_end(s, "distil", GPU_LAUNCH((rows<T>), blocks, ps_row_threads(n), 0, q, parts, c)))
        ps_cuda_end(s, "distil",
                    GPU_LAUNCH(finish, 1, THREADS, 0, q, ps_at<float>(t->loss),
                               ps_at<float>(d->divergence), ps_at<int>(t->correct), parts, blocks,
                               t->scale, t->add));
}
} // namespace

void ps_cuda_distil(ps_stream *s, const ps_distil *d)
{
    PS_CUDA_CALL(d->task.dlogits, run, s, d);
}
