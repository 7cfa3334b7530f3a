/* Few active latents: the k largest of a row, a row a block, lengths of rows, and how many numbers
 * are above 0.
 *
 * The k-th largest is found bit by bit, from the top, by counts over the block (gpu/cpu/sparse.c
 * says why that is right); where more are equal to it than there is room for, the last of those
 * that stay is found by the bits of its column, likewise. */
#include "gpu/cuda/reduce.h"

namespace
{
enum { THREADS = 256, PARTS = 1024 };

struct topk {
    float *y;
    const float *z, *left_out; /* NULL: nothing is */
    int64_t rows, n;
    int k;
    __device__ unsigned bits(int64_t row, int64_t i) const
    {
        float x = seen(row, i);
        return x > 0 ? __float_as_uint(x) : 0;
    }
    __device__ float seen(int64_t row, int64_t i) const
    {
        return left_out && left_out[i] > 0 ? 0.0f : z[row * n + i];
    }
};

/* For all threads of the block: how many of the row have at least so many bits; or, of those that
 * equal them, how many stand before a column. */
__device__ int count_from(const topk &t, int64_t row, unsigned least)
{
    int count = 0;
    for (int64_t i = threadIdx.x; i < t.n; i += blockDim.x)
        count += t.bits(row, i) >= least;
    return ps_block_sum(count);
}

__device__ int count_equal(const topk &t, int64_t row, unsigned bits, int64_t before)
{
    int count = 0;
    for (int64_t i = threadIdx.x; i < before; i += blockDim.x)
        count += t.bits(row, i) == bits;
    return ps_block_sum(count);
}

__device__ unsigned threshold_of(const topk &t, int64_t row)
{
    unsigned found = 0;
    if (count_from(t, row, 1) <= t.k)
        return 1;
    for (int bit = 30; bit >= 0; bit--) {
        unsigned candidate = found | 1u << bit;
        int count = count_from(t, row, candidate);
        if (count >= t.k)
            found = candidate;
        if (count == t.k)
            break;
    }
    return found;
}

/* The largest column before which there are at most `stay` that equal `least`. */
__device__ int64_t end_of_equal(const topk &t, int64_t row, unsigned least, int stay)
{
    int64_t end = 0;
    if (count_equal(t, row, least, t.n) <= stay)
        return t.n;
    for (int bit = 30; bit >= 0; bit--) {
        int64_t candidate = end | (int64_t)1 << bit;
        if (candidate <= t.n && count_equal(t, row, least, candidate) <= stay)
            end = candidate;
    }
    return end;
}

__global__ void __launch_bounds__(THREADS) run_topk(topk t)
{
    for (int64_t row = blockIdx.x; row < t.rows; row += gridDim.x) {
        unsigned least = threshold_of(t, row);
        int above = count_from(t, row, least + 1);
        int64_t end = end_of_equal(t, row, least, t.k - above);
        for (int64_t i = threadIdx.x; i < t.n; i += blockDim.x) {
            unsigned bits = t.bits(row, i);
            bool stays = bits > least || (bits == least && i < end) || isnan(t.seen(row, i));
            t.y[row * t.n + i] = stays ? t.z[row * t.n + i] : 0.0f;
        }
    }
}

__global__ void __launch_bounds__(THREADS)
    row_norms(float *norms, const float *x, int64_t rows, int64_t n)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        double sum = 0;
        for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
            sum += (double)x[row * n + i] * (double)x[row * n + i];
        sum = ps_block_sum(sum);
        if (threadIdx.x == 0)
            norms[row] = (float)sqrt(sum);
    }
}

__global__ void __launch_bounds__(THREADS)
    row_norms_backward(float *dx, const float *dnorms, const float *norms, const float *x,
                       int64_t rows, int64_t n)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        if (!(norms[row] > 0))
            continue;
        float scale = dnorms[row] / norms[row];
        for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
            dx[row * n + i] += scale * x[row * n + i];
    }
}

__global__ void __launch_bounds__(THREADS) count_parts(int *parts, const float *x, int64_t n)
{
    int count = 0;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS)
        count += x[i] > 0;
    count = ps_block_sum(count);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = count;
}

__global__ void __launch_bounds__(THREADS) add_parts(int *out, const int *parts, unsigned n)
{
    int count = 0;
    for (unsigned i = threadIdx.x; i < n; i += THREADS)
        count += parts[i];
    count = ps_block_sum(count);
    if (threadIdx.x == 0)
        *out = count;
}
} // namespace

void ps_cuda_topk(ps_stream *s, const ps_topk *t)
{
    int64_t rows = t->z.shape[0], n = t->z.shape[1];
    topk k = {ps_at<float>(t->y),        ps_at<float>(t->z), ps_at<float>(t->left_out), rows, n,
              (int)(t->k < n ? t->k : n)};
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "topk",
                    GPU_LAUNCH(run_topk, ps_blocks(rows, 1, PS_CUDA_ROW_BLOCKS), ps_row_threads(n),
                               0, ps_cuda_queue(s), k));
}

void ps_cuda_row_norms(ps_stream *s, ps_tensor norms, ps_tensor x)
{
    int64_t rows = x.shape[0], n = x.shape[1];
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "row_norms",
                    GPU_LAUNCH(row_norms, ps_blocks(rows, 1, PS_CUDA_ROW_BLOCKS), ps_row_threads(n),
                               0, ps_cuda_queue(s), ps_at<float>(norms), ps_at<float>(x), rows, n));
}

void ps_cuda_row_norms_backward(ps_stream *s, ps_tensor dx, ps_tensor dnorms, ps_tensor norms,
                                ps_tensor x)
{
    int64_t rows = x.shape[0], n = x.shape[1];
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "row_norms_backward",
                    GPU_LAUNCH(row_norms_backward, ps_blocks(rows, 1, PS_CUDA_ROW_BLOCKS),
                               ps_row_threads(n), 0, ps_cuda_queue(s), ps_at<float>(dx),
                               ps_at<float>(dnorms), ps_at<float>(norms), ps_at<float>(x), rows,
                               n));
}

void ps_cuda_count_positive(ps_stream *s, ps_tensor out, ps_tensor x)
{
    int64_t n = ps_tensor_count(x);
    unsigned parts = ps_blocks(n, THREADS, PARTS);
    if (!ps_cuda_begin(s))
        return;
    cudaStream_t q = ps_cuda_queue(s);
    if (ps_cuda_end(s, "count_positive",
                    GPU_LAUNCH(count_parts, parts, THREADS, 0, q, (int *)ps_cuda_scratch(s),
                               ps_at<float>(x), n)))
        ps_cuda_end(s, "count_positive",
                    GPU_LAUNCH(add_parts, 1, THREADS, 0, q, ps_at<int>(out),
                               (const int *)ps_cuda_scratch(s), parts));
}
