/* op: the operations of a backend, as layers call them. Each checks shapes, types and bounds once
 * for all backends (a wrong one is our own bug: an assertion), does nothing on a stream that has
 * failed, and enqueues. What each computes is said at its member of ps_backend_ops. */
#ifndef PS_GPU_OP_H
#define PS_GPU_OP_H

#include "gpu/backend.h"

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
/* dlogits, dy: NULL when no gradient is wanted */
void ps_op_cross_entropy(ps_stream *s, ps_tensor loss, ps_tensor correct, const ps_tensor *dlogits,
                         ps_tensor logits, ps_tensor labels);
void ps_op_squared_error(ps_stream *s, ps_tensor loss, const ps_tensor *dy, ps_tensor y,
                         ps_tensor target);
void ps_op_softmax(ps_stream *s, ps_tensor y, ps_tensor x);
void ps_op_argmax(ps_stream *s, ps_tensor index, ps_tensor x);
void ps_op_fill(ps_stream *s, ps_tensor x, float value);
void ps_op_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x);
void ps_op_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x);
void ps_op_all_finite(ps_stream *s, ps_tensor out, ps_tensor x);

#endif
