/* dynamic8: a group of up to 256 numbers as a byte each and one float, the scale (dynamic
 * quantization: Dettmers 2016, arXiv 1511.04561; block-wise: Dettmers et al. 2022, arXiv
 * 2110.02861). number ≈ scale × code[byte], the scale being the greatest magnitude of the group.
 *
 * The code spans seven decades, and each holds twice the steps of the one below. Decade i = 0..6 is
 * 10^(i−6) × [0.1, 1], cut into k_i equal cells, k_i = 2^i with a sign and 2^(i+1) without; its
 * codes are the middles of the cells:
 *
 *     10^(i−6) × (0.1 + 0.9 (j + ½) / k_i),    j = 0 .. k_i − 1
 *
 * Signed: these 127, their negatives, 0 and 1. Unsigned: these 254, 0 and 1. The byte is the place
 * among them in ascending order; so signed 127 is 0 and 255 is 1, unsigned 0 is 0 and 255 is 1.
 *
 * A number is given the nearest code, the upper one of two as near; so the error is at most half a
 * cell, which is 0.45/k_i × 10^(i−6) × scale. One exception: unsigned, what is above 0 is never
 * given 0. Its root divides a step, and a step must not grow because its divisor was rounded away.
 *
 * Pure; any thread. Whatever the bytes, the scale or the numbers, nothing outside is touched;
 * infinity is taken as the greatest float.
 */
#ifndef PS_OPTIM_DYNAMIC8_H
#define PS_OPTIM_DYNAMIC8_H

#include <stddef.h>
#include <stdint.h>

enum { PS_DYNAMIC8_GROUP = 256, PS_DYNAMIC8_SIGNED_ZERO = 127 };

void ps_dynamic8_unpack_signed(const uint8_t *bytes, float scale, size_t n, float *out);
void ps_dynamic8_unpack_unsigned(const uint8_t *bytes, float scale, size_t n, float *out);
/* Returns the scale. All 0, or too small for a float's full precision: scale 0. */
float ps_dynamic8_pack_signed(const float *numbers, size_t n, uint8_t *out);
/* None below 0. */
float ps_dynamic8_pack_unsigned(const float *numbers, size_t n, uint8_t *out);

#endif
