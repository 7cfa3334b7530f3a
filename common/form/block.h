/* block: what the files of blocks have in common: halves and codes among bytes, and the code of a
 * fixed grid that is nearest to a number. Inline, as they stand in loops over a model's numbers.
 * Private to common/form. Any thread. */
#ifndef PS_FORM_BLOCK_H
#define PS_FORM_BLOCK_H

#include "common/base/half.h"

#include <math.h>
#include <string.h>

static inline float ps_block_half(const uint8_t *at)
{
    return ps_f16_value((uint16_t)(at[0] | at[1] << 8));
}

static inline void ps_block_put_half(uint8_t *at, float v)
{
    uint16_t bits = ps_f16_of(v);
    at[0] = (uint8_t)bits;
    at[1] = (uint8_t)(bits >> 8);
}

/* The bits of mask, from bit `from` of a byte on. */
static inline uint32_t ps_block_bits(uint8_t byte, uint32_t from, uint32_t mask)
{
    return byte >> from & mask;
}

static inline void ps_block_put_bits(uint8_t *byte, uint32_t from, uint32_t mask, uint32_t code)
{
    *byte = (uint8_t)((*byte & ~(mask << from)) | (code & mask) << from);
}

/* The code from 0 to most for which scale·(code − zero) is nearest to value; zero where the scale
 * says nothing. */
static inline uint32_t ps_block_nearest(double value, double scale, int32_t zero, int32_t most)
{
    double q = rint(value / scale) + zero;
    if (scale == 0 || !isfinite(q))
        return (uint32_t)zero;
    return (uint32_t)(q < 0 ? 0 : q > most ? most : (int32_t)q);
}

#endif
