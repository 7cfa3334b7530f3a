/* reduce: sums and the like over the threads of a block, in one order. All threads of the block
 * call; all get the result. Blocks are whole warps. */
#ifndef PS_CUDA_REDUCE_H
#define PS_CUDA_REDUCE_H

#include "gpu/cuda/real.h"

struct ps_plus {
    template <typename T> __device__ T operator()(T a, T b) const
    {
        return a + b;
    }
};

/* A NaN gives way. */
struct ps_larger {
    __device__ float operator()(float a, float b) const
    {
        return fmaxf(a, b);
    }
};

/* Over each `width` lanes, a power of two; every lane gets it. */
template <typename T, typename F>
static __device__ __forceinline__ T ps_lanes(T x, F f, int width = 32)
{
    for (int d = width / 2; d > 0; d /= 2)
        x = f(x, __shfl_xor_sync(PS_CUDA_ALL, x, d));
    return x;
}

template <typename T, typename F> static __device__ T ps_block(T x, F f)
{
    __shared__ T warps[PS_CUDA_WARP];
    unsigned warp = threadIdx.x / PS_CUDA_WARP, n = blockDim.x / PS_CUDA_WARP;
    x = ps_lanes(x, f);
    if (n == 1)
        return x;
    __syncthreads(); /* the last call's have been read */
    if (threadIdx.x % PS_CUDA_WARP == 0)
        warps[warp] = x;
    __syncthreads();
    x = warps[0];
    for (unsigned i = 1; i < n; i++)
        x = f(x, warps[i]);
    return x;
}

template <typename T> static __device__ __forceinline__ T ps_block_sum(T x)
{
    return ps_block(x, ps_plus());
}

#endif
