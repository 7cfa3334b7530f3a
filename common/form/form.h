/* form: how the numbers of a stored tensor are written: the table of forms (rows.h), from float32
 * to blocks of two bits a number. A tensor is rows of `columns` numbers, and a row is whole blocks;
 * a block says by itself what its numbers are, so that rows, and blocks, can be read, sent and
 * multiplied one by one.
 *
 *     float32, bfloat16, float16     a number is a block
 *     int8 int4 int3 int2            f16 scale s, codes:             w = s·q
 *     uint8 uint4 uint3 uint2        f16 scale s, zero u8 z, u8 f:   w = s·(q − z − f/256)
 *     fp8                            float32 scale s, codes E4M3:    w = s·q
 *     q8_0 q4_0 … q6_k iq4_nl mxfp4  ggml's blocks, byte for byte
 *
 * And a stored matrix may be two of a smaller rank (factors.h), "factors/64": it has no rows of
 * blocks, so that what is said of rows here is not for it: ps_form_divides is false.
 *
 * Blocks of the integer forms and of fp8 have a size that is chosen, 32 to 256 numbers or a whole
 * row: the group. All is little-endian. A form is a file, or a line in one, and a word in rows.h.
 * Pure, but for what it writes; any thread.
 */
#ifndef PS_FORM_FORM_H
#define PS_FORM_FORM_H

#include "common/base/slice.h"
#include "common/base/status.h"

typedef struct ps_form_row ps_form_row;

/* A form as a tensor has it; by value. */
typedef struct ps_form {
    const ps_form_row *row;
    uint32_t group; /* numbers of a block; 0: a whole row */
    uint32_t rank;  /* of a matrix that is stored as two of it, each float32; 0: it is one */
} ps_form;

struct ps_form_row {
    const char *name;                  /* in job files: "q4_0" */
    uint32_t group;                    /* of a block; 0: it is chosen */
    uint32_t bits;                     /* of a number's code */
    int32_t ggml;                      /* its number among ggml's types; -1: none */
    bool plain;                        /* no codes: each number by itself, and no grid */
    bool zero;                         /* a zero, or a least number, beside its scale */
    bool integer;                      /* codes are whole numbers times one scale */
    float limit;                       /* the magnitude from which on it has no number; INFINITY */
    size_t (*bytes)(uint32_t numbers); /* of a block */

    /* n numbers, whole blocks of `group`. Any bytes may come: what they say may be NaN. */
    void (*decode)(const uint8_t *blocks, uint32_t group, size_t n, float *out);
    /* A row of n numbers, finite and below the limit, by the form's own rule for what is nearest:
     * ggml's quantiser for its blocks; the range of each block for integers. importance: what a
     * squared error of each column counts, [n], from 0 to 2^60; NULL: alike. A block in which
     * nothing counts may become anything finite (ggml writes zeros): who has holes there fills
     * them. */
    void (*encode)(const float *row, const float *importance, uint32_t group, size_t n,
                   uint8_t *out);
    /* Number i of a block that was encoded becomes the code nearest to value, with scales and zeros
     * as they are; returns what it reads as. For who decides one number after another. */
    float (*settle)(uint8_t *block, uint32_t group, uint32_t i, double value);
};

/* Every row, to a NULL; and their names. */
extern const ps_form_row *const ps_form_rows[];
extern const char *const ps_form_names[];

/* Sizes that a chosen group may have beside a whole row, largest first, to a 0. */
extern const uint32_t ps_form_groups[];
enum { PS_FORM_TEXT = 32 };

const ps_form_row *ps_form_find(const char *name); /* NULL: there is none */
const ps_form_row *ps_form_of_ggml(uint32_t type); /* likewise */
/* "q4_0"; of a chosen group "int4/128", "int4/row". false: no such form. */
bool ps_form_parse(const char *text, ps_form *out);
/* Of a stored tensor: "factors/64" as well. */
bool ps_form_parse_stored(const char *text, ps_form *out);
const char *ps_form_text(ps_form form, char out[PS_FORM_TEXT]);
static inline bool ps_form_same(ps_form a, ps_form b)
{
    return a.row == b.row && a.group == b.group && a.rank == b.rank;
}

/* Is a row of so many numbers whole blocks, and of whole bytes? columns from 1. */
bool ps_form_divides(ps_form form, uint64_t columns);
/* Of a row that it divides: the numbers of a block, bytes of a block, bytes of the row. */
uint32_t ps_form_block_numbers(ps_form form, uint64_t columns);
size_t ps_form_block_bytes(ps_form form, uint64_t columns);
uint64_t ps_form_row_bytes(ps_form form, uint64_t columns);

/* Rows, one after the other, of `columns` numbers that the form divides. */
void ps_form_decode(ps_form form, const uint8_t *blocks, uint64_t rows, uint64_t columns,
                    float *out);
void ps_form_encode(ps_form form, const float *values, const float *importance, uint64_t rows,
                    uint64_t columns, uint8_t *out);
/* Of one row, the number at `column`: ps_form_row.settle. Not of a plain form. */
float ps_form_settle(ps_form form, uint8_t *row, uint64_t columns, uint64_t column, double value);

/* Of integer forms with a zero. Gives a block this scale, from 0, as near as a float16 comes, and
 * this zero, from 0 to the highest code, to 1/256; its codes stay. */
void ps_form_zero_put(ps_form form, uint8_t *block, double scale, double zero);
/* Has the block's zero no fraction? */
bool ps_form_zero_is_whole(ps_form form, const uint8_t *block);

#endif
