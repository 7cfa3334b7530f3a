/* op: the operations of a backend, as layers call them. Each checks shapes, types and bounds once
 * for all backends (a wrong one is our own bug: an assertion), does nothing on a stream that has
 * failed, and enqueues. What each computes, and which types it takes, is said in gpu/ops.h. */
#ifndef PS_GPU_OP_H
#define PS_GPU_OP_H

#include "gpu/ops.h"

/* ps_op_gemm, ps_op_bias_add and so on: one for each operation, with its arguments. */
#define X(name) ps_##name##_fn ps_op_##name;
PS_OPERATIONS(X)
#undef X

/* c[m,n] = op(a)·op(b) + beta·c for dense matrices; their shapes say m, n and k. */
void ps_op_matmul(ps_stream *s, ps_tensor c, ps_tensor a, bool transpose_a, ps_tensor b,
                  bool transpose_b, float beta);

#endif
