/* bf16: the upper half of a float32, little-endian, rounded to nearest, ties to even: eight bits of
 * precision and all of the range, two bytes an element. Values from PS_BF16_LIMIT on
 * (common/base/half.h) become infinite. */
#include "common/base/vector.h"
#include "common/codec/rows.h"

#include <stdint.h>

typedef uint32_t wire_u32 __attribute__((aligned(1), may_alias));
typedef uint16_t wire_u16 __attribute__((aligned(1), may_alias));

static size_t encoded_max(uint32_t count)
{
    return (size_t)count * sizeof(uint16_t);
}

/* Rounding may carry into the exponent, as it should, but would make zero of some NaN. */
PS_VECTOR_CLONES
static void round_all(const wire_u32 *values, uint32_t count, wire_u16 *out)
{
    PS_VECTOR_LOOP
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits = values[i], nan = (bits & 0x7fffffff) > 0x7f800000 ? 0x400000 : 0;
        uint32_t up = nan ? nan : 0x7fff + (bits >> 16 & 1);
        out[i] = (uint16_t)((nan ? bits | up : bits + up) >> 16);
    }
}

static size_t encode(void *state, const ps_wire_float *values, uint32_t count, uint8_t *out)
{
    (void)state;
    round_all((const wire_u32 *)(const void *)values, count, (wire_u16 *)(void *)out);
    return encoded_max(count);
}

PS_VECTOR_CLONES
static void widen_all(const wire_u16 *values, uint32_t count, wire_u32 *out)
{
    PS_VECTOR_LOOP
    for (uint32_t i = 0; i < count; i++)
        out[i] = (uint32_t)values[i] << 16;
}

static void decode(ps_slice payload, uint32_t count, float *out)
{
    widen_all((const wire_u16 *)(const void *)payload.data, count, (wire_u32 *)(void *)out);
}

/* The largest |bits|: above all finite numbers are infinity and then NaN (IEEE 754 ordering). */
PS_VECTOR_CLONES
static uint16_t largest(const wire_u16 *values, uint32_t count)
{
    uint16_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t magnitude = values[i] & 0x7fff;
        most = magnitude > most ? magnitude : most;
    }
    return most;
}

static double sum_squares(ps_slice payload, uint32_t count)
{
    enum { PART = 1024 };
    float part[PART];
    double sum = 0;
    for (uint32_t i = 0; i < count; i += PART) {
        uint32_t n = count - i < PART ? count - i : PART;
        decode(ps_slice_of(payload.data + encoded_max(i), encoded_max(n)), n, part);
        sum += ps_codec_scan_values(part, n, true).sum_sq;
    }
    return sum;
}

static ps_codec_scan scan(ps_slice payload, uint32_t count, bool want_norm)
{
    ps_codec_scan scan = {.finite = largest((const wire_u16 *)(const void *)payload.data, count) <
                                    0x7f80};
    if (want_norm && scan.finite)
        scan.sum_sq = sum_squares(payload, count);
    return scan;
}

const ps_codec ps_codec_bf16 = {
    .name = "bf16",
    .number = 2,
    .encoded_max = encoded_max,
    .encode = encode,
    .scan = scan,
    .decode = decode,
};
