/* Barriers that are missing. */
#include "gpu/cuda/launch.h"
#include "tests/cuda/planted.h"

template <bool Right> static __global__ void first(float *out, const float *in)
{
    __shared__ float all[PLANTED_N];
    unsigned i = threadIdx.x;
    all[i] = in[i];
    if (Right)
        __syncthreads();
    out[i] = all[PLANTED_N - 1 - i];
}

extern "C" cudaError_t planted_first_barrier(bool right, float *out, const float *in)
{
    return right ? GPU_LAUNCH(first<true>, 1, PLANTED_N, 0, NULL, out, in)
                 : GPU_LAUNCH(first<false>, 1, PLANTED_N, 0, NULL, out, in);
}

template <bool Right> static __global__ void second(float *out, const float *in)
{
    __shared__ float all[PLANTED_N];
    unsigned i = threadIdx.x;
    for (unsigned start = 0; start < 2 * PLANTED_N; start += PLANTED_N) {
        all[i] = in[start + i];
        __syncthreads();
        out[start + i] = all[PLANTED_N - 1 - i];
        if (Right)
            __syncthreads();
    }
}

extern "C" cudaError_t planted_second_barrier(bool right, float *out, const float *in)
{
    return right ? GPU_LAUNCH(second<true>, 1, PLANTED_N, 0, NULL, out, in)
                 : GPU_LAUNCH(second<false>, 1, PLANTED_N, 0, NULL, out, in);
}

template <bool Right> static __global__ void warp(float *out, const float *in)
{
    __shared__ float all[PLANTED_N];
    unsigned i = threadIdx.x;
    all[i] = in[i];
    if (Right)
        __syncwarp();
    out[i] = all[i ^ 31];
}

extern "C" cudaError_t planted_warp_barrier(bool right, float *out, const float *in)
{
    return right ? GPU_LAUNCH(warp<true>, 1, PLANTED_N, 0, NULL, out, in)
                 : GPU_LAUNCH(warp<false>, 1, PLANTED_N, 0, NULL, out, in);
}

template <bool Right> static __global__ void two(float *out, const float *in)
{
    __shared__ float all[PLANTED_N];
    unsigned i = threadIdx.x;
    all[i] = in[i];
    if (Right)
        __syncthreads();
    else if (i < PLANTED_N / 2)
        __syncthreads();
    else
        __syncthreads();
    out[i] = all[PLANTED_N - 1 - i];
}

extern "C" cudaError_t planted_two_barriers(bool right, float *out, const float *in)
{
    return right ? GPU_LAUNCH(two<true>, 1, PLANTED_N, 0, NULL, out, in)
                 : GPU_LAUNCH(two<false>, 1, PLANTED_N, 0, NULL, out, in);
}

template <bool Right> static __global__ void mask(float *out, const float *in)
{
    unsigned i = threadIdx.x;
    if (i % 32 >= 16)
        return;
    out[i] = __shfl_xor_sync(Right ? 0xffffu : 0xffffffffu, in[i], 1);
}

extern "C" cudaError_t planted_mask(bool right, float *out, const float *in)
{
    return right ? GPU_LAUNCH(mask<true>, 1, PLANTED_N, 0, NULL, out, in)
                 : GPU_LAUNCH(mask<false>, 1, PLANTED_N, 0, NULL, out, in);
}
