/* Little-endian numbers and ggml's Q8_0, there and back. Cannot fail. */
#include "common/model/gguf_types.h"

#include "common/base/half.h"

#include <math.h>
#include <string.h>

enum { Q8_0_BYTES = 2 + PS_GGUF_BLOCK };

/* enum ggml_type; those between that are NULL are gone from ggml. */
static const char *const names[] = {
    "F32",    "F16",   "Q4_0",  "Q4_1",   NULL,    NULL,    "Q5_0",    "Q5_1",   "Q8_0",    "Q8_1",
    "Q2_K",   "Q3_K",  "Q4_K",  "Q5_K",   "Q6_K",  "Q8_K",  "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S",
    "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS", "I8",    "I16",   "I32",     "I64",    "F64",     "IQ1_M",
    "BF16",   NULL,    NULL,    NULL,     "TQ1_0", "TQ2_0", NULL,      NULL,     NULL,      "MXFP4",
};

bool ps_gguf_known(uint32_t type)
{
    return type == PS_GGUF_F32 || type == PS_GGUF_F16 || type == PS_GGUF_Q8_0 ||
           type == PS_GGUF_BF16;
}

const char *ps_gguf_type_name(uint32_t type)
{
    return type < sizeof names / sizeof *names ? names[type] : NULL;
}

size_t ps_gguf_block_numbers(ps_gguf_type type)
{
    return type == PS_GGUF_Q8_0 ? PS_GGUF_BLOCK : 1;
}

size_t ps_gguf_block_bytes(ps_gguf_type type)
{
    return type == PS_GGUF_Q8_0 ? Q8_0_BYTES : type == PS_GGUF_F32 ? 4 : 2;
}

float ps_gguf_limit(ps_gguf_type type)
{
    switch (type) {
    case PS_GGUF_F32:
        break;
    case PS_GGUF_F16:
        return PS_F16_LIMIT;
    case PS_GGUF_BF16:
        return PS_BF16_LIMIT;
    case PS_GGUF_Q8_0:
        return 127 * PS_F16_LIMIT;
    }
    return INFINITY;
}

/* ggml's quantize_row_q8_0: the largest becomes 127, the others are rounded to the nearest. */
static void put_block(const float *values, uint8_t *out)
{
    float most = 0;
    for (size_t i = 0; i < PS_GGUF_BLOCK; i++)
        most = fabsf(values[i]) > most ? fabsf(values[i]) : most;
    float scale = most / 127, inverse = scale != 0 ? 1 / scale : 0;
    uint16_t half = ps_f16_of(scale);
    out[0] = (uint8_t)half;
    out[1] = (uint8_t)(half >> 8);
    for (size_t i = 0; i < PS_GGUF_BLOCK; i++) {
        float q = roundf(values[i] * inverse);
        out[2 + i] = (uint8_t)(int8_t)(q > 127 ? 127 : q > -127 ? q : -127);
    }
}

static uint16_t read_half(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/* dequantize_row_q8_0 */
static void read_block(const uint8_t *bytes, float *out)
{
    float scale = ps_f16_value(read_half(bytes));
    for (size_t i = 0; i < PS_GGUF_BLOCK; i++)
        out[i] = (float)(int8_t)bytes[2 + i] * scale;
}

size_t ps_gguf_encode(ps_gguf_type type, const float *values, size_t n, uint8_t *out)
{
    if (type == PS_GGUF_F32)
        memcpy(out, values, n * sizeof *values);
    for (size_t i = 0; type == PS_GGUF_Q8_0 && i < n / PS_GGUF_BLOCK; i++)
        put_block(values + i * PS_GGUF_BLOCK, out + i * Q8_0_BYTES);
    for (size_t i = 0; type == PS_GGUF_F16 && i < n; i++) {
        uint16_t half = ps_f16_of(values[i]);
        out[2 * i] = (uint8_t)half;
        out[2 * i + 1] = (uint8_t)(half >> 8);
    }
    return n / ps_gguf_block_numbers(type) * ps_gguf_block_bytes(type);
}

void ps_gguf_decode(ps_gguf_type type, const uint8_t *bytes, size_t n, float *out)
{
    if (type == PS_GGUF_F32)
        memcpy(out, bytes, n * sizeof *out);
    for (size_t i = 0; type == PS_GGUF_Q8_0 && i < n / PS_GGUF_BLOCK; i++)
        read_block(bytes + i * Q8_0_BYTES, out + i * PS_GGUF_BLOCK);
    for (size_t i = 0; (type == PS_GGUF_F16 || type == PS_GGUF_BF16) && i < n; i++) {
        uint16_t half = read_half(bytes + 2 * i);
        out[i] = type == PS_GGUF_F16 ? ps_f16_value(half) : ps_bf16_value(half);
    }
}
