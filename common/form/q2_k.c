/* q2_k, ggml's: blocks of 256 in sixteen parts of 16.
 *
 *     scales[16]  qs[64]  f16 d  f16 dmin        w = d·(scale & 15)·q − dmin·(scale >> 4)
 *
 * Of each half of 128 numbers, byte l of qs has numbers l, l + 32, l + 64, l + 96, two bits each
 * from bit 0. Each part gets the best scale and least number of a search: by the sum of
 * |x|·|error|, or with importance by squares; the largest becomes 15, with importance by a search
 * again. Codes are chosen anew for what is written.
 */
#include "common/base/require.h"
#include "common/form/block.h"
#include "common/form/ggml.h"
#include "common/form/rows.h"

enum {
    NUMBERS = 256,
    PART = 16,
    PARTS = NUMBERS / PART,
    CODES_AT = PARTS,
    D_AT = CODES_AT + NUMBERS / 4,
    BYTES = D_AT + 4,
    MOST = 3,
    TOP = 15
};

static size_t bytes_of(uint32_t numbers)
{
    return (size_t)numbers / NUMBERS * BYTES;
}

static uint8_t *byte_of(uint8_t *block, uint32_t i)
{
    return &block[CODES_AT + i / 128 * 32 + i % 32];
}

/* What a part's codes are multiplied with, and what is taken off then. */
typedef struct grid {
    float d, under;
} grid;

static grid grid_of(const uint8_t *block, uint32_t p)
{
    return (grid){ps_block_half(block + D_AT) * (float)(block[p] & 15),
                  ps_block_half(block + D_AT + 2) * (float)(block[p] >> 4)};
}

static void decode(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    (void)group;
    for (size_t b = 0; b < n / NUMBERS; b++, blocks += BYTES)
        for (uint32_t p = 0; p < PARTS; p++) {
            grid g = grid_of(blocks, p);
            for (uint32_t i = p * PART; i < (p + 1) * PART; i++) {
                uint8_t byte = blocks[CODES_AT + i / 128 * 32 + i % 32];
                *out++ = g.d * (float)ps_block_bits(byte, i % 128 / 32 * 2, 3) - g.under;
            }
        }
}

static float settle(uint8_t *block, uint32_t group, uint32_t i, double value)
{
    PS_REQUIRE(i < group);
    grid g = grid_of(block, i / PART);
    uint32_t q = ps_block_nearest(value + (double)g.under, (double)g.d, 0, MOST);
    ps_block_put_bits(byte_of(block, i), i % 128 / 32 * 2, 3, q);
    return g.d * (float)q - g.under;
}

/* The largest becomes 15. Returns what 1 is. */
static float by_largest(const float *values, uint8_t *out)
{
    float top = 0;
    for (int p = 0; p < PARTS; p++)
        top = values[p] > top ? values[p] : top;
    float inverse = top > 0 ? TOP / top : 0;
    for (int p = 0; p < PARTS; p++)
        out[p] = (uint8_t)ps_ggml_nearest(inverse * values[p]);
    return top / TOP;
}

/* Weights of a part; returns their sum. */
static float weigh(const float *x, const float *importance, float sigma2, float *weights)
{
    float sum = 0;
    if (importance)
        ps_ggml_weights(importance, x, sigma2, PART, weights);
    for (int i = 0; i < PART; i++) {
        if (!importance)
            weights[i] = fabsf(x[i]);
        sum += weights[i];
    }
    return sum;
}

static void put_codes(const float *x, const uint8_t *codes, uint8_t *out)
{
    for (uint32_t i = 0; i < NUMBERS; i++) {
        grid g = grid_of(out, i / PART);
        int32_t q =
            g.d != 0 ? ps_ggml_clamped(ps_ggml_nearest((x[i] + g.under) / g.d), 0, MOST) : codes[i];
        ps_block_put_bits(byte_of(out, i), i % 128 / 32 * 2, 3, (uint32_t)q);
    }
}

static void encode_block(const float *x, const float *importance, uint8_t *out)
{
    static const ps_ggml_tries coarse = {
        .most = MOST, .first = -0.5f, .step = 0.1f, .tries = 15, .absolute = true};
    static const ps_ggml_tries fine = PS_GGML_FINE(MOST);
    float weights[NUMBERS], scales[PARTS], unders[PARTS], sums[PARTS];
    uint8_t codes[NUMBERS], sc[PARTS], mn[PARTS];
    float sigma2 = importance ? ps_ggml_mean_square(x, NUMBERS) : 0;
    for (int p = 0; p < PARTS; p++)
        sums[p] = weigh(x + p * PART, importance ? importance + p * PART : NULL, sigma2,
                        weights + p * PART);
    ps_ggml_scales_and_unders(importance ? &fine : &coarse, x, weights, PART, PARTS, codes, scales,
                              unders);
    ps_block_put_half(out + D_AT, importance
                                      ? ps_ggml_scale_of_positive(scales, sums, PARTS, TOP, sc)
                                      : by_largest(scales, sc));
    ps_block_put_half(out + D_AT + 2, importance
                                          ? ps_ggml_scale_of_positive(unders, sums, PARTS, TOP, mn)
                                          : by_largest(unders, mn));
    for (int p = 0; p < PARTS; p++)
        out[p] = (uint8_t)(sc[p] | mn[p] << 4);
    put_codes(x, codes, out);
}

static void encode(const float *row, const float *importance, uint32_t group, size_t n,
                   uint8_t *out)
{
    (void)group;
    for (size_t at = 0; at < n; at += NUMBERS, out += BYTES)
        encode_block(row + at, importance ? importance + at : NULL, out);
}

/* The limit as in q4_k.c. */
const ps_form_row ps_form_q2_k = {.name = "q2_k",
                                  .group = NUMBERS,
                                  .bits = 2,
                                  .ggml = 10,
                                  .zero = true,
                                  .limit = TOP * PS_F16_LIMIT / 8,
                                  .bytes = bytes_of,
                                  .decode = decode,
                                  .encode = encode,
                                  .settle = settle};
