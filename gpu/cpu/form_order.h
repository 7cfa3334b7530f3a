/* form_order: the order in which kernels of our own read a matrix in a form: 16 rows together, so
 * that a register holds the same of 16 outputs, whose sums then stay apart.
 *
 * Rows go by sixteens, each in the place that its rows have in files; what is left over, up to 15
 * rows, stays as it is. In a sixteen the blocks follow each other, of each block the fields of its
 * form, and of each field a unit (1, 2 or 4 bytes) of the first row, of the second, …, then the
 * next unit. Nothing is added and nothing lost: it is a permutation of bytes, but that signed codes
 * become codes + 128, and that of codes of 3 bits, which lie across bytes in files, the bits are
 * sorted. */
#ifndef PS_CPU_FORM_ORDER_H
#define PS_CPU_FORM_ORDER_H

#include "gpu/ops.h"

enum { PS_FORM_ROWS_TOGETHER = 16, PS_FORM_FIELDS = 4 };

/* How the codes of a block lie, and what stands before or behind them. */
typedef enum ps_form_kind {
    PS_FORM_BYTES,      /* f16 scale; a byte each, zero 128 */
    PS_FORM_BYTES_ZERO, /* f16 scale, a zero; a byte each */
    PS_FORM_PAIRS,      /* f16 scale; a byte holds two numbers that are neighbours; zero 8 */
    PS_FORM_PAIRS_ZERO, /* f16 scale, a zero; likewise */
    PS_FORM_EIGHTS,     /* f16 scale; of 3 bits (PS_FORM_SORTED below); zero 4 */
    PS_FORM_EIGHTS_ZERO,
    PS_FORM_FOURS, /* f16 scale; a byte holds four that are neighbours; zero 2 */
    PS_FORM_FOURS_ZERO,
    PS_FORM_HALVES,     /* 32: f16 scale; a byte holds a number and the one 16 further; zero 8 */
    PS_FORM_HALVES_MIN, /* 32: f16 scale, f16 least; likewise */
    PS_FORM_FIVE,       /* 32: as HALVES, and 32 bits more for the numbers' fifth; zero 16 */
    PS_FORM_FIVE_MIN,   /* 32: as HALVES_MIN, likewise */
    PS_FORM_TABLE,      /* 32: as HALVES, but codes are places in iq4_nl's table */
    PS_FORM_POWER,      /* 32: a power of two; as HALVES, but places in mxfp4's table */
    PS_FORM_Q2_K,
    PS_FORM_Q3_K,
    PS_FORM_Q4_K,
    PS_FORM_Q5_K,
    PS_FORM_Q6_K,
    PS_FORM_INTEGERS, /* those above have codes that are multiplied as bytes */
    PS_FORM_F16 = PS_FORM_INTEGERS,
    PS_FORM_BF16,
    PS_FORM_E4M3, /* float32 scale; a byte each */
    PS_FORM_KINDS
} ps_form_kind;

/* How a field's units are written. */
typedef enum ps_form_unit {
    PS_FORM_PLAIN,
    PS_FORM_SIGNED, /* 128 is added to each byte */
    PS_FORM_SORTED  /* of 8 codes in 3 bytes: the lower two bits of the first four, those of the
                       others, the third bits; then as bytes of three words in turn */
} ps_form_unit;

typedef struct ps_form_field {
    uint32_t bytes; /* of a block; 0: all that is left of it */
    uint32_t unit;  /* 1, 2 or 4 bytes; 0: the field before was the last */
    ps_form_unit as;
} ps_form_field;

typedef struct ps_form_order {
    const char *form;
    ps_form_kind kind;
    int32_t zero;   /* what codes are above the numbers they stand for; 0: a block says */
    int32_t of_16;  /* sums of activations are wanted of 16 numbers, not 32 */
    int32_t spread; /* code i of a byte is of the number i further; of four bytes that lie side by
                       side, the numbers are as many apart */
    uint32_t whole; /* a row is a multiple of so many numbers */
    ps_form_field fields[PS_FORM_FIELDS];
} ps_form_order;

/* NULL: kernels have no order for this form in rows of so many numbers. */
const ps_form_order *ps_form_order_of(ps_form form, int64_t columns);

/* Rows that kernels take: a multiple of 16. */
static inline int64_t ps_form_order_rows(const ps_form_matrix *m)
{
    return m->bytes.shape[0] / PS_FORM_ROWS_TOGETHER * PS_FORM_ROWS_TOGETHER;
}

/* Sixteen number i of a matrix, in place; room for its bytes. */
void ps_form_order_make(const ps_form_order *o, const ps_form_matrix *m, int64_t i, uint8_t *room);
/* One of a matrix in order, as it is in files: sixteen rows, or one row of any number. */
void ps_form_order_undo(const ps_form_order *o, const ps_form_matrix *m, int64_t i, uint8_t *out);
void ps_form_order_row(const ps_form_order *o, const ps_form_matrix *m, int64_t row, uint8_t *out);

#endif
