#include "gpu/cpu/form_order.h"

#include "common/base/require.h"
#include "common/base/vector.h"

#include <string.h>

#define CODES \
    {         \
        0, 4  \
    }

static const ps_form_order orders[] = {
    {"int8", PS_FORM_BYTES, 128, 0, 1, 4, {{2, 2}, CODES}},
    {"uint8", PS_FORM_BYTES_ZERO, 0, 0, 1, 4, {{4, 2}, CODES}},
    {"q8_0", PS_FORM_BYTES, 128, 0, 1, 32, {{2, 2}, {0, 4, PS_FORM_SIGNED}}},
    {"int4", PS_FORM_PAIRS, 8, 0, 2, 8, {{2, 2}, CODES}},
    {"uint4", PS_FORM_PAIRS_ZERO, 0, 0, 2, 8, {{4, 2}, CODES}},
    {"int3", PS_FORM_EIGHTS, 4, 0, 8, 32, {{2, 2}, {0, 4, PS_FORM_SORTED}}},
    {"uint3", PS_FORM_EIGHTS_ZERO, 0, 0, 8, 32, {{4, 2}, {0, 4, PS_FORM_SORTED}}},
    {"int2", PS_FORM_FOURS, 2, 0, 4, 16, {{2, 2}, CODES}},
    {"uint2", PS_FORM_FOURS_ZERO, 0, 0, 4, 16, {{4, 2}, CODES}},
    {"q4_0", PS_FORM_HALVES, 8, 0, 1, 32, {{2, 2}, CODES}},
    {"q4_1", PS_FORM_HALVES_MIN, 0, 0, 1, 32, {{4, 2}, CODES}},
    {"q5_0", PS_FORM_FIVE, 16, 0, 1, 32, {{2, 2}, {4, 4}, CODES}},
    {"q5_1", PS_FORM_FIVE_MIN, 0, 0, 1, 32, {{4, 2}, {4, 4}, CODES}},
    {"iq4_nl", PS_FORM_TABLE, 128, 0, 1, 32, {{2, 2}, CODES}},
    {"mxfp4", PS_FORM_POWER, 12, 0, 1, 32, {{1, 1}, CODES}},
    {"q2_k", PS_FORM_Q2_K, 0, 1, 1, 256, {{80, 4}, {4, 2}}},
    {"q3_k", PS_FORM_Q3_K, 4, 1, 1, 256, {{108, 4}, {2, 2}}},
    {"q4_k", PS_FORM_Q4_K, 0, 0, 1, 256, {{4, 2}, CODES}},
    {"q5_k", PS_FORM_Q5_K, 0, 0, 1, 256, {{4, 2}, CODES}},
    {"q6_k", PS_FORM_Q6_K, 32, 1, 1, 256, {{208, 4}, {2, 2}}},
    {"float16", PS_FORM_F16, 0, 0, 1, 1, {{0, 2}}},
    {"bfloat16", PS_FORM_BF16, 0, 0, 1, 1, {{0, 2}}},
    {"fp8", PS_FORM_E4M3, 0, 0, 1, 2, {{4, 4}, {0, 2}}},
};

const ps_form_order *ps_form_order_of(ps_form form, int64_t columns)
{
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp(orders[i].form, form.row->name) == 0)
            return columns % orders[i].whole == 0 ? &orders[i] : NULL;
    return NULL;
}

/* ---- the permutation ---- */

/* Rows of one block, or of several, and the sixteen's block that they are in. */
typedef struct place {
    uint8_t *files; /* of the first row */
    size_t apart;   /* to the next row's */
    uint8_t *order;
    size_t rows; /* 1 or 16 */
    bool out;    /* from the order to the files */
} place;

/* Units are read and written whole, so that the loop over rows is a few instructions. */
#define MOVE_FIELD(type, flip)                                                        \
    for (size_t at = 0; at < bytes; at += sizeof(type)) {                             \
        for (size_t r = 0; r < p->rows; r++) {                                        \
            type unit;                                                                \
            uint8_t *file = p->files + r * p->apart + at;                             \
            uint8_t *order = p->order + at * PS_FORM_ROWS_TOGETHER + r * sizeof unit; \
            memcpy(&unit, p->out ? order : file, sizeof unit);                        \
            unit ^= (type)(flip);                                                     \
            memcpy(p->out ? file : order, &unit, sizeof unit);                        \
        }                                                                             \
    }

