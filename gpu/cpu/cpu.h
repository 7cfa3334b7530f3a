/* cpu: the backend that is always there: products by OpenBLAS or by kernels of our own (panels.h,
 * few.h), loops that compilers turn into vector code for the rest. Operations are done when they
 * return; the backend's threads (gpu/cpu/threads.h) help the caller's. Nothing allocates after a
 * buffer or stream was made, but for a stream's scratch memory, which grows to the largest size
 * asked for. */
#ifndef PS_CPU_CPU_H
#define PS_CPU_CPU_H

#include "gpu/ops.h"

/* The row "cpu". Fails for options out of range (PS_INVALID_ARGUMENT) and where there is no
 * OpenBLAS that computes right (PS_UNAVAILABLE). */
PS_MUST_CHECK ps_status ps_cpu_open(const ps_backend_options *options, ps_backend **out);

/* The operations, ps_cpu_gemm and so on, one file a family. */
#define X(name) ps_##name##_fn ps_cpu_##name;
PS_OPERATIONS(X)
#undef X

/* Of n numbers, in float64. Any thread. */
double ps_cpu_sum_of_squares(const float *x, int64_t n);

#endif
