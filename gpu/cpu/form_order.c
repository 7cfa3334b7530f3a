#include "gpu/cpu/form_order.h"

#include "common/base/require.h"

#include <string.h>

#define CODES \
    {         \
        0, 4  \
    }

static const ps_form_order orders[] = {
    {"int8", PS_FORM_BYTES, 128, 0, 4, false, {{2, 2}, CODES}},
    {"uint8", PS_FORM_BYTES_ZERO, 0, 0, 4, false, {{4, 2}, CODES}},
    {"q8_0", PS_FORM_BYTES, 128, 0, 32, true, {{2, 2}, CODES}},
    {"int4", PS_FORM_PAIRS, 8, 0, 8, false, {{2, 2}, CODES}},
    {"uint4", PS_FORM_PAIRS_ZERO, 0, 0, 8, false, {{4, 2}, CODES}},
    {"q4_0", PS_FORM_HALVES, 8, 0, 32, false, {{2, 2}, CODES}},
    {"q4_1", PS_FORM_HALVES_MIN, 0, 0, 32, false, {{4, 2}, CODES}},
    {"q5_0", PS_FORM_FIVE, 16, 0, 32, false, {{2, 2}, {4, 4}, CODES}},
    {"q5_1", PS_FORM_FIVE_MIN, 0, 0, 32, false, {{4, 2}, {4, 4}, CODES}},
    {"iq4_nl", PS_FORM_TABLE, 128, 0, 32, false, {{2, 2}, CODES}},
    {"q4_k", PS_FORM_Q4_K, 0, 0, 256, false, {{4, 2}, CODES}},
    {"q5_k", PS_FORM_Q5_K, 0, 0, 256, false, {{4, 2}, CODES}},
    {"q6_k", PS_FORM_Q6_K, 32, 1, 256, false, {{208, 4}, {2, 2}}},
};

const ps_form_order *ps_form_order_of(ps_form form, int64_t columns)
{
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        if (strcmp(orders[i].form, form.row->name) == 0)
            return columns % orders[i].whole == 0 ? &orders[i] : NULL;
    return NULL;
}

/* ---- the permutation ---- */

/* A block of one row, as it is in files, and where it is in its sixteen: the sixteen's block and
 * the row's number in it. */
typedef struct place {
    uint8_t *file, *order;
    size_t block; /* bytes */
    bool out;     /* from the order to the file's */
} place;

static void move(uint8_t *order, uint8_t *file, size_t unit, bool out)
{
    if (out)
        memcpy(file, order, unit);
    else
        memcpy(order, file, unit);
}

static void move_field(const place *p, size_t from, size_t bytes, size_t unit)
{
    uint8_t *order = p->order + from * PS_FORM_ROWS_TOGETHER, *file = p->file + from;
    size_t apart = unit * PS_FORM_ROWS_TOGETHER;
    PS_REQUIRE(bytes % unit == 0);
    if (unit == 4)
        for (size_t at = 0; at < bytes; at += 4, order += apart)
            move(order, file + at, 4, p->out);
    else
        for (size_t at = 0; at < bytes; at += 2, order += apart)
            move(order, file + at, 2, p->out);
}

/* order points to the block of the sixteen; the row's part of each field is its units further. */
static void move_block(const ps_form_order *o, place p, int64_t row)
{
    size_t from = 0;
    uint8_t *order = p.order;
    for (int f = 0; f < PS_FORM_FIELDS && o->fields[f].unit; f++) {
        size_t unit = o->fields[f].unit;
        size_t bytes = o->fields[f].bytes ? o->fields[f].bytes : p.block - from;
        p.order = order + (size_t)row * unit;
        move_field(&p, from, bytes, unit);
        from += bytes;
    }
    PS_REQUIRE(from == p.block);
}

static size_t head_of(const ps_form_order *o)
{
    return o->fields[0].bytes;
}

static void turn_signs(uint8_t *codes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        codes[i] ^= 0x80;
}

static void move_row(const ps_form_order *o, const ps_form_matrix *m, uint8_t *sixteen, int64_t row,
                     uint8_t *file, bool out)
{
    size_t block = ps_form_block_bytes(m->form, (uint64_t)m->columns);
    size_t bytes = (size_t)m->bytes.shape[1];
    for (size_t at = 0; at < bytes; at += block) {
        if (o->is_signed && !out)
            turn_signs(file + at + head_of(o), block - head_of(o));
        move_block(o,
                   (place){.file = file + at,
                           .order = sixteen + at * PS_FORM_ROWS_TOGETHER,
                           .block = block,
                           .out = out},
                   row);
        if (o->is_signed && out)
            turn_signs(file + at + head_of(o), block - head_of(o));
    }
}

static uint8_t *sixteen_of(const ps_form_matrix *m, int64_t i)
{
    uint8_t *bytes = ps_tensor_address(m->bytes);
    return bytes + i * PS_FORM_ROWS_TOGETHER * m->bytes.shape[1];
}

void ps_form_order_make(const ps_form_order *o, const ps_form_matrix *m, int64_t i, uint8_t *room)
{
    uint8_t *sixteen = sixteen_of(m, i);
    size_t row_bytes = (size_t)m->bytes.shape[1];
    memcpy(room, sixteen, PS_FORM_ROWS_TOGETHER * row_bytes);
    for (int64_t row = 0; row < PS_FORM_ROWS_TOGETHER; row++)
        move_row(o, m, sixteen, row, room + (size_t)row * row_bytes, false);
}

void ps_form_order_row(const ps_form_order *o, const ps_form_matrix *m, int64_t row, uint8_t *out)
{
    uint8_t *bytes = ps_tensor_address(m->bytes);
    if (!o || row >= ps_form_order_rows(m))
        memcpy(out, bytes + row * m->bytes.shape[1], (size_t)m->bytes.shape[1]);
    else
        move_row(o, m, sixteen_of(m, row / PS_FORM_ROWS_TOGETHER), row % PS_FORM_ROWS_TOGETHER, out,
                 true);
}
