/* gemm_few: products of few rows, as a model has them that writes one token after the other: bound
 * by reading B once (gpu/cpu/few.h). */
#ifndef PS_CPU_GEMM_FEW_H
#define PS_CPU_GEMM_FEW_H

#include "gpu/ops.h"

/* Is g of that kind? Then ps_cpu_gemm_few does it. */
bool ps_cpu_gemm_is_few(const ps_gemm *g);
void ps_cpu_gemm_few(ps_stream *s, const ps_gemm *g);

#endif
