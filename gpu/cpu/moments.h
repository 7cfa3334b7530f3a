/* moments: what operations that normalise or sum up have in common: mean and spread of a run of
 * numbers, and gradients whose sums were made in pieces. Private to gpu/cpu. Any thread.
 */
#ifndef PS_CPU_MOMENTS_H
#define PS_CPU_MOMENTS_H

#include <stddef.h>
#include <stdint.h>

typedef struct ps_cpu_moments {
    float mean, rstd; /* rstd = 1 / sqrt(variance + epsilon) */
} ps_cpu_moments;

/* Of x[n], n >= 1, in two passes. */
ps_cpu_moments ps_cpu_moments_of(const float *x, int64_t n, float epsilon);

/* d[n] = beta * d + the pieces' sums, one after the other, which lie `step` floats apart; with beta
 * 0 d is not read. */
void ps_cpu_add_pieces(float *restrict d, float beta, const float *restrict sums, size_t step,
                       int64_t pieces, int64_t n);

#endif