/* Eight codes of 3 bits, lowest first, and the same sorted: lower pairs from bit 0, third bits from
 * bit 16. */
static uint32_t sorted(uint32_t codes)
{
    uint32_t low = (codes & 0x0C30C3) | (codes >> 1 & 0x30C30C), high = codes >> 2 & 0x249249;
    low = (low & 0x00F00F) | (low >> 2 & 0x0F00F0);
    low = (low & 0x0000FF) | (low >> 4 & 0x00FF00);
    high = (high | high >> 2) & 0x0C30C3;
    high = (high | high >> 4) & 0x00F00F;
    return low | ((high | high >> 8) & 0xFF) << 16;
}

static uint32_t unsorted(uint32_t sorted)
{
    uint32_t out = 0;
    for (int i = 0; i < 8; i++)
        out |= (sorted >> (2 * i) & 3) << (3 * i) | (sorted >> (16 + i) & 1) << (3 * i + 2);
    return out;
}

enum { SORTED_WORDS = 3, SORTED_BYTES = 12 }; /* of 32 codes */
typedef uint32_t sorted_rows[SORTED_WORDS][PS_FORM_ROWS_TOGETHER];

static inline uint32_t byte_of(uint32_t word, int k)
{
    return word >> (8 * k) & 0xFF;
}

/* Four eights of each row, one behind the other; byte k of number g of them stands in byte g of
 * word k. All rows at once, by vectors. */
PS_VECTOR_CLONES
static void sort_rows(sorted_rows w)
{
    PS_VECTOR_LOOP
    for (int r = 0; r < PS_FORM_ROWS_TOGETHER; r++) {
        uint32_t x = w[0][r], y = w[1][r], z = w[2][r];
        uint32_t a = sorted(x & 0xFFFFFF), b = sorted(x >> 24 | (y & 0xFFFF) << 8);
        uint32_t c = sorted(y >> 16 | (z & 0xFF) << 16), d = sorted(z >> 8);
        for (int k = 0; k < SORTED_WORDS; k++)
            w[k][r] =
                byte_of(a, k) | byte_of(b, k) << 8 | byte_of(c, k) << 16 | byte_of(d, k) << 24;
    }
}

static void unsort_row(sorted_rows w, size_t r)
{
    uint32_t e[4];
    for (int g = 0; g < 4; g++)
        e[g] = unsorted(byte_of(w[0][r], g) | byte_of(w[1][r], g) << 8 | byte_of(w[2][r], g) << 16);
    w[0][r] = e[0] | e[1] << 24;
    w[1][r] = e[1] >> 8 | e[2] << 16;
    w[2][r] = e[2] >> 16 | e[3] << 8;
}

static void move_words(const place *p, size_t at, sorted_rows w, bool load)
{
    for (size_t r = 0; r < p->rows; r++)
        for (size_t k = 0; k < SORTED_WORDS; k++) {
            size_t word = k * sizeof(uint32_t);
            uint8_t *order = p->order + (at + word) * PS_FORM_ROWS_TOGETHER + r * sizeof(uint32_t);
            uint8_t *there = load == p->out ? order : p->files + r * p->apart + at + word;
            uint32_t unit = w[k][r];
            memcpy(load ? (uint8_t *)&unit : there, load ? there : (uint8_t *)&unit, sizeof unit);
            w[k][r] = unit;
        }
}

static void move_sorted(const place *p, size_t bytes)
{
    sorted_rows words = {0};
    PS_REQUIRE(bytes % SORTED_BYTES == 0);
    for (size_t at = 0; at < bytes; at += SORTED_BYTES) {
        move_words(p, at, words, true);
        if (!p->out)
            sort_rows(words);
        for (size_t r = 0; p->out && r < p->rows; r++)
            unsort_row(words, r);
        move_words(p, at, words, false);
    }
}

