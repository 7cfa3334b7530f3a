/* Reads and writes past an end, and of what was never written. */
#include "gpu/cuda/launch.h"
#include "tests/cuda/planted.h"

template <bool Right> static __global__ void beyond(float *out, int n)
{
    int i = threadIdx.x;
    if (i < n || (!Right && i == n))
        out[i] = 1;
}

extern "C" cudaError_t planted_out_of_bounds(bool right, float *out, int n)
{
    return right ? GPU_LAUNCH(beyond<true>, 1, 128, 0, NULL, out, n)
                 : GPU_LAUNCH(beyond<false>, 1, 128, 0, NULL, out, n);
}

template <bool Right> static __global__ void read_beyond(float *out, const float *in, int n)
{
    out[threadIdx.x] = in[Right ? n - 1 : n];
}

extern "C" cudaError_t planted_read_out_of_bounds(bool right, float *out, const float *in, int n)
{
    return right ? GPU_LAUNCH(read_beyond<true>, 1, PLANTED_N, 0, NULL, out, in, n)
                 : GPU_LAUNCH(read_beyond<false>, 1, PLANTED_N, 0, NULL, out, in, n);
}

template <bool Right> static __global__ void dynamic_beyond(float *out)
{
    GPU_DYNSHARED(float, all);
    unsigned i = threadIdx.x;
    all[Right ? i : i + 1] = 1;
    __syncthreads();
    out[i] = all[PLANTED_N - 1];
}

extern "C" cudaError_t planted_dynamic_out_of_bounds(bool right, float *out)
{
    size_t bytes = PLANTED_N * sizeof(float);
    return right ? GPU_LAUNCH(dynamic_beyond<true>, 1, PLANTED_N, bytes, NULL, out)
                 : GPU_LAUNCH(dynamic_beyond<false>, 1, PLANTED_N, bytes, NULL, out);
}

static __global__ void static_beyond(float *out, int index)
{
    __shared__ float all[PLANTED_N];
    all[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = all[index];
}

extern "C" cudaError_t planted_static_out_of_bounds(bool right, float *out, int index)
{
    return GPU_LAUNCH(static_beyond, 1, PLANTED_N, 0, NULL, out, right ? index - 1 : index);
}

template <bool Right> static __global__ void uninitialised(float *out, const float *in)
{
    __shared__ float all[PLANTED_N];
    unsigned i = threadIdx.x;
    if (Right || i < PLANTED_N - 1)
        all[i] = in[i];
    __syncthreads();
    float sum = 0;
    for (unsigned j = 0; j < PLANTED_N; j++)
        sum += all[j];
    out[i] = sum;
}

extern "C" cudaError_t planted_uninitialised(bool right, float *out, const float *in)
{
    return right ? GPU_LAUNCH(uninitialised<true>, 1, PLANTED_N, 0, NULL, out, in)
                 : GPU_LAUNCH(uninitialised<false>, 1, PLANTED_N, 0, NULL, out, in);
}

static __global__ void vectors(float4 *out, const float *in)
{
    out[threadIdx.x] = *reinterpret_cast<const float4 *>(in + 4 * threadIdx.x);
}

extern "C" cudaError_t planted_alignment(bool right, float *out, const float *in)
{
    return GPU_LAUNCH(vectors, 1, PLANTED_N / 4, 0, NULL, reinterpret_cast<float4 *>(out),
                      right ? in : in + 1);
}
