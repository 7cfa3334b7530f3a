/* Softmax and its losses, a row a block: one pass finds the largest element and the sum of
 * e^(x - largest), which is scaled down when a larger one comes (Milakov, Gimelshein 2018); a
 * second one makes what is asked for. A NaN in a row makes its results NaN. */
#include "gpu/cuda/reduce.h"

namespace
{
enum { THREADS = 256, PARTS = 1024 };

/* What a row is normalised by. */
struct row_sum {
    float largest, sum; /* sum of e^(x - largest) */
};

/* e^(x - largest); also where both are infinite, and 1 where x is the largest */
__device__ float below(float x, float largest)
{
    return x == largest ? 1.0f : expf(x - largest);
}

__device__ row_sum join(row_sum a, row_sum b)
{
    float largest = fmaxf(a.largest, b.largest);
    return {largest, a.sum * below(a.largest, largest) + b.sum * below(b.largest, largest)};
}

/* For all threads of the block. */
__device__ row_sum sum_row(const float *x, int64_t n)
{
    __shared__ float largest[PS_CUDA_WARP], sums[PS_CUDA_WARP];
    row_sum r = {-INFINITY, 0};
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        r = join(r, {x[i], 1});
    for (int d = 16; d > 0; d /= 2)
        r = join(r, {__shfl_xor_sync(PS_CUDA_ALL, r.largest, d),
                     __shfl_xor_sync(PS_CUDA_ALL, r.sum, d)});
    __syncthreads(); /* the last row's have been read */
    if (threadIdx.x % PS_CUDA_WARP == 0) {
        largest[threadIdx.x / PS_CUDA_WARP] = r.largest;
        sums[threadIdx.x / PS_CUDA_WARP] = r.sum;
    }
    __syncthreads();
    r = {largest[0], sums[0]};
    for (unsigned i = 1; i < blockDim.x / PS_CUDA_WARP; i++)
        r = join(r, {largest[i], sums[i]});
    return r;
}

/* y may be x's memory. */
__global__ void __launch_bounds__(THREADS)
    softmax(float *y, const float *x, int64_t rows, int64_t n)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        row_sum r = sum_row(x + row * n, n);
        for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
            y[row * n + i] = expf(x[row * n + i] - r.largest) / r.sum;
    }
}

/* The first index that holds the row's largest; 0 in a row of NaN. For all threads of the block. */
__device__ int first_largest(const float *x, int64_t n, float largest)
{
    __shared__ int first[PS_CUDA_WARP];
    int at = INT32_MAX;
    for (int64_t i = threadIdx.x; i < n && at == INT32_MAX; i += blockDim.x)
        at = x[i] == largest ? (int)i : at;
    for (int d = 16; d > 0; d /= 2)
        at = min(at, __shfl_xor_sync(PS_CUDA_ALL, at, d));
    __syncthreads();
    if (threadIdx.x % PS_CUDA_WARP == 0)
        first[threadIdx.x / PS_CUDA_WARP] = at;
    __syncthreads();
    at = first[0];
    for (unsigned i = 1; i < blockDim.x / PS_CUDA_WARP; i++)
        at = min(at, first[i]);
    return at == INT32_MAX ? 0 : at;
}

__global__ void __launch_bounds__(THREADS)
    argmax(int *index, const float *x, int64_t rows, int64_t n)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        float largest = -INFINITY;
        for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
            largest = fmaxf(largest, x[row * n + i]);
        int at = first_largest(x + row * n, n, ps_block(largest, ps_larger()));
        if (threadIdx.x == 0)
            index[row] = at;
    }
}

struct part {
    double loss;
    int correct;
};

template <typename T> struct cross_entropy {
    T *dlogits; /* NULL: not wanted */
    const float *logits;
    const int *labels;
    int64_t rows, n;
    float scale;
};

