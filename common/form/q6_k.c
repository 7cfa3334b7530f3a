/* q6_k, ggml's: blocks of 256 in sixteen parts of 16.
 *
 *     ql[128]  qh[64]  i8 scales[16]  f16 d        w = d·scale·(q − 32)
 *
 * Of each half of 128 numbers, byte l of ql has the lower four bits of numbers l and l + 64, l from
 * 0 to 63; byte l of qh has the upper two of l, l + 32, l + 64, l + 96, l from 0 to 31. Each part
 * gets the best scale of a search; the largest of them becomes −128, and codes are chosen anew for
 * the scales that are written.
 */
#include "common/base/require.h"
#include "common/form/block.h"
#include "common/form/ggml.h"
#include "common/form/rows.h"

enum {
    NUMBERS = 256,
    PART = 16,
    PARTS = NUMBERS / PART,
    ZERO = 32,
    HIGH_AT = 128,
    SCALES_AT = HIGH_AT + 64,
    D_AT = SCALES_AT + PARTS,
    BYTES = D_AT + 2
};

static size_t bytes_of(uint32_t numbers)
{
    return (size_t)numbers / NUMBERS * BYTES;
}

static uint32_t code_get(const uint8_t *block, uint32_t i)
{
    uint32_t half = i / 128, l = i % 128;
    return ps_block_bits(block[64 * half + l % 64], l / 64 * 4, 15) |
           ps_block_bits(block[HIGH_AT + 32 * half + l % 32], l / 32 * 2, 3) << 4;
}

static void code_put(uint8_t *block, uint32_t i, uint32_t code)
{
    uint32_t half = i / 128, l = i % 128;
    ps_block_put_bits(&block[64 * half + l % 64], l / 64 * 4, 15, code);
    ps_block_put_bits(&block[HIGH_AT + 32 * half + l % 32], l / 32 * 2, 3, code >> 4);
}

/* Of part p, as it is written. */
static float scale_of(const uint8_t *block, uint32_t p)
{
    return ps_block_half(block + D_AT) * (float)(int8_t)block[SCALES_AT + p];
}

static void decode(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    (void)group;
    for (size_t b = 0; b < n / NUMBERS; b++, blocks += BYTES)
        for (uint32_t p = 0; p < PARTS; p++) {
            float scale = scale_of(blocks, p);
            for (uint32_t i = p * PART; i < (p + 1) * PART; i++)
                *out++ = scale * (float)((int32_t)code_get(blocks, i) - ZERO);
        }
}

static float settle(uint8_t *block, uint32_t group, uint32_t i, double value)
{
    PS_REQUIRE(i < group);
    float scale = scale_of(block, i / PART);
    uint32_t q = ps_block_nearest(value, (double)scale, ZERO, 2 * ZERO - 1);
    code_put(block, i, q);
    return scale * (float)((int32_t)q - ZERO);
}

/* Scales as bytes beside the largest. false: all are next to nothing. */
static bool put_scales(const float *scales, uint8_t *out)
{
    float top = 0;
    for (int p = 0; p < PARTS; p++)
        top = fabsf(scales[p]) > fabsf(top) ? scales[p] : top;
    if (fabsf(top) < PS_GGML_NOTHING)
        return false;
    float inverse = -128.0f / top;
    ps_block_put_half(out + D_AT, 1 / inverse);
    for (int p = 0; p < PARTS; p++) {
        int32_t l = ps_ggml_nearest(inverse * scales[p]);
        out[SCALES_AT + p] = (uint8_t)(l < 127 ? l : 127);
    }
    return true;
}

static void encode_block(const float *x, const float *importance, uint8_t *out)
{
    uint8_t codes[NUMBERS];
    float scales[PARTS];
    for (int p = 0; p < PARTS; p++)
        scales[p] = ps_ggml_scale(x + p * PART, importance ? importance + p * PART : NULL, PART,
                                  ZERO, codes + p * PART);
    memset(out, 0, BYTES);
    if (!put_scales(scales, out))
        return;
    for (uint32_t i = 0; i < NUMBERS; i++) {
        float d = scale_of(out, i / PART);
        int32_t q =
            d != 0 ? ps_ggml_clamped(ps_ggml_nearest(x[i] / d), -ZERO, ZERO - 1) + ZERO : codes[i];
        code_put(out, i, (uint32_t)q);
    }
}

static void encode(const float *row, const float *importance, uint32_t group, size_t n,
                   uint8_t *out)
{
    (void)group;
    for (size_t at = 0; at < n; at += NUMBERS, out += BYTES)
        encode_block(row + at, importance ? importance + at : NULL, out);
}

const ps_form_row ps_form_q6_k = {.name = "q6_k",
                                  .group = NUMBERS,
                                  .bits = 6,
                                  .ggml = 14,
                                  .limit = 128 * PS_F16_LIMIT,
                                  .bytes = bytes_of,
                                  .decode = decode,
                                  .encode = encode,
                                  .settle = settle};
