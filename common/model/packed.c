/* What the layouts have in common: codes and scales out of, and into, blocks of the integer
 * forms (common/form/integer.c says how those lie). It fails on zeros that a form has not. */
#include "common/model/packed.h"

#include "common/base/require.h"

#include <stdio.h>
#include <string.h>

enum { HEAD_SYMMETRIC = 2, HEAD_AFFINE = 4, WORD_BITS = 32 };

uint64_t ps_packed_bytes(const ps_packed_part *part)
{
    return part->shape[0] * (part->n_dims == 2 ? part->shape[1] : 1) *
           ps_safetensors_dtype_size(part->dtype);
}

uint64_t ps_packed_group(const ps_packed_matrix *m)
{
    return ps_form_block_numbers(m->form, m->columns);
}

uint64_t ps_packed_groups(const ps_packed_matrix *m)
{
    return m->columns / ps_packed_group(m);
}

bool ps_packed_is_words(const ps_packed_matrix *m)
{
    const ps_form_row *row = m->form.row;
    bool integer = !strncmp(row->name, "int", 3) || !strncmp(row->name, "uint", 4);
    return integer && m->columns * row->bits % WORD_BITS == 0 &&
           m->rows * row->bits % WORD_BITS == 0;
}

static size_t head_of(const ps_packed_matrix *m)
{
    return m->form.row->zero ? HEAD_AFFINE : HEAD_SYMMETRIC;
}

const uint8_t *ps_packed_block(const ps_packed_matrix *m, const uint8_t *blocks, uint64_t row,
                               uint64_t group)
{
    size_t bytes = ps_form_block_bytes(m->form, m->columns);
    return blocks + (row * ps_packed_groups(m) + group) * bytes;
}

uint16_t ps_packed_scale(const uint8_t *block)
{
    return (uint16_t)(block[0] | block[1] << 8);
}

uint32_t ps_packed_zero(const ps_packed_matrix *m, const uint8_t *block)
{
    return m->form.row->zero ? block[2] : 1u << (m->form.row->bits - 1);
}

bool ps_packed_zeros_are_whole(const ps_packed_matrix *m, const uint8_t *blocks)
{
    size_t bytes = ps_form_block_bytes(m->form, m->columns);
    uint64_t n = m->form.row->zero && m->form.row->integer ? m->rows * ps_packed_groups(m) : 0;
    for (uint64_t i = 0; i < n; i++)
        if (!ps_form_zero_is_whole(m->form, blocks + i * bytes))
            return false;
    return true;
}

bool ps_packed_zeros_are_codes(const ps_packed_matrix *m, const uint8_t *blocks)
{
    size_t bytes = ps_form_block_bytes(m->form, m->columns);
    uint64_t n = m->form.row->zero && m->form.row->integer ? m->rows * ps_packed_groups(m) : 0;
    for (uint64_t i = 0; i < n; i++)
        if (ps_packed_zero(m, blocks + i * bytes) >= 1u << m->form.row->bits)
            return false;
    return true;
}

uint32_t ps_packed_code(const ps_packed_matrix *m, const uint8_t *block, uint64_t i)
{
    return ps_packed_get(block + head_of(m), m->form.row->bits, i);
}

void ps_packed_codes(const ps_packed_matrix *m, const uint8_t *blocks, uint64_t row, uint8_t *out)
{
    size_t len = (size_t)ps_packed_group(m) * m->form.row->bits / 8;
    for (uint64_t g = 0; g < ps_packed_groups(m); g++, out += len)
        memcpy(out, ps_packed_block(m, blocks, row, g) + head_of(m), len);
}

uint32_t ps_packed_get(const uint8_t *stream, uint32_t bits, uint64_t i)
{
    uint64_t at = i * bits;
    uint32_t value = stream[at / 8];
    if (at % 8 + bits > 8)
        value |= (uint32_t)stream[at / 8 + 1] << 8;
    return value >> (at % 8) & ((1u << bits) - 1);
}

ps_form ps_packed_form(uint64_t bits, bool symmetric, uint64_t columns, uint64_t groups)
{
    char name[PS_FORM_TEXT];
    ps_form out = {NULL, 0};
    const uint32_t *group = ps_form_groups;
    if (bits > 8 || (groups && columns % groups))
        return out;
    (void)snprintf(name, sizeof name, "%s%u", symmetric ? "int" : "uint", (unsigned)bits);
    while (*group && (!groups || *group != columns / groups))
        group++;
    if (*group || groups <= 1)
        out = (ps_form){ps_form_find(name), *group};
    return out;
}

ps_status ps_packed_put_head(const ps_packed_matrix *m, uint8_t *block, const uint8_t *scale,
                             uint32_t zero)
{
    uint32_t codes = 1u << m->form.row->bits;
    memset(block, 0, ps_form_block_bytes(m->form, m->columns));
    memcpy(block, scale, 2);
    if (m->form.row->zero && zero < codes)
        block[2] = (uint8_t)zero;
    else if (m->form.row->zero ? zero >= codes : zero != codes / 2)
        return ps_fail(PS_INVALID_ARGUMENT, "a zero of %u, which %s has not", zero,
                       m->form.row->zero ? "its form" : "a symmetric form");
    return PS_OK;
}

void ps_packed_put_code(const ps_packed_matrix *m, uint8_t *block, uint64_t i, uint32_t code)
{
    ps_packed_put(block + head_of(m), m->form.row->bits, i, code);
}

void ps_packed_put(uint8_t *stream, uint32_t bits, uint64_t i, uint32_t code)
{
    uint64_t at = i * bits;
    PS_REQUIRE(code < 1u << bits);
    stream[at / 8] = (uint8_t)(stream[at / 8] | code << (at % 8));
    if (at % 8 + bits > 8)
        stream[at / 8 + 1] = (uint8_t)(stream[at / 8 + 1] | code >> (8 - at % 8));
}

void ps_packed_put_scales(const ps_packed_matrix *m, const uint8_t *blocks, uint8_t *out)
{
    for (uint64_t g = 0; g < ps_packed_groups(m); g++)
        for (uint64_t row = 0; row < m->rows; row++, out += 2)
            memcpy(out, ps_packed_block(m, blocks, row, g), 2);
}
