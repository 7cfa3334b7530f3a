/* form_float: float16, bfloat16 and E4M3: one row of x as codes are read, and codes as float32 for
 * more (form_kernel.h). */
#ifndef PS_CPU_FORM_FLOAT_H
#define PS_CPU_FORM_FLOAT_H

#include "gpu/cpu/form_panel.h"

/* Number i of a block whose codes begin there, and the one behind it where there is one: how many.
 */
INLINE int two(ps_form_kind kind, const uint8_t *codes, int64_t i, int64_t n, F *w, H *no_number)
{
    if (kind == PS_FORM_E4M3) {
        f_e4m3(codes + i / 2 * HALF, &w[0], &w[1], no_number);
        return 2;
    }
    int count = i + 1 < n ? 2 : 1;
    for (int k = 0; k < count; k++) {
        const uint8_t *at = codes + (i + k) * HALF;
        w[k] = kind == PS_FORM_F16 ? f_halves(at) : f_bits(v_sll(v_halves(at), 16));
    }
    return count;
}

/* A block's codes and what they are multiplied with; float16 and bfloat16 have a row of them. */
INLINE const uint8_t *float_codes(ps_form_kind kind, const uint8_t *block, int lane, F *scale)
{
    *scale = f_set1(1);
    if (kind != PS_FORM_E4M3)
        return block + 2 * lane;
    *scale = f_mul(f_bits(v_load(block + 4 * lane)), f_set1(256)); /* f_e4m3's */
    return block + WORD + 2 * lane;
}

static inline int64_t float_block(const ps_form_call *c, ps_form_kind kind)
{
    return kind == PS_FORM_E4M3 ? c->block : c->columns;
}

/* One row of x, to sums that do not wait for each other. */
INLINE F one_float_block(const float *x, ps_form_kind kind, const uint8_t *block, int lane,
                         int64_t n)
{
    F scale, sum[4] = {f_zero(), f_zero(), f_zero(), f_zero()}, w[2];
    H no_number = h_zero();
    const uint8_t *codes = float_codes(kind, block, lane, &scale);
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
#pragma GCC unroll 2
        for (int k = 0; k < 4; k += 2) {
            two(kind, codes, i + k, n, w, &no_number);
            sum[k] = f_madd(w[0], f_set1(x[i + k]), sum[k]);
            sum[k + 1] = f_madd(w[1], f_set1(x[i + k + 1]), sum[k + 1]);
        }
    for (; i < n; i += 2)
        for (int k = 0, count = two(kind, codes, i, n, w, &no_number); k < count; k++)
            sum[k] = f_madd(w[k], f_set1(x[i + k]), sum[k]);
    sum[0] = f_add(f_add(sum[0], sum[1]), f_add(sum[2], sum[3]));
    return kind == PS_FORM_E4M3 ? f_mul(f_add(sum[0], f_no_number(no_number)), scale) : sum[0];
}

INLINE void one_of_floats(const ps_form_call *c, ps_form_kind kind)
{
    int64_t n = float_block(c, kind);
    for (int lane = 0; lane < PS_FORM_ROWS_TOGETHER; lane += LANES) {
        F y = f_zero();
        const uint8_t *block = c->sixteen;
        for (int64_t at = 0; at < c->columns; at += n, block += c->block_bytes)
            y = f_add(y, one_float_block(c->x_exact + at, kind, block, lane, n));
        f_store(c->y + lane, y);
    }
}

/* Columns of a panel. A code that is no number makes its lane none, whichever column it is in. */
INLINE void fill(const ps_form_call *c, ps_form_kind kind, const turn *t, float *floats)
{
    int64_t n = float_block(c, kind), column = t->column, end = column + t->n;
    H no_number = h_zero();
    while (column < end) {
        F scale, w[2];
        int64_t i = column % n, last = end - column < n - i ? i + end - column : n;
        const uint8_t *codes =
            float_codes(kind, c->sixteen + column / n * c->block_bytes, t->lane, &scale);
        for (; i < last; i += 2)
            for (int k = 0, count = two(kind, codes, i, n, w, &no_number); k < count; k++) {
                f_store(floats, kind == PS_FORM_E4M3 ? f_mul(w[k], scale) : w[k]);
                floats += LANES;
                column++;
            }
    }
    if (kind == PS_FORM_E4M3)
        f_store(floats - LANES, f_add(f_load(floats - LANES), f_no_number(no_number)));
}

#endif
