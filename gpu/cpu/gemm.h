/* gemm: one product of float32 matrices in the calling thread, for operations that make theirs of
 * tiles. C[m,n] = alpha·op(A)·op(B) + beta·C as in ps_gemm. */
#ifndef PS_CPU_GEMM_H
#define PS_CPU_GEMM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ps_cpu_product {
    bool transpose_a, transpose_b;
    int64_t m, n, k;
    float alpha, beta;
    const float *a, *b;
    float *c;
    int64_t ld_a, ld_b, ld_c;
} ps_cpu_product;

/* By OpenBLAS (gpu/cpu/openblas.h), which is open. */
void ps_cpu_product_run(const ps_cpu_product *p);

#endif
