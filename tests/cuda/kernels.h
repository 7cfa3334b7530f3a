/* kernels: what kernels.cu offers to test_run.c. */
#ifndef PS_TEST_CUDA_KERNELS_H
#define PS_TEST_CUDA_KERNELS_H

#include <cuda_runtime_api.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

cudaError_t run_saxpy(cudaStream_t s, float *y, const float *x, float a, size_t n);
cudaError_t run_layernorm(cudaStream_t s, float *y, const float *x, int rows, int columns);
cudaError_t run_reversed(cudaStream_t s, double *y, const double *x, int n);
/* A kernel that does nothing, of any shape; how much dynamic shared memory it may have. */
cudaError_t run_shape(cudaStream_t s, unsigned grid, unsigned block, size_t shared);
cudaError_t allow_shape(int shared);

#ifdef __cplusplus
}
#endif

#endif
