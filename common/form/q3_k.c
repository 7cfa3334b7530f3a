/* q3_k, ggml's: blocks of 256 in sixteen parts of 16.
 *
 *     hmask[32]  qs[64]  scales[12]  f16 d        w = d·(sc − 32)·(q − 4)
 *
 * Of each half of 128 numbers, byte l of qs has the lower two bits of numbers l, l + 32, l + 64,
 * l + 96, from bit 0; bit i / 32 of hmask[i % 32] is the third bit of number i. sc has six bits:
 * the lower four of parts 0 to 7 in the lower halves of bytes 0 to 7, of the others in the upper
 * halves; the upper two in byte 8 + p % 4 from bit 2·(p / 4). Each part gets the best scale of a
 * search, the largest of them becomes −32, with importance by a search again; codes are chosen anew
 * for the scales that are written.
 */
#include "common/base/require.h"
#include "common/form/block.h"
#include "common/form/ggml.h"
#include "common/form/rows.h"

enum {
    NUMBERS = 256,
    PART = 16,
    PARTS = NUMBERS / PART,
    CODES_AT = NUMBERS / 8,
    SCALES_AT = CODES_AT + NUMBERS / 4,
    D_AT = SCALES_AT + 12,
    BYTES = D_AT + 2,
    ZERO = 4,
    SCALE_ZERO = 32
};

static size_t bytes_of(uint32_t numbers)
{
    return (size_t)numbers / NUMBERS * BYTES;
}

static uint32_t code_get(const uint8_t *block, uint32_t i)
{
    return ps_block_bits(block[CODES_AT + i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3) |
           ps_block_bits(block[i % 32], i / 32, 1) << 2;
}

static void code_put(uint8_t *block, uint32_t i, uint32_t code)
{
    ps_block_put_bits(&block[CODES_AT + i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3, code);
    ps_block_put_bits(&block[i % 32], i / 32, 1, code >> 2);
}

static float scale_of(const uint8_t *block, uint32_t p)
{
    const uint8_t *b = block + SCALES_AT;
    uint32_t sc = ps_block_bits(b[p % 8], p / 8 * 4, 15) | ps_block_bits(b[8 + p % 4], p / 4 * 2, 3)
                                                               << 4;
    return ps_block_half(block + D_AT) * (float)((int32_t)sc - SCALE_ZERO);
}

static void put_scales(uint8_t *block, float d, const uint8_t *sc)
{
    uint8_t *b = block + SCALES_AT;
    ps_block_put_half(block + D_AT, d);
    for (uint32_t p = 0; p < PARTS; p++) {
        ps_block_put_bits(&b[p % 8], p / 8 * 4, 15, sc[p]);
        ps_block_put_bits(&b[8 + p % 4], p / 4 * 2, 3, sc[p] >> 4);
    }
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

/* The largest becomes −32. Returns what 1 is. No scale at all: zeros, as ggml writes them. */
static float by_largest(const float *scales, uint8_t *out)
{
    float top = 0;
    for (int p = 0; p < PARTS; p++)
        top = fabsf(scales[p]) > fabsf(top) ? scales[p] : top;
    memset(out, 0, PARTS);
    if (top == 0)
        return 0;
    float inverse = -32.0f / top;
    for (int p = 0; p < PARTS; p++) {
        int8_t l = (int8_t)ps_ggml_nearest(inverse * scales[p]);
        out[p] = (uint8_t)(ps_ggml_clamped(l, -SCALE_ZERO, SCALE_ZERO - 1) + SCALE_ZERO);
    }
    return 1 / inverse;
}

/* Parts' scales and codes; sums: the weights of each. */
static void search(const float *x, const float *importance, float *scales, float *sums,
                   uint8_t *codes)
{
    float weights[PART], sigma2 = 2 * ps_ggml_mean_square(x, NUMBERS);
    for (int p = 0; p < PARTS; p++, x += PART, codes += PART) {
        if (!importance) {
            scales[p] = ps_ggml_scale_by_sweeps(x, PART, ZERO, codes);
            continue;
        }
        ps_ggml_weights(importance + p * PART, x, sigma2, PART, weights);
        sums[p] = 0;
        for (int i = 0; i < PART; i++)
            sums[p] += weights[i];
        scales[p] = ps_ggml_scale(x, weights, PART, ZERO, codes);
    }
}

static void encode_block(const float *x, const float *importance, uint8_t *out)
{
    float scales[PARTS], sums[PARTS];
    uint8_t codes[NUMBERS], sc[PARTS];
    search(x, importance, scales, sums, codes);
    float d =
        importance ? ps_ggml_scale(scales, sums, PARTS, SCALE_ZERO, sc) : by_largest(scales, sc);
    put_scales(out, d, sc);
    for (uint32_t i = 0; i < NUMBERS; i++) {
        float scale = scale_of(out, i / PART);
        int32_t q = scale != 0
                        ? ps_ggml_clamped(ps_ggml_nearest(x[i] / scale), -ZERO, ZERO - 1) + ZERO
                        : codes[i];
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

const ps_form_row ps_form_q3_k = {.name = "q3_k",
                                  .group = NUMBERS,
                                  .bits = 3,
                                  .ggml = 11,
                                  .limit = 32 * PS_F16_LIMIT,
                                  .bytes = bytes_of,
                                  .decode = decode,
                                  .encode = encode,
                                  .settle = settle};
