/* bits: a floating-point number as the bits of IEEE 754, and back. Any thread; cannot fail.
 *
 * Not by memcpy of <string.h>: where the library checks sizes (_FORTIFY_SOURCE=3) that is a call
 * which GCC 12 does not make a vector of, and a loop over numbers then takes twice as long. */
#ifndef PS_BASE_BITS_H
#define PS_BASE_BITS_H

#include <stdint.h>

static inline uint32_t ps_bits_of_float(float v)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline float ps_float_of_bits(uint32_t bits)
{
    float v;
    __builtin_memcpy(&v, &bits, sizeof v);
    return v;
}

static inline uint64_t ps_bits_of_double(double v)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &v, sizeof bits);
    return bits;
}

static inline double ps_double_of_bits(uint64_t bits)
{
    double v;
    __builtin_memcpy(&v, &bits, sizeof v);
    return v;
}

#endif
