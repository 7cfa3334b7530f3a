/* form_kernels: products of sixteens of rows (form_order.h), by kernels for what the processor can
 * do.
 *
 * Rounded: rows of x are rounded once a call, in chunks of 32: x ≈ d·q, q from −127 to 127. With
 * w = s·u + l in a chunk (u a code as it is kept, without sign), Σ w·x = s·d·Σ u·q + l·d·Σ q: a
 * product of bytes that the processor adds up in 32 bits, exactly, and a sum that is known
 * beforehand. One row of x is multiplied as codes are read; for more, codes of some columns are
 * taken apart into a panel, with which row after row is multiplied. Exact: the panel's codes become
 * float32. Kinds whose codes are floats are always exact.
 */
#ifndef PS_CPU_FORM_KERNELS_H
#define PS_CPU_FORM_KERNELS_H

#include "gpu/cpu/form_order.h"
#include "gpu/cpu/kernels.h"

enum {
    PS_FORM_CHUNK = 32,  /* numbers of x with one scale */
    PS_FORM_ROWS_X = 128 /* rows of x that a kernel takes at most */
};

/* Of a chunk of x: numbers 0 to 15 and 16 to 31 where the order wants it, else all in the first. */
typedef struct ps_form_side {
    float scale;
    union {
        float sum[2];     /* scale · Σ q, where blocks say what is least */
        int32_t under[2]; /* −zero · Σ q, where the order does */
    };
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
    const ps_form_order *order;
    const uint8_t *sixteen;
    int64_t columns;
    int64_t block, block_bytes; /* numbers of a block, bytes of sixteen */
    int rows;                   /* of x */
    ps_form_rounded x;          /* from the first row on; or, for exact: */
    const float *x_exact;       /* [rows, ld_exact] */
    int64_t ld_exact;
    float *y; /* [rows, 16] */
} ps_form_call;

/* rounded: of kinds of integers. exact: of every kind. */
typedef struct ps_form_kernels {
    const char *name;
    void (*rounded)(const ps_form_call *c);
    void (*exact)(const ps_form_call *c);
} ps_form_kernels;

/* For processors with these features; NULL: there are none, matrices stay as they are in files. */
const ps_form_kernels *ps_form_kernels_for(const ps_cpu_features *f);

extern const ps_form_kernels ps_form_kernels_avx2, ps_form_kernels_vnni;

#endif
