/* quantise: a block of numbers as bytes with one scale, as ps_quantise_fn has it, and back. */
#ifndef PS_CPU_QUANTISE_H
#define PS_CPU_QUANTISE_H

#include <stdint.h>

/* q[n] = x[n] / the scale that is returned; no overlap */
float ps_cpu_block_to_bytes(int8_t *q, const float *x, int64_t n);
/* x[n] = q[n] · scale */
void ps_cpu_block_from_bytes(float *x, const int8_t *q, float scale, int64_t n);

#endif
