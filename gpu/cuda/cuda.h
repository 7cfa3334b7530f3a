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

/* The operations of ps_backend_ops, one file a family. */
void ps_cuda_gemm(ps_stream *s, const ps_gemm *g);
void ps_cuda_bias_add(ps_stream *s, ps_tensor y, ps_tensor bias);
void ps_cuda_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta);
void ps_cuda_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x);
void ps_cuda_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                                 ps_tensor x, ps_tensor y);
void ps_cuda_swiglu(ps_stream *s, ps_tensor y, ps_tensor gate, ps_tensor up);
void ps_cuda_swiglu_backward(ps_stream *s, ps_tensor dgate, ps_tensor dup, ps_tensor dy,
                             ps_tensor gate, ps_tensor up);
void ps_cuda_cross_entropy(ps_stream *s, const ps_cross_entropy *c);
void ps_cuda_squared_error(ps_stream *s, ps_tensor loss, ps_tensor dy, ps_tensor y,
                           ps_tensor target);
void ps_cuda_softmax(ps_stream *s, ps_tensor y, ps_tensor x);
void ps_cuda_argmax(ps_stream *s, ps_tensor index, ps_tensor x);
void ps_cuda_embedding(ps_stream *s, ps_tensor y, ps_tensor table, ps_tensor ids, bool add);
void ps_cuda_embedding_backward(ps_stream *s, ps_tensor dtable, ps_tensor dy, ps_tensor ids);
void ps_cuda_layernorm(ps_stream *s, const ps_norm *n);
void ps_cuda_layernorm_backward(ps_stream *s, const ps_norm_backward *n);
void ps_cuda_rmsnorm(ps_stream *s, const ps_norm *n);
void ps_cuda_rmsnorm_backward(ps_stream *s, const ps_norm_backward *n);
void ps_cuda_rope(ps_stream *s, const ps_rope *r);
void ps_cuda_attention(ps_stream *s, const ps_attention *a);
void ps_cuda_attention_backward(ps_stream *s, const ps_attention_backward *b);
void ps_cuda_add(ps_stream *s, ps_tensor y, ps_tensor a, ps_tensor b);
void ps_cuda_dropout(ps_stream *s, const ps_dropout *d);
void ps_cuda_fill(ps_stream *s, ps_tensor x, float value);
void ps_cuda_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x);
void ps_cuda_scale(ps_stream *s, ps_tensor x, float a);
void ps_cuda_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x, bool add);
void ps_cuda_clip_norm(ps_stream *s, ps_tensor x, ps_tensor squared_norm, float limit);
void ps_cuda_all_finite(ps_stream *s, ps_tensor out, ps_tensor x);
void ps_cuda_adamw(ps_stream *s, const ps_adamw *a);
void ps_cuda_cast(ps_stream *s, ps_tensor y, ps_tensor x);
void ps_cuda_quantise(ps_stream *s, ps_tensor q, ps_tensor scales, ps_tensor x, int64_t block);
void ps_cuda_dequantise(ps_stream *s, ps_tensor x, ps_tensor q, ps_tensor scales, int64_t block);

#ifdef __cplusplus
}
#endif

#endif
