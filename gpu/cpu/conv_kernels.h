/* conv_kernels: the two sums that direct convolutions are made of, by kernels of our own for
 * processors with AVX-512. An image lies with zeros around it, so that a row of it is as long as
 * one of y and what it is too long by: then what a tap finds for neighbouring pixels of y are
 * neighbouring numbers, `offset` further on. */
#ifndef PS_CPU_CONV_KERNELS_H
#define PS_CPU_CONV_KERNELS_H

#include "gpu/cpu/kernels.h"

#include <stdint.h>

enum {
    PS_CONV_ROWS = 8,   /* of the weight, whose sums are made at a time, */
    PS_CONV_WIDE = 48,  /* and for so many pixels */
    PS_CONV_STEP = 16,  /* at least */
    PS_CONV_DYS = 4,    /* of the weight's gradient: rows, */
    PS_CONV_TAPS = 6,   /* and taps */
    PS_CONV_SLACK = 64, /* numbers behind an image that are read, and not looked at */
};

/* y[i · ld + p] = Σ over taps of weight[tap][i] · x[offsets[tap] + p], i < PS_CONV_ROWS, p < wide,
 * a multiple of PS_CONV_STEP and at most PS_CONV_WIDE. */
typedef struct ps_conv_sum_of {
    const float *weight; /* [taps][PS_CONV_ROWS] */
    const float *x;
    const int64_t *offsets;
    int64_t taps;
    float *y;
    int64_t ld, wide;
} ps_conv_sum_of;

/* sums[i][t] += Σ over images and p < n of dy[i · ld + p] · x[offsets[t] + p], i < PS_CONV_DYS,
 * t < PS_CONV_TAPS; n is a multiple of PS_CONV_STEP. */
typedef struct ps_conv_gradient_of {
    const float *dy, *x;
    int64_t ld;
    int64_t images, dy_image, x_image; /* how many, and how far they are apart */
    const int64_t *offsets;
    int64_t n;
    float sums[PS_CONV_DYS][PS_CONV_TAPS];
} ps_conv_gradient_of;

typedef struct ps_conv_kernels {
    void (*sum)(const ps_conv_sum_of *s);
    void (*gradient)(ps_conv_gradient_of *g);
} ps_conv_kernels;

/* NULL: not for a processor that has these. */
const ps_conv_kernels *ps_conv_kernels_for(const ps_cpu_features *features);

#endif
