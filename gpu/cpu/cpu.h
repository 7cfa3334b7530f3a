/* cpu: the backend that is always there: OpenBLAS for matrices, loops that compilers turn into
 * vector code for the rest. Operations run in the caller's thread and are done when they return;
 * OpenBLAS adds threads of its own. Nothing allocates after a buffer or stream was made.
 *
 * The number of OpenBLAS's threads belongs to the process: the backend opened last sets it. */
#ifndef PS_CPU_CPU_H
#define PS_CPU_CPU_H

#include "gpu/ops.h"

/* The row "cpu". Cannot fail but for options out of range (PS_INVALID_ARGUMENT). */
PS_MUST_CHECK ps_status ps_cpu_open(const ps_backend_options *options, ps_backend **out);

/* The operations of ps_backend_ops, one file a family. */
void ps_cpu_gemm(ps_stream *s, const ps_gemm *g);
void ps_cpu_set_threads(int threads);
void ps_cpu_bias_add(ps_stream *s, ps_tensor y, ps_tensor bias);
void ps_cpu_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta);
void ps_cpu_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x);
void ps_cpu_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                                ps_tensor x, ps_tensor y);
void ps_cpu_cross_entropy(ps_stream *s, const ps_cross_entropy *c);
void ps_cpu_squared_error(ps_stream *s, ps_tensor loss, ps_tensor dy, ps_tensor y,
                          ps_tensor target);
void ps_cpu_softmax(ps_stream *s, ps_tensor y, ps_tensor x);
void ps_cpu_argmax(ps_stream *s, ps_tensor index, ps_tensor x);
void ps_cpu_fill(ps_stream *s, ps_tensor x, float value);
void ps_cpu_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x);
void ps_cpu_squared_norm(ps_stream *s, ps_tensor out, ps_tensor x, bool add);
void ps_cpu_all_finite(ps_stream *s, ps_tensor out, ps_tensor x);

#endif