/* scale · (softmax - onehot); dlogits may be logits' memory */
template <typename T>
__device__ void write_gradient(const cross_entropy<T> &c, int64_t row, int label, row_sum r)
{
    const float *x = c.logits + row * c.n;
    T *d = c.dlogits + row * c.n;
    float scale = c.scale / r.sum;
    for (int64_t i = threadIdx.x; i < c.n; i += blockDim.x)
        ps_store(d + i,
                 label < 0 ? 0.0f : expf(x[i] - r.largest) * scale - (i == label ? c.scale : 0));
}

template <typename T>
__global__ void __launch_bounds__(THREADS) losses(part *parts, cross_entropy<T> c)
{
    part total = {0, 0};
    for (int64_t row = blockIdx.x; row < c.rows; row += gridDim.x) {
        const float *x = c.logits + row * c.n;
        int label = c.labels[row];
        row_sum r = {0, 1};
        if (label >= 0) {
            r = sum_row(x, c.n);
            total.loss += log((double)r.sum) - ((double)x[label] - (double)r.largest);
            total.correct += first_largest(x, c.n, r.largest) == label;
        }
        __syncthreads(); /* all have read what the gradient may take the place of */
        if (c.dlogits)
            write_gradient(c, row, label, r);
    }
    if (threadIdx.x == 0)
        parts[blockIdx.x] = total;
}

/* One block: the parts in their order. */
__global__ void __launch_bounds__(THREADS)
    finish(float *loss, int *correct, const part *parts, unsigned n, float scale, bool add)
{
    double sum = 0;
    int right = 0;
    for (unsigned i = threadIdx.x; i < n; i += THREADS) {
        sum += parts[i].loss;
        right += parts[i].correct;
    }
    sum = ps_block_sum(sum);
    right = ps_block_sum(right);
    if (threadIdx.x == 0) {
        *loss = (add ? *loss : 0) + (float)(sum * (double)scale);
        *correct = (add ? *correct : 0) + right;
    }
}

template <typename T> void run(ps_stream *s, const ps_cross_entropy *c)
{
    int64_t rows = c->logits.shape[0], n = c->logits.shape[1];
    part *parts = static_cast<part *>(ps_cuda_scratch(s));
    unsigned blocks = ps_blocks(rows, 1, PARTS);
    cross_entropy<T> k = {
        ps_at<T>(c->dlogits), ps_at<float>(c->logits), ps_at<int>(c->labels), rows, n, c->scale};
    if (!ps_cuda_begin(s))
        return;
    cudaStream_t q = ps_cuda_queue(s);
    if (ps_cuda_end(s, "cross_entropy",
                    GPU_LAUNCH((losses<T>), blocks, ps_row_threads(n), 0, q, parts, k)))
        ps_cuda_end(s, "cross_entropy",
                    GPU_LAUNCH(finish, 1, THREADS, 0, q, ps_at<float>(c->loss),
                               ps_at<int>(c->correct), parts, blocks, c->scale, c->add));
}
} // namespace

void ps_cuda_cross_entropy(ps_stream *s, const ps_cross_entropy *c)
{
    PS_CUDA_CALL(c->dlogits, run, s, c);
}

void ps_cuda_softmax(ps_stream *s, ps_tensor y, ps_tensor x)
{
    int64_t rows = x.shape[0], n = x.shape[1];
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "softmax",
                    GPU_LAUNCH(softmax, ps_blocks(rows, 1, PS_CUDA_ROW_BLOCKS), ps_row_threads(n),
                               0, ps_cuda_queue(s), ps_at<float>(y), ps_at<float>(x), rows, n));
}

void ps_cuda_argmax(ps_stream *s, ps_tensor index, ps_tensor x)
{
    int64_t rows = x.shape[0], n = x.shape[1];
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "argmax",
                    GPU_LAUNCH(argmax, ps_blocks(rows, 1, PS_CUDA_ROW_BLOCKS), ps_row_threads(n), 0,
                               ps_cuda_queue(s), ps_at<int>(index), ps_at<float>(x), rows, n));
}
