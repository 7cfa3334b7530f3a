/* half: float32 and the two 16-bit floats, as little-endian bytes of files; rounded to nearest,
 * ties to even, as IEEE 754 and numpy do it. Not a number stays not a number. Any thread. */
#ifndef PS_BASE_HALF_H
#define PS_BASE_HALF_H

#include <stddef.h>
#include <stdint.h>

/* Magnitudes from which on rounding to nearest gives infinity: half a step above the largest. */
#define PS_F16_LIMIT  65520.0f
#define PS_BF16_LIMIT 0x1.ffp127f

uint16_t ps_f16_of(float v);
float ps_f16_value(uint16_t h);
uint16_t ps_bf16_of(float v);
float ps_bf16_value(uint16_t b);

#endif
