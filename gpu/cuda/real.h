/* real: numbers of float32 or BF16 as kernels see them: everything is computed in float32, BF16 is
 * only how numbers are kept. What is compiled into every kernel has to stand in a header. */
#ifndef PS_CUDA_REAL_H
#define PS_CUDA_REAL_H

#include "gpu/cuda/launch.h"
#include "gpu/cuda/run.h"

#include <cuda_bf16.h>
#include <stdint.h>

#define PS_CUDA_WARP 32u
#define PS_CUDA_ALL  0xffffffffu /* lanes of a warp */

static __device__ __forceinline__ float ps_float(float x)
{
    return x;
}

static __device__ __forceinline__ float ps_float(__nv_bfloat16 x)
{
    return __bfloat162float(x);
}

static __device__ __forceinline__ void ps_store(float *at, float x)
{
    *at = x;
}

/* To the nearest, ties to even; a NaN stays one. */
static __device__ __forceinline__ void ps_store(__nv_bfloat16 *at, float x)
{
    *at = __float2bfloat16(x);
}

/* f<T>(...) for the tensor's type. */
#define PS_CUDA_CALL(tensor, f, ...) \
    ((tensor).dtype == PS_DTYPE_BF16 ? f<__nv_bfloat16>(__VA_ARGS__) : f<float>(__VA_ARGS__))

template <typename T> static inline T *ps_at(ps_tensor t)
{
    return t.buffer ? static_cast<T *>(ps_tensor_address(t)) : nullptr;
}

/* How many blocks for n elements of which each block does `each` at a time, at most `most`: kernels
 * go on in steps of the grid. */
static inline unsigned ps_blocks(int64_t n, int64_t each, int64_t most)
{
    int64_t blocks = (n + each - 1) / each;
    return (unsigned)(blocks < most ? blocks : most);
}

/* Threads for a row of n elements: a multiple of a warp. */
static inline unsigned ps_row_threads(int64_t n)
{
    return n <= 128 ? 32 : n <= 1024 ? 128 : 256;
}

/* Blocks that take a row each, in steps of the grid. */
#define PS_CUDA_ROW_BLOCKS 4096

#endif
