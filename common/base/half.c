/* By the bits: a half is sign, 5 bits of exponent (bias 15), 10 of mantissa; a bfloat16 is the
 * upper half of a float. Cannot fail. */
#include "common/base/half.h"

#include "common/base/bits.h"

#include <math.h>

/* x / 2^shift, rounded to nearest, ties to even; shift 1..31 */
static uint32_t shift_even(uint32_t x, unsigned shift)
{
    uint32_t half = 1u << (shift - 1), rest = x & ((half << 1) - 1), q = x >> shift;
    return q + (rest > half || (rest == half && (q & 1)));
}

uint16_t ps_f16_of(float v)
{
    uint32_t bits = ps_bits_of_float(v), sign = bits >> 16 & 0x8000, mantissa = bits & 0x7fffff;
    int exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
    if ((bits & 0x7f800000) == 0x7f800000)
        return (uint16_t)(sign | 0x7c00 | (mantissa ? 0x200 | mantissa >> 13 : 0));
    if (exponent >= 31)
        return (uint16_t)(sign | 0x7c00);
    if (exponent <= 0) /* below 2^-14: a multiple of 2^-24 */
        return (uint16_t)(exponent < -10
                              ? sign
                              : sign | shift_even(mantissa | 0x800000, (unsigned)(14 - exponent)));
    /* a carry out of the mantissa goes into the exponent, up to infinity */
    return (uint16_t)(sign | (((uint32_t)exponent << 10) + shift_even(mantissa, 13)));
}

float ps_f16_value(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3ff;
    if (exponent == 31)
        return ps_float_of_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent == 0) {
        float v = ldexpf((float)mantissa, -24);
        return sign ? -v : v;
    }
    return ps_float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t ps_bf16_of(float v)
{
    uint32_t bits = ps_bits_of_float(v);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)shift_even(bits, 16);
}

float ps_bf16_value(uint16_t b)
{
    return ps_float_of_bits((uint32_t)b << 16);
}
