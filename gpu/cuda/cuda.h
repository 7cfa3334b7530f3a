/* cuda: the backend of NVIDIA's GPUs, a plugin: cuBLAS for products, one .cu a family of operations
 * for the rest. It links to no part of the program that loads it: what it needs of it, above all
 * where errors go, comes as a ps_plugin_host.
 *
 * All memory that an operation needs belongs to its stream and is there from the start, so no
 * operation allocates. Results are the same from run to run: every sum has one order. Of the GPUs
 * of one node, each is a backend of its own. For C and C++. */
#ifndef PS_CUDA_CUDA_H
#define PS_CUDA_CUDA_H

#ifdef __cplusplus
extern "C" {
#endif

#include "gpu/backends/plugin.h"
#include "gpu/ops.h"

/* The row "cuda". PS_UNAVAILABLE: no GPU of this number, or one too old. */
PS_MUST_CHECK ps_status ps_cuda_device_open(const ps_plugin_host *host,
                                            const ps_backend_options *options, ps_backend **out);

/* What the library exports. */
const ps_backend_plugin_entry *ps_backend_plugin(void);

/* Memory, streams and events: memory.c and stream.c. */
ps_status ps_cuda_buffer_new(ps_backend *b, size_t bytes, ps_buffer **out);
void ps_cuda_buffer_free(ps_backend *b, ps_buffer *buffer);
ps_status ps_cuda_host_new(ps_backend *b, size_t bytes, void **out);
void ps_cuda_host_free(ps_backend *b, void *memory);
void ps_cuda_copy_to_device(ps_stream *s, ps_tensor dst, const void *src, size_t bytes);
ps_status ps_cuda_copy_to_host(ps_stream *s, void *dst, ps_tensor src, size_t bytes);
void ps_cuda_copy_to_host_async(ps_stream *s, void *dst, ps_tensor src, size_t bytes);
void ps_cuda_copy(ps_stream *s, ps_tensor dst, ps_tensor src, size_t bytes);
ps_status ps_cuda_stream_new(ps_backend *b, ps_stream **out);
ps_status ps_cuda_stream_new_copies(ps_backend *b, ps_stream **out);
void ps_cuda_stream_free(ps_stream *s);
ps_status ps_cuda_stream_sync(ps_stream *s);
ps_status ps_cuda_event_new(ps_backend *b, ps_event **out);
void ps_cuda_event_free(ps_backend *b, ps_event *e);
void ps_cuda_event_record(ps_stream *s, ps_event *e);
void ps_cuda_event_wait(ps_stream *s, ps_event *e);
ps_status ps_cuda_event_sync(ps_backend *b, ps_event *e);

/* The operations, ps_cuda_gemm and so on, one file a family. */
#define X(name) ps_##name##_fn ps_cuda_##name;
PS_OPERATIONS(X)
#undef X

#ifdef __cplusplus
}
#endif

#endif
