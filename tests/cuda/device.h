/* device: what a .cu file sees under g++ instead of nvcc's own words. Included before the file, so
 * that the toolkit's headers are there when threadIdx and the rest become macros.
 *
 * Everything here is the device side; the host side needs nothing but the toolkit's headers, whose
 * functions the shim defines. Templates and one-liners have to stand in a header.
 */
#ifndef PS_TEST_CUDA_DEVICE_H
#define PS_TEST_CUDA_DEVICE_H

#define PS_CUDA_SHIM 1

#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <string.h>
#include <tuple>

#include "tests/cuda/device_atomic.h"
#include "tests/cuda/device_math.h"
#include "tests/cuda/device_warp.h"

#undef __launch_bounds__
#define __launch_bounds__(...)
#undef __shared__
#define __shared__ static __thread /* why: shared.cc */

/* Where the running thread stands. */
extern uint3 *ps_shim_thread_index;
extern uint3 ps_shim_block_index;
extern dim3 ps_shim_block_dim, ps_shim_grid_dim;
#define threadIdx (*ps_shim_thread_index)
#define blockIdx  ps_shim_block_index
#define blockDim  ps_shim_block_dim
#define gridDim   ps_shim_grid_dim

void *ps_shim_dynamic_shared(void);

/* A launch: its arguments are copied now, as hardware does, and the grid runs when something waits
 * for the stream. Owns arguments. */
typedef struct ps_shim_launch {
    const char *name;
    const void *kernel;
    dim3 grid, block;
    size_t shared;
    void (*call)(const void *arguments); /* one thread's turn */
    void (*destroy)(void *arguments);
    void *arguments;
    size_t arguments_size;
} ps_shim_launch;
cudaError_t ps_shim_launch_enqueue(const ps_shim_launch *launch, cudaStream_t stream);

template <typename... P> struct ps_shim_arguments {
    void (*kernel)(P...);
    std::tuple<P...> values;
};

template <typename... P> void ps_shim_call(const void *arguments)
{
    auto *a = static_cast<const ps_shim_arguments<P...> *>(arguments);
    std::apply(a->kernel, a->values);
}

template <typename... P> void ps_shim_destroy(void *arguments)
{
    delete static_cast<ps_shim_arguments<P...> *>(arguments);
}

/* Keeps an argument out of deduction: it is converted to the kernel's parameter. */
template <typename T> struct ps_shim_same {
    typedef T type;
};

template <typename... P>
__attribute__((warn_unused_result)) cudaError_t
ps_shim_launch_kernel(const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared,
                      cudaStream_t stream, typename ps_shim_same<P>::type... arguments)
{
    typedef ps_shim_arguments<P...> copy;
    ps_shim_launch launch = {name,
                             reinterpret_cast<const void *>(kernel),
                             grid,
                             block,
                             shared,
                             ps_shim_call<P...>,
                             ps_shim_destroy<P...>,
                             new copy{kernel, std::tuple<P...>(arguments...)},
                             sizeof(copy)};
    return ps_shim_launch_enqueue(&launch, stream);
}

/* The toolkit's own conveniences, which it has for nvcc alone. */
template <typename T>
static inline cudaError_t cudaFuncSetAttribute(T *kernel, cudaFuncAttribute attribute, int value)
{
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attribute, value);
}

template <typename T>
static inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *out, T *kernel)
{
    return cudaFuncGetAttributes(out, reinterpret_cast<const void *>(kernel));
}

template <typename T>
static inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, T *kernel,
                                                                        int threads, size_t shared)
{
    return cudaOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks, reinterpret_cast<const void *>(kernel), threads, shared);
}

#endif
