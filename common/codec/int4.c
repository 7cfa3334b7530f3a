/* int4: groups of 64 elements in codes of -7 to 7 of their largest magnitude, with error feedback
 * (groups.h).
 *
 *     scale (float32, little-endian) of every group, the last of which may be shorter
 *     codes, two a byte: value ≈ code × scale. Of a group of n, with half = n/2 rounded up, byte j
 *     has element j in its low four bits and element half + j in its high ones, as code + 8; where
 *     n is odd the last has nothing in the high ones
 */
#include "common/base/vector.h"
#include "common/codec/groups.h"
#include "common/codec/rows.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { GROUP = 64, MOST = 7, ZERO = 8 };

static size_t groups_of(uint32_t count)
{
    return ((size_t)count + GROUP - 1) / GROUP;
}

static size_t encoded_max(uint32_t count)
{
    return groups_of(count) * sizeof(float) + ((size_t)count + 1) / 2;
}

/* codes has a 0 behind an odd last one. */
PS_VECTOR_CLONES
static void pack(const int8_t *codes, size_t half, uint8_t *out)
{
    PS_VECTOR_LOOP
    for (size_t j = 0; j < half; j++)
        out[j] = (uint8_t)((codes[j] + ZERO) | (codes[half + j] + ZERO) << 4);
}

static size_t encode(void *state, const ps_wire_float *values, uint32_t count, uint8_t *out)
{
    float *residual = state;
    ps_wire_float *scales = (ps_wire_float *)(void *)out;
    uint8_t *packed = out + groups_of(count) * sizeof(float);
    for (size_t i = 0, g = 0; i < count; i += GROUP, g++) {
        size_t n = count - i < GROUP ? count - i : GROUP;
        int8_t codes[GROUP + 1] = {0};
        scales[g] = ps_codec_group(values + i, n, MOST, residual + i, codes);
        pack(codes, (n + 1) / 2, packed + i / 2);
    }
    return encoded_max(count);
}

/* One group; out has room for half of them twice. */
PS_VECTOR_CLONES
static void unpack(const uint8_t *packed, size_t half, float scale, float *out)
{
    PS_VECTOR_LOOP
    for (size_t j = 0; j < half; j++) {
        out[j] = (float)((packed[j] & 15) - ZERO) * scale;
        out[half + j] = (float)((packed[j] >> 4) - ZERO) * scale;
    }
}

static void decode(ps_slice payload, uint32_t count, float *out)
{
    const ps_wire_float *scales = (const ps_wire_float *)(const void *)payload.data;
    const uint8_t *packed = payload.data + groups_of(count) * sizeof(float);
    for (size_t i = 0, g = 0; i < count; i += GROUP, g++) {
        size_t n = count - i < GROUP ? count - i : GROUP;
        float values[GROUP];
        unpack(packed + i / 2, (n + 1) / 2, scales[g], values);
        memcpy(out + i, values, n * sizeof *values);
    }
}

static ps_codec_scan scan(ps_slice payload, uint32_t count, bool want_norm)
{
    const ps_wire_float *scales = (const ps_wire_float *)(const void *)payload.data;
    const uint8_t *packed = payload.data + groups_of(count) * sizeof(float);
    ps_codec_scan scan = {.finite = true};
    for (size_t i = 0, g = 0; i < count && scan.finite; i += GROUP, g++) {
        size_t n = count - i < GROUP ? count - i : GROUP, half = (n + 1) / 2;
        double scale = (double)scales[g];
        int sum = 0;
        scan.finite = isfinite(scales[g] * (float)ZERO); /* -8, whoever sends it */
        for (size_t j = 0; j < n && want_norm; j++) {
            int code = (packed[i / 2 + j % half] >> (j < half ? 0 : 4) & 15) - ZERO;
            sum += code * code;
        }
        scan.sum_sq += want_norm && scan.finite ? sum * scale * scale : 0;
    }
    return scan;
}

const ps_codec ps_codec_int4 = {
    .name = "int4",
    .number = 4,
    .state_bytes = sizeof(float),
    .encoded_max = encoded_max,
    .encode = encode,
    .scan = scan,
    .decode = decode,
};