static void move_field(const place *p, size_t bytes, ps_form_field field)
{
    PS_REQUIRE(bytes % field.unit == 0);
    if (field.as == PS_FORM_SORTED)
        move_sorted(p, bytes);
    else if (field.unit == sizeof(uint8_t))
        MOVE_FIELD(uint8_t, 0)
    else if (field.unit == sizeof(uint16_t))
        MOVE_FIELD(uint16_t, 0)
    else if (field.as == PS_FORM_SIGNED)
        MOVE_FIELD(uint32_t, 0x80808080u)
    else
        MOVE_FIELD(uint32_t, 0)
}

static void move_block(const ps_form_order *o, place p, size_t block)
{
    size_t left = block;
    for (int f = 0; f < PS_FORM_FIELDS && o->fields[f].unit; f++) {
        size_t bytes = o->fields[f].bytes ? o->fields[f].bytes : left;
        move_field(&p, bytes, o->fields[f]);
        p.files += bytes;
        p.order += bytes * PS_FORM_ROWS_TOGETHER;
        left -= bytes;
    }
    PS_REQUIRE(left == 0);
}

/* Numbers without blocks are moved a row at a time. */
static size_t block_of(const ps_form_matrix *m)
{
    return m->form.row->plain ? (size_t)m->bytes.shape[1]
                              : ps_form_block_bytes(m->form, (uint64_t)m->columns);
}

/* Of every block. order: in the sixteen, the first row's unit. */
static void move_rows(const ps_form_order *o, const ps_form_matrix *m, place p)
{
    size_t block = block_of(m);
    for (int64_t at = 0; at < m->bytes.shape[1]; at += (int64_t)block) {
        move_block(o, p, block);
        p.files += block;
        p.order += block * PS_FORM_ROWS_TOGETHER;
    }
}

static uint8_t *sixteen_of(const ps_form_matrix *m, int64_t i)
{
    uint8_t *bytes = ps_tensor_address(m->bytes);
    return bytes + i * PS_FORM_ROWS_TOGETHER * m->bytes.shape[1];
}

static place all_rows(const ps_form_matrix *m, int64_t i, uint8_t *files)
{
    return (place){.files = files,
                   .apart = (size_t)m->bytes.shape[1],
                   .order = sixteen_of(m, i),
                   .rows = PS_FORM_ROWS_TOGETHER};
}

void ps_form_order_make(const ps_form_order *o, const ps_form_matrix *m, int64_t i, uint8_t *room)
{
    memcpy(room, sixteen_of(m, i), PS_FORM_ROWS_TOGETHER * (size_t)m->bytes.shape[1]);
    move_rows(o, m, all_rows(m, i, room));
}

void ps_form_order_undo(const ps_form_order *o, const ps_form_matrix *m, int64_t i, uint8_t *out)
{
    place p = all_rows(m, i, out);
    p.out = true;
    move_rows(o, m, p);
}

/* Its sixteen's other rows are gone over. */
static void move_row(const ps_form_order *o, const ps_form_matrix *m, int64_t row, uint8_t *out)
{
    size_t block = block_of(m);
    uint8_t *sixteen = sixteen_of(m, row / PS_FORM_ROWS_TOGETHER);
    size_t r = (size_t)(row % PS_FORM_ROWS_TOGETHER);
    for (size_t at = 0; at < (size_t)m->bytes.shape[1]; at += block) {
        size_t left = block, from = at;
        for (int f = 0; f < PS_FORM_FIELDS && o->fields[f].unit; f++) {
            size_t bytes = o->fields[f].bytes ? o->fields[f].bytes : left;
            place p = {.files = out + from,
                       .order = sixteen + from * PS_FORM_ROWS_TOGETHER + r * o->fields[f].unit,
                       .rows = 1,
                       .out = true};
            move_field(&p, bytes, o->fields[f]);
            from += bytes;
            left -= bytes;
        }
    }
}

void ps_form_order_row(const ps_form_order *o, const ps_form_matrix *m, int64_t row, uint8_t *out)
{
    uint8_t *bytes = ps_tensor_address(m->bytes);
    if (row >= ps_form_order_rows(m))
        memcpy(out, bytes + row * m->bytes.shape[1], (size_t)m->bytes.shape[1]);
    else
        move_row(o, m, row, out);
}
