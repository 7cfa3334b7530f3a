#include "gpu/cpu/form_order.h"

#include "common/base/require.h"

#include <string.h>

#define CODES \
    {         \
        0, 4  \
    }

static const ps_form_order orders[] = {
    {"int8", PS_FORM_BYTES, 128, 0, 4, {{2, 2}, CODES}},
    {"uint8", PS_FORM_BYTES_ZERO, 0, 0, 4, {{4, 2}, CODES}},
    {"q8_0", PS_FORM_BYTES, 128, 0, 32, {{2, 2}, {0, 4, true}}},
    {"int4", PS_FORM_PAIRS, 8, 0, 8, {{2, 2}, CODES}},
    {"uint4", PS_FORM_PAIRS_ZERO, 0, 0, 8, {{4, 2}, CODES}},
    {"q4_0", PS_FORM_HALVES, 8, 0, 32, {{2, 2}, CODES}},
    {"q4_1", PS_FORM_HALVES_MIN, 0, 0, 32, {{4, 2}, CODES}},
    {"q5_0", PS_FORM_FIVE, 16, 0, 32, {{2, 2}, {4, 4}, CODES}},
    {"q5_1", PS_FORM_FIVE_MIN, 0, 0, 32, {{4, 2}, {4, 4}, CODES}},
    {"iq4_nl", PS_FORM_TABLE, 128, 0, 32, {{2, 2}, CODES}},
    {"q4_k", PS_FORM_Q4_K, 0, 0, 256, {{4, 2}, CODES}},
    {"q5_k", PS_FORM_Q5_K, 0, 0, 256, {{4, 2}, CODES}},
    {"q6_k", PS_FORM_Q6_K, 32, 1, 256, {{208, 4}, {2, 2}}},
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

static void move_field(const place *p, size_t bytes, ps_form_field field)
{
    PS_REQUIRE(bytes % field.unit == 0);
    if (field.unit == sizeof(uint16_t))
        MOVE_FIELD(uint16_t, 0)
    else if (field.is_signed)
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

/* Of every block. order: in the sixteen, the first row's unit. */
static void move_rows(const ps_form_order *o, const ps_form_matrix *m, place p)
{
    size_t block = ps_form_block_bytes(m->form, (uint64_t)m->columns);
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
    size_t block = ps_form_block_bytes(m->form, (uint64_t)m->columns);
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
