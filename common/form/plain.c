/* The forms without codes: each number by itself, rounded to nearest, ties to even. */
#include "common/base/half.h"
#include "common/base/require.h"
#include "common/form/rows.h"

#include <math.h>
#include <string.h>

static size_t four(uint32_t numbers)
{
    return (size_t)numbers * 4;
}

static size_t two(uint32_t numbers)
{
    return (size_t)numbers * 2;
}

static void decode_float32(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    (void)group;
    memcpy(out, blocks, n * sizeof *out);
}

static void encode_float32(const float *row, const float *importance, uint32_t group, size_t n,
                           uint8_t *out)
{
    (void)importance, (void)group;
    memcpy(out, row, n * sizeof *row);
}

static void decode_two(const uint8_t *blocks, size_t n, float (*value)(uint16_t), float *out)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, blocks + i * sizeof bits, sizeof bits);
        out[i] = value(bits);
    }
}

static void encode_two(const float *row, size_t n, uint16_t (*of)(float), uint8_t *out)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t bits = of(row[i]);
        memcpy(out + i * sizeof bits, &bits, sizeof bits);
    }
}

static void decode_bfloat16(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    (void)group;
    decode_two(blocks, n, ps_bf16_value, out);
}

static void encode_bfloat16(const float *row, const float *importance, uint32_t group, size_t n,
                            uint8_t *out)
{
    (void)importance, (void)group;
    encode_two(row, n, ps_bf16_of, out);
}

static void decode_float16(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    (void)group;
    decode_two(blocks, n, ps_f16_value, out);
}

static void encode_float16(const float *row, const float *importance, uint32_t group, size_t n,
                           uint8_t *out)
{
    (void)importance, (void)group;
    encode_two(row, n, ps_f16_of, out);
}

const ps_form_row ps_form_float32 = {.name = "float32",
                                     .group = 1,
                                     .bits = 32,
                                     .ggml = 0,
                                     .plain = true,
                                     .limit = INFINITY,
                                     .bytes = four,
                                     .decode = decode_float32,
                                     .encode = encode_float32};

const ps_form_row ps_form_bfloat16 = {.name = "bfloat16",
                                      .group = 1,
                                      .bits = 16,
                                      .ggml = 30,
                                      .plain = true,
                                      .limit = PS_BF16_LIMIT,
                                      .bytes = two,
                                      .decode = decode_bfloat16,
                                      .encode = encode_bfloat16};

const ps_form_row ps_form_float16 = {.name = "float16",
                                     .group = 1,
                                     .bits = 16,
                                     .ggml = 1,
                                     .plain = true,
                                     .limit = PS_F16_LIMIT,
                                     .bytes = two,
                                     .decode = decode_float16,
                                     .encode = encode_float16};
