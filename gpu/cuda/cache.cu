/* Rows of keys or values into a cache: a warp takes a head's numbers of one row, in steps of the
 * grid. */
#include "gpu/cuda/bytes.h"

namespace
{
enum { THREADS = 128, WARPS = THREADS / 32, BLOCKS = 4096 };

struct rows {
    int64_t units, blocks, block, ld_x; /* units: of all rows; blocks: of one */
};

__device__ int64_t first_unit(void)
{
    return (int64_t)blockIdx.x * WARPS + threadIdx.x / PS_CUDA_WARP;
}

template <typename X> __device__ const X *unit_of(const X *x, const rows &r, int64_t unit)
{
    return x + unit / r.blocks * r.ld_x + unit % r.blocks * r.block;
}

template <typename Y, typename X>
__global__ void __launch_bounds__(THREADS) keep(Y *y, const X *x, rows r)
{
    for (int64_t unit = first_unit(); unit < r.units; unit += (int64_t)gridDim.x * WARPS) {
        const X *from = unit_of(x, r, unit);
        for (int64_t i = threadIdx.x % PS_CUDA_WARP; i < r.block; i += PS_CUDA_WARP)
            ps_store(y + unit * r.block + i, ps_float(from[i]));
    }
}

__global__ void __launch_bounds__(THREADS)
    keep_bytes(int8_t *y, float *scales, const float *x, rows r)
{
    for (int64_t unit = first_unit(); unit < r.units; unit += (int64_t)gridDim.x * WARPS)
        ps_block_to_bytes(y + unit * r.block, scales + unit, unit_of(x, r, unit), r.block);
}

template <typename Y, typename X> void launch(ps_stream *s, const ps_cache_rows *c, const rows &r)
{
    ps_cuda_end(s, "cache_rows",
                GPU_LAUNCH((keep<Y, X>), ps_blocks(r.units, WARPS, BLOCKS), THREADS, 0,
                           ps_cuda_queue(s), ps_at<Y>(c->y), ps_at<X>(c->x), r));
}
} // namespace

void ps_cuda_cache_rows(ps_stream *s, const ps_cache_rows *c)
{
    int64_t blocks = c->columns / c->block;
    rows r = {c->rows * blocks, blocks, c->block, c->ld_x};
    if (!ps_cuda_begin(s))
        return;
    if (c->x.dtype == PS_DTYPE_BF16)
        launch<__nv_bfloat16, __nv_bfloat16>(s, c, r);
    else if (c->y.dtype == PS_DTYPE_F32)
        launch<float, float>(s, c, r);
    else if (c->y.dtype == PS_DTYPE_BF16)
        launch<__nv_bfloat16, float>(s, c, r);
    else
        ps_cuda_end(s, "cache_rows",
                    GPU_LAUNCH(keep_bytes, ps_blocks(r.units, WARPS, BLOCKS), THREADS, 0,
                               ps_cuda_queue(s), ps_at<int8_t>(c->y), ps_at<float>(c->scales),
                               ps_at<float>(c->x), r));
}
