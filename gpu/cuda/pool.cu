/* Pooling: a number of y a thread, and on the way back one of x, which adds up what the windows
 * that it was in have for it. */
#include "gpu/cuda/real.h"

namespace
{
enum { THREADS = 256, BLOCKS = 4096 };

struct pool {
    float *y, *x;
    uint8_t *index; /* may be NULL */
    int64_t planes;
    int h, w, oh, ow, window_h, window_w, stride;
};

pool pool_of(const ps_pool *p)
{
    const int64_t *x = p->x.shape, *y = p->y.shape;
    pool r = {ps_at<float>(p->y), ps_at<float>(p->x), ps_at<uint8_t>(p->index),
              x[0] * x[1],        (int)x[2],          (int)x[3],
              (int)y[2],          (int)y[3],          (int)p->window_h,
              (int)p->window_w,   (int)p->stride};
    return r;
}

/* The first of the largest; NaN is larger than any number. */
__global__ void __launch_bounds__(THREADS) largest(pool p)
{
    int64_t n = p.planes * p.oh * p.ow, step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += step) {
        int64_t row = at / p.ow;
        int column = (int)(at - row * p.ow) * p.stride;
        const float *x = p.x + (row / p.oh * p.h + row % p.oh * p.stride) * p.w + column;
        float most = x[0];
        int where = 0;
        for (int i = 0; i < p.window_h; i++)
            for (int j = 0; j < p.window_w; j++) {
                float v = x[i * p.w + j];
                if (most == most && (v > most || v != v)) {
                    most = v;
                    where = i * p.window_w + j;
                }
            }
        p.y[at] = most;
        if (p.index)
            p.index[at] = (uint8_t)where;
    }
}

__global__ void __launch_bounds__(THREADS) mean(pool p)
{
    int64_t n = p.planes * p.oh * p.ow, step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += step) {
        int64_t row = at / p.ow;
        int column = (int)(at - row * p.ow) * p.stride;
        const float *x = p.x + (row / p.oh * p.h + row % p.oh * p.stride) * p.w + column;
        float sum = 0;
        for (int i = 0; i < p.window_h; i++)
            for (int j = 0; j < p.window_w; j++)
                sum += x[i * p.w + j];
        p.y[at] = sum / (float)(p.window_h * p.window_w);
    }
}

/* The windows of one side that hold place `at`: [first, last]. */
__device__ __forceinline__ void windows(int at, int window, int stride, int places, int *first,
                                        int *last)
{
    int before = at - window + 1;
    *first = before > 0 ? (before + stride - 1) / stride : 0;
    *last = at / stride < places - 1 ? at / stride : places - 1;
}

__global__ void __launch_bounds__(THREADS) spread(pool p, bool max)
{
    int64_t n = p.planes * p.h * p.w, step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += step) {
        int64_t row = at / p.w, plane = row / p.h;
        int r = (int)(row - plane * p.h), c = (int)(at - row * p.w);
        int top, bottom, left, right;
        windows(r, p.window_h, p.stride, p.oh, &top, &bottom);
        windows(c, p.window_w, p.stride, p.ow, &left, &right);
        float sum = 0;
        for (int i = top; i <= bottom; i++)
            for (int j = left; j <= right; j++) {
                int64_t y = (plane * p.oh + i) * p.ow + j;
                int where = (r - i * p.stride) * p.window_w + c - j * p.stride;
                if (!max || p.index[y] == where)
                    sum += p.y[y];
            }
        p.x[at] = max ? sum : sum / (float)(p.window_h * p.window_w);
    }
}
} // namespace

void ps_cuda_pool(ps_stream *s, const ps_pool *p)
{
    pool r = pool_of(p);
    unsigned blocks = ps_blocks(r.planes * r.oh * r.ow, THREADS, BLOCKS);
    if (!ps_cuda_begin(s))
        return;
    if (p->kind == PS_POOL_MAX)
        ps_cuda_end(s, "pool", GPU_LAUNCH(largest, blocks, THREADS, 0, ps_cuda_queue(s), r));
    else
        ps_cuda_end(s, "pool", GPU_LAUNCH(mean, blocks, THREADS, 0, ps_cuda_queue(s), r));
}

void ps_cuda_pool_backward(ps_stream *s, const ps_pool *p)
{
    pool r = pool_of(p);
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "pool_backward",
                    GPU_LAUNCH(spread, ps_blocks(r.planes * r.h * r.w, THREADS, BLOCKS), THREADS, 0,
                               ps_cuda_queue(s), r, p->kind == PS_POOL_MAX));
}
