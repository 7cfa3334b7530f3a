/* groups: what codecs share whose elements are whole numbers times their group's scale, with error
 * feedback: what a code leaves out of a value is added to the next value at that place. Pure; any
 * thread. */
#ifndef PS_CODEC_GROUPS_H
#define PS_CODEC_GROUPS_H

#include "common/codec/codec.h"

#include <stdint.h>

enum { PS_CODEC_GROUP_MAX = 128 };

/* codes[n] of -most_code to most_code for values + residual, n <= PS_CODEC_GROUP_MAX; returns the
 * scale, and residual[n] is what codes × scale leave out. A group too small to divide by is kept
 * for the next time: scale 0. One with NaN or infinity has NaN as its scale, and the residual is
 * left as it was. */
float ps_codec_group(const ps_wire_float *values, size_t n, int most_code, float *residual,
                     int8_t *codes);

#endif
