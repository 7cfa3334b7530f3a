/* panels: products of matrices that have been copied into panels, in the order in which they are
 * used, by kernels of our own. For processors where they are faster than OpenBLAS's.
 *
 * A panel holds `width` rows of A, or columns of B, for some k: lanes of 4 bytes, [lanes][width],
 * missing ones 0. A lane is one k of float32, or two of bfloat16, which the processor multiplies
 * and adds up in one instruction. Sums are of float32, each element's in the order of k, wherever a
 * matrix is cut. */
#ifndef PS_CPU_PANELS_H
#define PS_CPU_PANELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PS_PANEL_A = 8,  /* width: rows of C that are summed up in registers, */
    PS_PANEL_B = 48, /* and columns */
};

/* `count` rows or columns of an operand, k of each, to `lanes` from `out` on; panels lie `stride`
 * lanes apart. By rows: element j of k is in[j * ld + k], else in[k * ld + j]. */
typedef struct ps_panel_copy {
    const void *in;
    int64_t ld;
    bool by_rows;
    int64_t count, k;
    int64_t width;
    uint32_t *out;
    int64_t stride;
} ps_panel_copy;

/* C[m,n] = alpha·A·B + beta·C of one panel each, m <= PS_PANEL_A, n <= PS_PANEL_B; beta 0 does not
 * read C. */
typedef struct ps_panel_product {
    const uint32_t *a, *b;
    int64_t lanes;
    float alpha, beta;
    float *c;
    int64_t ld_c, m, n;
} ps_panel_product;

typedef struct ps_panel_kernels {
    int64_t lane_k; /* k's in a lane */
    void (*copy)(const ps_panel_copy *c);
    void (*multiply)(const ps_panel_product *p);
} ps_panel_kernels;

/* What this processor has: NULL where OpenBLAS is to be used. */
const ps_panel_kernels *ps_panel_kernels_f32(void);
const ps_panel_kernels *ps_panel_kernels_bf16(void);

#endif
