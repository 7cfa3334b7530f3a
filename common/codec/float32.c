/* float32: the numbers themselves, IEEE 754 binary32, little-endian. Every machine psd runs on is
 * little-endian, so that payloads are used where they lie. */
#include "common/codec/rows.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "float32 payloads are read in place");

static size_t encoded_max(uint32_t count)
{
    return (size_t)count * sizeof(float);
}

static size_t encode(void *state, const ps_wire_float *values, uint32_t count, uint8_t *out)
{
    (void)state;
    memcpy(out, values, encoded_max(count));
    return encoded_max(count);
}

static ps_codec_scan scan(ps_slice payload, uint32_t count, bool want_norm)
{
    return ps_codec_scan_values((const ps_wire_float *)(const void *)payload.data, count,
                                want_norm);
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
    .encode = encode,
    .scan = scan,
    .decode = decode,
};
