/* form_kernels: products of sixteens of rows (form_order.h), by kernels for what the processor can
 * do.
 *
 * Rounded: rows of x are rounded once a call, in chunks of 32: x ≈ d·q, q from −127 to 127. With
 * w = s·u + l in a chunk (u a code as it is kept, without sign), Σ w·x = s·d·Σ u·q + l·d·Σ q: a
 * product of bytes that the processor adds up in 32 bits, exactly, and a sum that is known
 * beforehand. Exact: codes become float32 in registers.
 */
#ifndef PS_CPU_FORM_KERNELS_H
#define PS_CPU_FORM_KERNELS_H

#include "gpu/cpu/form_order.h"
#include "gpu/cpu/kernels.h"

enum {
    PS_FORM_CHUNK = 32,  /* numbers of x with one scale */
    PS_FORM_ROWS_X = 8,  /* rows of x that a kernel takes at most */
    PS_FORM_ROWS_LOG = 4 /* kernels for 1, 2, 4 and 8 */
};

/* Of a chunk of x. */
typedef struct ps_form_side {
    float scale;
    float sum;        /* scale · Σ q */
    int32_t under[2]; /* −zero · Σ q; of each 16 where the order wants it, else all in the first */
} ps_form_side;

typedef struct ps_form_rounded {
    int8_t *q;           /* [rows, ld], in the order in which codes come */
    ps_form_side *sides; /* [rows, ld / 32] */
    int64_t ld;          /* columns, and zeros to whole chunks */
} ps_form_rounded;

/* n numbers of a row. A NaN, or an infinity, is one in every product. */
void ps_form_round(const ps_form_order *o, const float *x, int64_t n, int8_t *q,
                   ps_form_side *sides);

typedef struct ps_form_call {
    const uint8_t *sixteen;
    int64_t columns;
    int64_t block, block_bytes; /* numbers of a block, bytes of sixteen */
    ps_form_rounded x;          /* from the first row on; or, for exact: */
    const float *x_exact;       /* [rows, ld_exact] */
    int64_t ld_exact;
    float *y; /* [rows of x, 16] */
} ps_form_call;

typedef void (*ps_form_kernel)(const ps_form_call *c);
/* Of 1 << i rows of x. */
typedef struct ps_form_kernels {
    const char *name;
    ps_form_kernel rounded[PS_FORM_KINDS][PS_FORM_ROWS_LOG];
    ps_form_kernel exact[PS_FORM_KINDS][PS_FORM_ROWS_LOG];
} ps_form_kernels;

/* For processors with these features; NULL: there are none, matrices stay as they are in files. */
const ps_form_kernels *ps_form_kernels_for(const ps_cpu_features *f);

extern const ps_form_kernels ps_form_kernels_avx2, ps_form_kernels_vnni;

#endif
