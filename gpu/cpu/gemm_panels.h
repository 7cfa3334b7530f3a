/* gemm_panels: one product in the calling thread, with panels (gpu/cpu/panels.h). As
 * ps_cpu_product_run, for float32 and bfloat16. */
#ifndef PS_CPU_GEMM_PANELS_H
#define PS_CPU_GEMM_PANELS_H

#include "gpu/cpu/panels.h"

enum { PS_PANELS_M = 512 /* rows of C at most */ };

typedef struct ps_panels_product {
    const ps_panel_kernels *kernels;
    bool transpose_a, transpose_b;
    int64_t m, n, k;
    float alpha, beta;
    const void *a, *b;
    float *c;
    int64_t ld_a, ld_b, ld_c;
    float *scratch; /* PS_PANELS_SCRATCH, 64-byte aligned */
} ps_panels_product;

/* Lanes that are held: of A, and of a block of B. */
enum {
    PS_PANELS_LANES = 384, /* k, of a block: A's panel of it stays in the first cache, */
    PS_PANELS_N = 384,     /* a block of B in the second */
    PS_PANELS_HELD = PS_PANELS_M * 2 * PS_PANELS_LANES,
    PS_PANELS_SCRATCH = PS_PANELS_HELD + PS_PANELS_N * PS_PANELS_LANES
};

void ps_cpu_panels_run(const ps_panels_product *p);

#endif
