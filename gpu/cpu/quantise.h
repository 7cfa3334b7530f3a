/* quantise: a block of numbers as bytes with one scale, as ps_quantise_fn has it, and back. */
#ifndef PS_CPU_QUANTISE_H
#define PS_CPU_QUANTISE_H

#include "common/base/bits.h"
#include "gpu/cpu/vector.h"

#include <stdint.h>
#include <string.h>

/* The bits of |x| rise with it, and those of an infinity and of NaNs are above all others: a block
 * that has one gets a scale that is none either. */
static inline __attribute__((always_inline)) float ps_cpu_largest(const float *x, int64_t n)
{
    uint32_t most = 0;
    PS_SIMD_MAX(most)
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = ps_bits_of_float(x[i]) & 0x7FFFFFFFu;
        most = bits > most ? bits : most;
    }
    return ps_float_of_bits(most);
}

/* ps_cpu_block_to_bytes for a caller that is PS_VECTOR and may know n. Adding 1.5·2^23 rounds to
 * the nearest integer, ties to even, and leaves it in the low bits. A scale among the smallest
 * numbers is imprecise, hence the limits. */
static inline __attribute__((always_inline)) float
ps_cpu_to_bytes(int8_t *restrict q, const float *restrict x, int64_t n)
{
    float scale = ps_cpu_largest(x, n) / 127.0f;
    if (scale == 0) {
        memset(q, 0, (size_t)n);
        return scale;
    }
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float v = x[i] / scale;
        v = v > 127.0f ? 127.0f : v;
        v = v < -127.0f ? -127.0f : v;
        q[i] = (int8_t)(uint8_t)ps_bits_of_float(v + 12582912.0f);
    }
    return scale;
}

/* q[n] = x[n] / the scale that is returned; no overlap */
float ps_cpu_block_to_bytes(int8_t *q, const float *x, int64_t n);
/* x[n] = q[n] · scale */
void ps_cpu_block_from_bytes(float *x, const int8_t *q, float scale, int64_t n);

#endif
