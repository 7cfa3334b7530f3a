/* run: what the operations of CUDA stand on: the stream's own queue and memory, and what becomes of
 * an error. For C and C++.
 *
 *     if (ps_cuda_begin(s))
 *         ps_cuda_end(s, "fill", GPU_LAUNCH(fill, ..., ps_cuda_queue(s), ...));
 */
#ifndef PS_CUDA_RUN_H
#define PS_CUDA_RUN_H

#include "gpu/cuda/cuda.h"

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Device memory that operations of a stream work in, one after the other: sums of parts. */
#define PS_CUDA_SCRATCH ((size_t)4 << 20)

typedef struct ps_cuda_backend {
    ps_backend base;
    int device;
    bool tf32;
    size_t workspace; /* bytes that cuBLAS works in, a stream */
} ps_cuda_backend;

typedef struct ps_cuda_stream {
    ps_stream base;
    cudaStream_t queue;
    cublasHandle_t blas;
    void *workspace; /* cuBLAS's */
    void *scratch;   /* [PS_CUDA_SCRATCH] */
} ps_cuda_stream;

/* Where failures are told; before anything else. */
void ps_cuda_error_open(const ps_plugin_host *host);

/* ps_fail of the program. */
PS_MUST_CHECK ps_status ps_cuda_fail(ps_status code, const char *format, ...) PS_PRINTF(2, 3);
/* PS_OK, or "cuda: fill: cudaErrorLaunchFailure: unspecified launch failure". The runtime's own
 * last error is taken back, so that the next launch does not answer for it. */
PS_MUST_CHECK ps_status ps_cuda_status(cudaError_t code, const char *what);
PS_MUST_CHECK ps_status ps_cuda_blas_status(cublasStatus_t code, const char *what);
/* ps_stream_fail of the program; nothing for PS_OK. */
void ps_cuda_stream_fail(ps_stream *s, ps_status code);

/* Makes the backend's device the one that this thread's calls go to. */
PS_MUST_CHECK ps_status ps_cuda_use(const ps_backend *b);
void ps_cuda_use_to_free(const ps_backend *b); /* what is freed is freed, whatever it says */

/* Every operation begins and each of its calls ends so. False: the stream has failed. */
PS_MUST_CHECK bool ps_cuda_begin(ps_stream *s);
bool ps_cuda_end(ps_stream *s, const char *what, cudaError_t code);

cudaStream_t ps_cuda_queue(const ps_stream *s);
void *ps_cuda_scratch(const ps_stream *s);

#ifdef __cplusplus
}
#endif

#endif
