/* int8: groups of 128 elements in codes of -127 to 127 of their largest magnitude, with error
 * feedback: what a code leaves out of a value is added to the next value at that place.
 *
 *     scale (float32, little-endian) of every group, the last of which may be shorter
 *     code (int8) of every element: value ≈ code × scale
 */
#include "common/base/vector.h"
#include "common/codec/groups.h"
#include "common/codec/rows.h"

#include <math.h>
#include <stdint.h>

enum { GROUP = 128, MOST = 127 };

static size_t groups_of(uint32_t count)
{
    return ((size_t)count + GROUP - 1) / GROUP;
}

static size_t encoded_max(uint32_t count)
{
    return groups_of(count) * sizeof(float) + count;
}

static size_t encode(void *state, const ps_wire_float *values, uint32_t count, uint8_t *out)
{
    float *residual = state;
    ps_wire_float *scales = (ps_wire_float *)(void *)out;
    int8_t *codes = (int8_t *)out + groups_of(count) * sizeof(float);
    for (size_t i = 0, g = 0; i < count; i += GROUP, g++) {
        size_t n = count - i < GROUP ? count - i : GROUP;
        scales[g] = ps_codec_group(values + i, n, MOST, residual + i, codes + i);
    }
    return encoded_max(count);
}

typedef struct parts {
    const ps_wire_float *scales;
    const int8_t *codes;
} parts;

static parts parts_of(ps_slice payload, uint32_t count)
{
    return (parts){(const ps_wire_float *)(const void *)payload.data,
                   (const int8_t *)payload.data + groups_of(count) * sizeof(float)};
}

PS_VECTOR_CLONES
static void scale_all(parts p, uint32_t count, float *out)
{
    for (size_t i = 0, g = 0; i < count; i += GROUP, g++) {
        size_t n = count - i < GROUP ? count - i : GROUP;
        float scale = p.scales[g];
        PS_VECTOR_LOOP
        for (size_t k = i; k < i + n; k++)
            out[k] = (float)p.codes[k] * scale;
    }
}

static void decode(ps_slice payload, uint32_t count, float *out)
{
    scale_all(parts_of(payload, count), count, out);
}

static double group_squares(const int8_t *codes, size_t n, double scale)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += codes[i] * codes[i];
    return sum * scale * scale;
}

/* Codes may be -128, too, whoever sends them. */
static ps_codec_scan scan(ps_slice payload, uint32_t count, bool want_norm)
{
    parts p = parts_of(payload, count);
    ps_codec_scan scan = {.finite = true};
    for (size_t i = 0, g = 0; i < count && scan.finite; i += GROUP, g++) {
        size_t n = count - i < GROUP ? count - i : GROUP;
        scan.finite = isfinite(p.scales[g] * -(float)INT8_MIN);
        if (want_norm && scan.finite)
            scan.sum_sq += group_squares(p.codes + i, n, (double)p.scales[g]);
    }
    return scan;
}

const ps_codec ps_codec_int8 = {
    .name = "int8",
    .number = 3,
    .state_bytes = sizeof(float),
    .encoded_max = encoded_max,
    .encode = encode,
    .scan = scan,
    .decode = decode,
};
