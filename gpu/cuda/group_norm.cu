/* GroupNorm: a group of an image a block; of the gradients of gain and bias a channel a block. */
#include "gpu/cuda/reduce.h"

namespace
{
enum { THREADS = 256 };

struct groups {
    float *y; /* or dx */
    const float *x, *dy, *gain, *bias;
    float *mean, *rstd;
    float *dgain, *dbias;
    int64_t images, channels, groups, pixels;
    float epsilon, beta;
    __host__ __device__ int64_t each() const
    {
        return channels / groups;
    }
};

/* What both directions are told. */
template <typename N> groups groups_of(const N *n)
{
    groups g = {};
    g.x = ps_at<float>(n->x);
    g.gain = ps_at<float>(n->gain);
    g.mean = ps_at<float>(n->mean);
    g.rstd = ps_at<float>(n->rstd);
    g.images = n->x.shape[0];
    g.channels = n->x.shape[1];
    g.groups = n->groups;
    g.pixels = ps_tensor_count(n->x) / (g.images * g.channels);
    return g;
}

/* The second pass also finds by how much rounding put the first one's mean off. */
__global__ void __launch_bounds__(THREADS) normalise(groups g)
{
    int64_t size = g.each() * g.pixels;
    for (int64_t i = blockIdx.x; i < g.images * g.groups; i += gridDim.x) {
        const float *x = g.x + i * size;
        int64_t channel = i % g.groups * g.each();
        float sum = 0, squares = 0, off = 0;
        for (int64_t k = threadIdx.x; k < size; k += blockDim.x)
            sum += x[k];
        float mean = ps_block_sum(sum) / (float)size;
        for (int64_t k = threadIdx.x; k < size; k += blockDim.x) {
            float d = x[k] - mean;
            squares += d * d;
            off += d;
        }
        off = ps_block_sum(off) / (float)size;
        float variance = ps_block_sum(squares) / (float)size - off * off;
        float rstd = 1.0f / sqrtf(variance + g.epsilon);
        mean += off;
        for (int64_t k = threadIdx.x; k < size; k += blockDim.x) {
            int64_t c = channel + k / g.pixels;
            g.y[i * size + k] = (x[k] - mean) * rstd * g.gain[c] + g.bias[c];
        }
        if (threadIdx.x > 0)
            continue;
        g.mean[i] = mean;
        g.rstd[i] = rstd;
    }
}

/* dx = rstd·(d - mean(d) - h·mean(d·h)), d = dy·gain, h = (x - mean)·rstd */
__global__ void __launch_bounds__(THREADS) gradient(groups g)
{
    int64_t size = g.each() * g.pixels;
    for (int64_t i = blockIdx.x; i < g.images * g.groups; i += gridDim.x) {
        const float *x = g.x + i * size, *dy = g.dy + i * size, *gain = g.gain;
        float mean = g.mean[i], rstd = g.rstd[i], sum = 0, with = 0;
        gain += i % g.groups * g.each();
        for (int64_t k = threadIdx.x; k < size; k += blockDim.x) {
            float d = dy[k] * gain[k / g.pixels];
            sum += d;
            with += d * (x[k] - mean) * rstd;
        }
        sum = ps_block_sum(sum) / (float)size;
        with = ps_block_sum(with) / (float)size;
        for (int64_t k = threadIdx.x; k < size; k += blockDim.x)
            g.y[i * size + k] =
                rstd * (dy[k] * gain[k / g.pixels] - sum - (x[k] - mean) * rstd * with);
    }
}

__global__ void __launch_bounds__(THREADS) parameters(groups g)
{
    for (int64_t c = blockIdx.x; c < g.channels; c += gridDim.x) {
        float sum = 0, with = 0;
        for (int64_t image = 0; image < g.images; image++) {
            int64_t at = (image * g.channels + c) * g.pixels, i = image * g.groups + c / g.each();
            float mean = g.mean[i], rstd = g.rstd[i];
            for (int64_t k = threadIdx.x; k < g.pixels; k += blockDim.x) {
                float d = g.dy[at + k];
                sum += d;
                with += d * (g.x[at + k] - mean) * rstd;
            }
        }
        sum = ps_block_sum(sum);
        with = ps_block_sum(with);
        if (threadIdx.x > 0)
            continue;
        g.dgain[c] = g.beta == 0 ? with : with + g.beta * g.dgain[c];
        g.dbias[c] = g.beta == 0 ? sum : sum + g.beta * g.dbias[c];
    }
}
} // namespace

void ps_cuda_group_norm(ps_stream *s, const ps_group_norm *n)
{
    groups g = groups_of(n);
    g.y = ps_at<float>(n->y);
    g.bias = ps_at<float>(n->bias);
    g.epsilon = n->epsilon;
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "group_norm",
                    GPU_LAUNCH(normalise, ps_blocks(g.images * g.groups, 1, PS_CUDA_ROW_BLOCKS),
                               ps_row_threads(g.each() * g.pixels), 0, ps_cuda_queue(s), g));
}

void ps_cuda_group_norm_backward(ps_stream *s, const ps_group_norm_backward *n)
{
    groups g = groups_of(n);
    g.y = ps_at<float>(n->dx);
    g.dy = ps_at<float>(n->dy);
    g.dgain = ps_at<float>(n->dgain);
    g.dbias = ps_at<float>(n->dbias);
    g.beta = n->beta;
    if (!ps_cuda_begin(s))
        return;
    cudaStream_t q = ps_cuda_queue(s);
    bool done = true;
    if (g.dgain) /* before dx, which may take dy's place */
        done = ps_cuda_end(s, "group_norm_backward",
                           GPU_LAUNCH(parameters, ps_blocks(g.channels, 1, PS_CUDA_ROW_BLOCKS),
                                      ps_row_threads(g.pixels), 0, q, g));
    if (done)
        ps_cuda_end(s, "group_norm_backward",
                    GPU_LAUNCH(gradient, ps_blocks(g.images * g.groups, 1, PS_CUDA_ROW_BLOCKS),
                               ps_row_threads(g.each() * g.pixels), 0, q, g));
}
