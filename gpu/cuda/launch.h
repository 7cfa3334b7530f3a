/* launch: what is written differently under the two compilers of a .cu file.
 *
 * nvcc makes the product. g++ makes the tests on a machine without a GPU: tests/cuda has a shim
 * whose device.h defines PS_CUDA_SHIM and is included before the file.
 *
 *   GPU_LAUNCH(kernel, grid, block, smem, stream, arguments...)
 *     kernel<<<grid, block, smem, stream>>>(arguments...), and then what the launch came to: a
 *     cudaError_t that must be looked at, since an unchecked launch that was refused leaves wrong
 *     results without a word. smem: bytes of dynamic shared memory. A kernel whose name has a comma
 *     stands in brackets: GPU_LAUNCH((rows<float, 4>), ...).
 *
 *   GPU_DYNSHARED(type, name);
 *     in a kernel: type *name, the block's dynamic shared memory, 16-byte aligned.
 *
 * Kernels, and functions with __shared__ in them, are static (or in an anonymous namespace).
 */
#ifndef PS_CUDA_LAUNCH_H
#define PS_CUDA_LAUNCH_H

#include <cuda_runtime.h>

#ifdef PS_CUDA_SHIM
#define GPU_LAUNCH(kernel, grid, block, smem, stream, ...) \
    ps_shim_launch_kernel(#kernel, kernel, grid, block, smem, stream, ##__VA_ARGS__)
#define GPU_DYNSHARED(type, name) type *name = reinterpret_cast<type *>(ps_shim_dynamic_shared())
#else
/* The formatter does not know <<< in a header. */
/* clang-format off */
#define GPU_LAUNCH(kernel, grid, block, smem, stream, ...) \
    ((kernel)<<<(grid), (block), (smem), (stream)>>>(__VA_ARGS__), cudaGetLastError())
/* clang-format on */
#define GPU_DYNSHARED(type, name)                                      \
    extern __shared__ __align__(16) unsigned char ps_dynamic_shared[]; \
    type *name = reinterpret_cast<type *>(ps_dynamic_shared)
#endif

#endif
