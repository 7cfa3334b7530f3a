/* pool_kernels: the largest of windows of 2 × 2, side by side, and the way back, by kernels of our
 * own for processors with AVX-512: rows of images are short, which loops that a compiler makes of
 * them are not good at. */
#ifndef PS_CPU_POOL_KERNELS_H
#define PS_CPU_POOL_KERNELS_H

#include "gpu/cpu/kernels.h"

#include <stdint.h>

typedef struct ps_pool_kernels {
    /* y[n] and index[n] of the windows that two rows of x begin with, 2·n numbers of each; as
     * ps_pool says */
    void (*largest)(const float *x, const float *below, float *y, uint8_t *index, int64_t n);
    /* two rows of dx, 2·n numbers of each, all written, from dy[n] and index[n] */
    void (*spread)(float *dx, float *below, const float *dy, const uint8_t *index, int64_t n);
} ps_pool_kernels;

/* NULL: not for a processor that has these. */
const ps_pool_kernels *ps_pool_kernels_for(const ps_cpu_features *features);

#endif
