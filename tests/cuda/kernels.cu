/* Kernels of every shape that the shim has to run, for test_run.c: also an example of how a .cu
 * file is written, for nvcc and g++ alike. */
#include "gpu/cuda/launch.h"
#include "tests/cuda/kernels.h"

#define WARP 32u

/* y += a · x */
static __global__ void saxpy(float *y, const float *x, float a, size_t n)
{
    size_t i = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] += a * x[i];
}

extern "C" cudaError_t run_saxpy(cudaStream_t s, float *y, const float *x, float a, size_t n)
{
    return GPU_LAUNCH(saxpy, (unsigned)((n + 255) / 256), 256, 0, s, y, x, a, n);
}

static __device__ float warp_sum(float x)
{
    for (int d = 16; d > 0; d /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, d);
    return x;
}

/* The block's sum, for all its threads. */
static __device__ float block_sum(float x)
{
    __shared__ float partial[WARP];
    unsigned warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    x = warp_sum(x);
    __syncthreads();
    if (lane == 0)
        partial[warp] = x;
    __syncthreads();
    x = lane < blockDim.x / WARP ? partial[lane] : 0.0f;
    return warp_sum(x);
}

/* y = (x - mean) / deviation, a row a block */
static __global__ void __launch_bounds__(256)
    layernorm(float *__restrict__ y, const float *__restrict__ x, int columns)
{
    const float *row = x + (size_t)blockIdx.x * columns;
    float *out = y + (size_t)blockIdx.x * columns;
    float sum = 0;
    for (int i = threadIdx.x; i < columns; i += blockDim.x)
        sum += row[i];
    float mean = block_sum(sum) / columns, squares = 0;
    for (int i = threadIdx.x; i < columns; i += blockDim.x)
        squares += (row[i] - mean) * (row[i] - mean);
    float scale = rsqrtf(block_sum(squares) / columns + 1e-5f);
    for (int i = threadIdx.x; i < columns; i += blockDim.x)
        out[i] = (row[i] - mean) * scale;
}

extern "C" cudaError_t run_layernorm(cudaStream_t s, float *y, const float *x, int rows,
                                     int columns)
{
    return GPU_LAUNCH(layernorm, rows, 256, 0, s, y, x, columns);
}

/* y[n] = x the other way round, by dynamic shared memory of n elements */
template <typename T, int Block> static __global__ void reversed(T *y, const T *x, int n)
{
    GPU_DYNSHARED(T, all);
    for (int i = threadIdx.x; i < n; i += Block)
        all[i] = x[i];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += Block)
        y[i] = all[n - 1 - i];
}

extern "C" cudaError_t run_reversed(cudaStream_t s, double *y, const double *x, int n)
{
    return GPU_LAUNCH((reversed<double, 128>), 1, 128, n * sizeof(double), s, y, x, n);
}

static __global__ void nothing(void)
{
}

extern "C" cudaError_t run_shape(cudaStream_t s, unsigned grid, unsigned block, size_t shared)
{
    return GPU_LAUNCH(nothing, grid, block, shared, s);
}

extern "C" cudaError_t allow_shape(int shared)
{
    return cudaFuncSetAttribute(nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, shared);
}
