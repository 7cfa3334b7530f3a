/* op: the operations of a backend, as layers call them. Each checks shapes, types and bounds once
 * for all backends (a wrong one is our own bug: an assertion), does nothing on a stream that has
 * failed, and enqueues. What each computes, and which types it takes, is said in gpu/ops.h. */
#ifndef PS_GPU_OP_H
#define PS_GPU_OP_H

#include "gpu/ops.h"

/* The full form: leading dimensions, batches. */
void ps_op_gemm(ps_stream *s, const ps_gemm *g);
/* c[m,n] = op(a)·op(b) + beta·c for dense matrices; their shapes say m, n and k. */
void ps_op_matmul(ps_stream *s, ps_tensor c, ps_tensor a, bool transpose_a, ps_tensor b,
                  bool transpose_b, float beta);
void ps_op_bias_add(ps_stream *s, ps_tensor y, ps_tensor bias);
void ps_op_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta);

void ps_op_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x);
void ps_op_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                               ps_tensor x, ps_tensor y);
void ps_op_swiglu(ps_stream *s, ps_tensor y, ps_tensor gate, ps_tensor up);
void ps_op_swiglu_backward(ps_stream *s, ps_tensor dgate, ps_tensor dup, ps_tensor dy,
                           ps_tensor gate, ps_tensor up);
void ps_op_add(ps_stream *s, ps_tensor y, ps_tensor a, ps_tensor b);
void ps_op_dropout(ps_stream *s, const ps_dropout *d);
void ps_op_cast(ps_stream *s, ps_tensor y, ps_tensor x);

void ps_op_cross_entropy(ps_stream *s, const ps_cross_entropy *c);
/* dy: NULL when no gradient is wanted */
void ps_op_squared_error(ps_stream *s, ps_tensor loss, const ps_tensor *dy, ps_tensor y,
                         ps_tensor target);
void ps_op_softmax(ps_stream *s, ps_tensor y, ps_tensor x);
void ps_op_argmax(ps_stream *s, ps_tensor index, ps_tensor x);

void ps_op_embedding(ps_stream *s, ps_tensor y, ps_tensor table, ps_tensor ids, bool add);
void ps_op_embedding_backward(ps_stream *s, ps_tensor dtable, ps_tensor dy, ps_tensor ids);
void ps_op_layernorm(ps_stream *s, const ps_norm *n);
void ps_op_layernorm_backward(ps_stream *s, const ps_norm_backward *n);
void ps_op_rmsnorm(ps_stream *s, const ps_norm *n);
void ps_op_rmsnorm_backward(ps_stream *s, const ps_norm_backward *n);
void ps_op_rope(ps_stream *s, const ps_rope *r);
void ps_op_attention(ps_stream *s, const ps_attention *a);
void ps_op_attention_backward(ps_stream *s, const ps_attention_backward *a);

void ps_op_fill(ps_stream *s, ps_tensor x, float value);
void ps_op_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x);
void ps_op_scale(ps_stream *s, ps_tensor x, float a);
void ps_op_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x, bool add);
void ps_op_clip_norm(ps_stream *s, ps_tensor x, ps_tensor squared_norm, float limit);
void ps_op_all_finite(ps_stream *s, ps_tensor out, ps_tensor x);
void ps_op_adamw(ps_stream *s, const ps_adamw *a);
void ps_op_quantise(ps_stream *s, ps_tensor q, ps_tensor scales, ps_tensor x, int64_t block);
void ps_op_dequantise(ps_stream *s, ps_tensor x, ps_tensor q, ps_tensor scales, int64_t block);

#endif
