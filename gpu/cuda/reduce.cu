/* Norm, squared error and the search for NaN and infinity. Each block sums up parts in float64; one
 * block then adds the parts in their order. */
#include "gpu/cuda/reduce.h"

namespace
{
enum { THREADS = 256, PARTS = 1024 };

/* This thread's elements of [0, n). */
struct steps {
    int64_t first, step;
    __device__ steps()
        : first((int64_t)blockIdx.x * THREADS + threadIdx.x), step((int64_t)gridDim.x * THREADS)
    {
    }
};

__global__ void __launch_bounds__(THREADS) squares(double *parts, const float *x, int64_t n)
{
    steps t;
    double sum = 0;
    for (int64_t i = t.first; i < n; i += t.step)
        sum += (double)x[i] * (double)x[i];
    sum = ps_block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

/* Also dy = scale·(y - target), which may be y's memory, or NULL. */
__global__ void __launch_bounds__(THREADS)
    errors(double *parts, float *dy, const float *y, const float *target, float scale, int64_t n)
{
    steps t;
    double sum = 0;
    for (int64_t i = t.first; i < n; i += t.step) {
        float a = y[i], b = target[i];
        double e = (double)a - (double)b;
        sum += e * e;
        if (dy)
            dy[i] = scale * (a - b);
    }
    sum = ps_block_sum(sum);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

/* One block. out = (add ? out : 0) + sum of parts / divisor */
__global__ void __launch_bounds__(THREADS)
    finish(float *out, const double *parts, unsigned n, double divisor, bool add)
{
    double sum = 0;
    for (unsigned i = threadIdx.x; i < n; i += THREADS)
        sum += parts[i];
    sum = ps_block_sum(sum) / divisor;
    if (threadIdx.x == 0)
        *out = (float)(add ? (double)*out + sum : sum);
}

/* Runs finish after the launch that came to code. */
void add_parts(ps_stream *s, const char *what, cudaError_t code, ps_tensor out, unsigned n,
               double divisor, bool add)
{
    if (ps_cuda_end(s, what, code))
        ps_cuda_end(s, what,
                    GPU_LAUNCH(finish, 1, THREADS, 0, ps_cuda_queue(s), ps_at<float>(out),
                               (const double *)ps_cuda_scratch(s), n, divisor, add));
}

__global__ void set_true(int *out)
{
    *out = 1;
}

/* NaN and infinity are the numbers whose exponent is all ones. */
__global__ void __launch_bounds__(THREADS) find_bad(int *out, const float *x, int64_t n)
{
    steps t;
    bool bad = false;
    for (int64_t i = t.first; i < n; i += t.step)
        bad = bad || (__float_as_uint(x[i]) & 0x7F800000u) == 0x7F800000u;
    bad = __syncthreads_or(bad);
    if (bad && threadIdx.x == 0)
        atomicAnd(out, 0);
}
} // namespace

void ps_cuda_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x, bool add)
{
    if (!ps_cuda_begin(s))
        return;
    int64_t n = ps_tensor_count(x);
    unsigned parts = ps_blocks(n, THREADS, PARTS);
    add_parts(s, "squared_norm",
              GPU_LAUNCH(squares, parts, THREADS, 0, ps_cuda_queue(s), (double *)ps_cuda_scratch(s),
                         ps_at<float>(x), n),
              out, parts, 1, add);
}

void ps_cuda_squared_error(ps_stream *s, ps_tensor loss, ps_tensor dy, ps_tensor y,
                           ps_tensor target)
{
    if (!ps_cuda_begin(s))
        return;
    int64_t n = ps_tensor_count(y);
    unsigned parts = ps_blocks(n, THREADS, PARTS);
    add_parts(s, "squared_error",
              GPU_LAUNCH(errors, parts, THREADS, 0, ps_cuda_queue(s), (double *)ps_cuda_scratch(s),
                         ps_at<float>(dy), ps_at<float>(y), ps_at<float>(target), 2.0f / (float)n,
                         n),
              loss, parts, (double)n, false);
}

void ps_cuda_all_finite(ps_stream *s, ps_tensor out, ps_tensor x)
{
    if (!ps_cuda_begin(s))
        return;
    int64_t n = ps_tensor_count(x);
    cudaStream_t q = ps_cuda_queue(s);
    if (ps_cuda_end(s, "all_finite", GPU_LAUNCH(set_true, 1, 1, 0, q, ps_at<int>(out))))
        ps_cuda_end(s, "all_finite",
                    GPU_LAUNCH(find_bad, ps_blocks(n, THREADS, PARTS), THREADS, 0, q,
                               ps_at<int>(out), ps_at<float>(x), n));
}
