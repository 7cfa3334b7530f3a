/* To eight bits and back, block by block: a warp takes one, in steps of the grid. */
#include "gpu/cuda/bytes.h"

namespace
{
enum { THREADS = 128, WARPS = THREADS / 32, BLOCKS = 4096 };

struct blocks {
    int64_t n, block, count;
};

__device__ int64_t first_block(void)
{
    return (int64_t)blockIdx.x * WARPS + threadIdx.x / PS_CUDA_WARP;
}

__device__ int64_t end_of(const blocks &b, int64_t number)
{
    int64_t end = (number + 1) * b.block;
    return end < b.n ? end : b.n;
}

__global__ void __launch_bounds__(THREADS)
    quantise(int8_t *q, float *scales, const float *x, blocks b)
{
    for (int64_t i = first_block(); i < b.count; i += (int64_t)gridDim.x * WARPS) {
        int64_t start = i * b.block;
        ps_block_to_bytes(q + start, scales + i, x + start, end_of(b, i) - start);
    }
}

__global__ void __launch_bounds__(THREADS)
    dequantise(float *x, const int8_t *q, const float *scales, blocks b)
{
    unsigned lane = threadIdx.x % PS_CUDA_WARP;
    for (int64_t i = first_block(); i < b.count; i += (int64_t)gridDim.x * WARPS) {
        int64_t end = end_of(b, i);
        float scale = scales[i];
        for (int64_t at = i * b.block + lane; at < end; at += PS_CUDA_WARP)
            x[at] = (float)q[at] * scale;
    }
}

blocks blocks_of(ps_tensor x, ps_tensor scales, int64_t block)
{
    return {ps_tensor_count(x), block, ps_tensor_count(scales)};
}
} // namespace

void ps_cuda_quantise(ps_stream *s, ps_tensor q, ps_tensor scales, ps_tensor x, int64_t block)
{
    blocks b = blocks_of(x, scales, block);
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "quantise",
                    GPU_LAUNCH(quantise, ps_blocks(b.count, WARPS, BLOCKS), THREADS, 0,
                               ps_cuda_queue(s), ps_at<int8_t>(q), ps_at<float>(scales),
                               ps_at<float>(x), b));
}

void ps_cuda_dequantise(ps_stream *s, ps_tensor x, ps_tensor q, ps_tensor scales, int64_t block)
{
    blocks b = blocks_of(x, scales, block);
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "dequantise",
                    GPU_LAUNCH(dequantise, ps_blocks(b.count, WARPS, BLOCKS), THREADS, 0,
                               ps_cuda_queue(s), ps_at<float>(x), ps_at<int8_t>(q),
                               ps_at<float>(scales), b));
}
