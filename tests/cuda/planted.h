/* planted: kernels with a bug in them, each with a twin (right) that differs only in what the bug
 * lacks. Arrays are of PLANTED_N floats in device memory unless said. */
#ifndef PS_TEST_CUDA_PLANTED_H
#define PS_TEST_CUDA_PLANTED_H

#include <cuda_runtime_api.h>
#include <stdbool.h>

#define PLANTED_N 64 /* one block */

#ifdef __cplusplus
extern "C" {
#endif

/* out = in backwards, through shared memory, without the barrier between writing and reading it */
cudaError_t planted_first_barrier(bool right, float *out, const float *in);
/* out[2·N] = both halves of in[2·N] backwards, without the barrier before shared memory is used
 * again
 */
cudaError_t planted_second_barrier(bool right, float *out, const float *in);
/* the lanes of a warp exchange through shared memory, without __syncwarp */
cudaError_t planted_warp_barrier(bool right, float *out, const float *in);

/* out[0 .. n] written, where n elements are */
cudaError_t planted_out_of_bounds(bool right, float *out, int n);
/* reads in[n], where n elements are */
cudaError_t planted_read_out_of_bounds(bool right, float *out, const float *in, int n);
/* the same of dynamic shared memory, and of a static array */
cudaError_t planted_dynamic_out_of_bounds(bool right, float *out);
cudaError_t planted_static_out_of_bounds(bool right, float *out, int index);

/* out[0] = sum of in over 64 blocks of one thread each, by += instead of an atomic */
cudaError_t planted_blocks(bool right, float *out, const float *in);
/* out[0] = sum of in, added up by the block that finishes last, without __threadfence; partial[N],
 * count[1] = 0 */
cudaError_t planted_fence(bool right, float *out, float *partial, unsigned *count, const float *in);

/* sums shared memory of which the last element was never written */
cudaError_t planted_uninitialised(bool right, float *out, const float *in);

/* out = in[N + 1], four at once, from in + 1 */
cudaError_t planted_alignment(bool right, float *out, const float *in);

/* halves of a block wait at barriers on two lines */
cudaError_t planted_two_barriers(bool right, float *out, const float *in);
/* half of a warp shuffles under the whole warp's mask; the other half has ended */
cudaError_t planted_mask(bool right, float *out, const float *in);

/* out = in */
cudaError_t planted_copy(float *out, const float *in, cudaStream_t s);

#ifdef __cplusplus
}
#endif

#endif
