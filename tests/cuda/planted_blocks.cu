/* Blocks that rely on an order among them, and a kernel that is launched where it should not be. */
#include "gpu/cuda/launch.h"
#include "tests/cuda/planted.h"

template <bool Right> static __global__ void sum(float *out, const float *in)
{
    if (Right)
        atomicAdd(out, in[blockIdx.x]);
    else
        *out += in[blockIdx.x];
}

extern "C" cudaError_t planted_blocks(bool right, float *out, const float *in)
{
    return right ? GPU_LAUNCH(sum<true>, PLANTED_N, 1, 0, NULL, out, in)
                 : GPU_LAUNCH(sum<false>, PLANTED_N, 1, 0, NULL, out, in);
}

template <bool Right>
static __global__ void last(float *out, float *partial, unsigned *count, const float *in)
{
    partial[blockIdx.x] = in[blockIdx.x];
    if (Right)
        __threadfence();
    if (atomicInc(count, gridDim.x - 1) != gridDim.x - 1)
        return;
    float all = 0;
    for (unsigned i = 0; i < gridDim.x; i++)
        all += partial[i];
    *out = all;
}

extern "C" cudaError_t planted_fence(bool right, float *out, float *partial, unsigned *count,
                                     const float *in)
{
    return right ? GPU_LAUNCH(last<true>, PLANTED_N, 1, 0, NULL, out, partial, count, in)
                 : GPU_LAUNCH(last<false>, PLANTED_N, 1, 0, NULL, out, partial, count, in);
}

static __global__ void copy(float *out, const float *in)
{
    out[threadIdx.x] = in[threadIdx.x];
}

extern "C" cudaError_t planted_copy(float *out, const float *in, cudaStream_t s)
{
    return GPU_LAUNCH(copy, 1, PLANTED_N, 0, s, out, in);
}
