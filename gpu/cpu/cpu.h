/* cpu: the backend that is always there: OpenBLAS for matrices, loops that compilers turn into
 * vector code for the rest. Operations are done when they return; the backend's threads
 * (gpu/cpu/threads.h) help the caller's. Nothing allocates after a buffer or stream was made, but
 * for a stream's scratch memory, which grows to the largest size asked for. */
#ifndef PS_CPU_CPU_H
#define PS_CPU_CPU_H

#include "gpu/ops.h"

/* The row "cpu". Fails for options out of range (PS_INVALID_ARGUMENT) and where there is no
 * OpenBLAS that computes right (PS_UNAVAILABLE). */
PS_MUST_CHECK ps_status ps_cpu_open(const ps_backend_options *options, ps_backend **out);

/* The operations of ps_backend_ops, one file a family. */
void ps_cpu_gemm(ps_stream *s, const ps_gemm *g);
void ps_cpu_bias_add(ps_stream *s, ps_tensor y, ps_tensor bias);
void ps_cpu_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta);
void ps_cpu_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x);
void ps_cpu_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                                ps_tensor x, ps_tensor y);
void ps_cpu_swiglu(ps_stream *s, ps_tensor y, ps_tensor gate, ps_tensor up);
void ps_cpu_swiglu_backward(ps_stream *s, ps_tensor dgate, ps_tensor dup, ps_tensor dy,
                            ps_tensor gate, ps_tensor up);
void ps_cpu_cross_entropy(ps_stream *s, const ps_cross_entropy *c);
void ps_cpu_squared_error(ps_stream *s, ps_tensor loss, ps_tensor dy, ps_tensor y,
                          ps_tensor target);
void ps_cpu_softmax(ps_stream *s, ps_tensor y, ps_tensor x);
void ps_cpu_argmax(ps_stream *s, ps_tensor index, ps_tensor x);
void ps_cpu_embedding(ps_stream *s, ps_tensor y, ps_tensor table, ps_tensor ids, bool add);
void ps_cpu_embedding_backward(ps_stream *s, ps_tensor dtable, ps_tensor dy, ps_tensor ids);
void ps_cpu_layernorm(ps_stream *s, const ps_norm *n);
void ps_cpu_layernorm_backward(ps_stream *s, const ps_norm_backward *n);
void ps_cpu_rmsnorm(ps_stream *s, const ps_norm *n);
void ps_cpu_rmsnorm_backward(ps_stream *s, const ps_norm_backward *n);
void ps_cpu_rope(ps_stream *s, const ps_rope *r);
void ps_cpu_attention(ps_stream *s, const ps_attention *a);
void ps_cpu_attention_backward(ps_stream *s, const ps_attention_backward *b);
void ps_cpu_add(ps_stream *s, ps_tensor y, ps_tensor a, ps_tensor b);
void ps_cpu_dropout(ps_stream *s, const ps_dropout *d);
void ps_cpu_fill(ps_stream *s, ps_tensor x, float value);
void ps_cpu_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x);
void ps_cpu_scale(ps_stream *s, ps_tensor x, float a);
void ps_cpu_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x, bool add);
void ps_cpu_clip_norm(ps_stream *s, ps_tensor x, ps_tensor squared_norm, float limit);
void ps_cpu_all_finite(ps_stream *s, ps_tensor out, ps_tensor x);
void ps_cpu_adamw(ps_stream *s, const ps_adamw *a);
void ps_cpu_cast(ps_stream *s, ps_tensor y, ps_tensor x);
void ps_cpu_quantise(ps_stream *s, ps_tensor q, ps_tensor scales, ps_tensor x, int64_t block);
void ps_cpu_dequantise(ps_stream *s, ps_tensor x, ps_tensor q, ps_tensor scales, int64_t block);

#endif
