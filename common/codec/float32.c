/* float32: the numbers themselves, IEEE 754 binary32, little-endian. Every machine psd runs on is
 * little-endian, so that payloads are used where they lie. */
#include "common/codec/rows.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "float32 payloads are read in place");

static size_t encoded_max(uint32_t count)
{
    return (size_t)count * sizeof(float);
}

static ps_status check(ps_slice payload, uint32_t count)
{
    if (payload.len != encoded_max(count))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "a payload of %zu bytes, %u elements of float32 are %zu", payload.len, count,
                       encoded_max(count));
    return PS_OK;
}

static void encode(const float *values, uint32_t count, uint8_t *out, size_t *len)
{
    *len = encoded_max(count);
    memcpy(out, values, *len);
}

static void decode(ps_slice payload, uint32_t count, float *out)
{
    memcpy(out, payload.data, encoded_max(count));
}

const ps_codec ps_codec_float32 = {
    .name = "float32",
    .number = 1,
    .identity = true,
    .encoded_max = encoded_max,
    .check = check,
    .encode = encode,
    .decode = decode,
};
