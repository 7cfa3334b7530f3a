/* q4_0, q4_1, q5_0, q5_1, ggml's: blocks of 32.
 *
 *     q4_0   f16 d, qs[16]             w = d·(q − 8)
 *     q4_1   f16 d, f16 m, qs[16]      w = d·q + m
 *     q5_0   f16 d, qh[4], qs[16]      w = d·(q − 16)
 *     q5_1   f16 d, f16 m, qh[4], qs[16]   w = d·q + m
 *
 * Byte j of qs has number j in its lower half and number j + 16 in its upper one; bit i of qh is
 * the fifth bit of number i. Without importance d is the number of largest magnitude / −8, or the
 * range / 15; with it, the best of a search. Codes are chosen for d before it becomes a float16.
 */
#include "common/base/require.h"
#include "common/form/block.h"
#include "common/form/ggml.h"
#include "common/form/rows.h"

#include <float.h>

enum { NUMBERS = 32, HALF = NUMBERS / 2 };

static size_t head_bytes(bool under)
{
    return under ? 4 : 2;
}

static size_t block_bytes(uint32_t bits, bool under)
{
    return head_bytes(under) + (bits == 5 ? 4 : 0) + HALF;
}

/* ---- codes ---- */

static uint32_t code_get(const uint8_t *codes, uint32_t bits, uint32_t i)
{
    const uint8_t *qs = bits == 5 ? codes + 4 : codes;
    uint32_t low = ps_block_bits(qs[i % HALF], i / HALF * 4, 15);
    return bits == 5 ? low | ps_block_bits(codes[i / 8], i % 8, 1) << 4 : low;
}

static void code_put(uint8_t *codes, uint32_t bits, uint32_t i, uint32_t code)
{
    uint8_t *qs = bits == 5 ? codes + 4 : codes;
    ps_block_put_bits(&qs[i % HALF], i / HALF * 4, 15, code);
    if (bits == 5)
        ps_block_put_bits(&codes[i / 8], i % 8, 1, code >> 4);
}

static void decode(const uint8_t *blocks, uint32_t bits, bool under, size_t n, float *out)
{
    int32_t zero = under ? 0 : 1 << (bits - 1);
    for (size_t b = 0; b < n / NUMBERS; b++, blocks += block_bytes(bits, under)) {
        float d = ps_block_half(blocks), m = under ? ps_block_half(blocks + 2) : 0;
        const uint8_t *codes = blocks + head_bytes(under);
        for (uint32_t i = 0; i < NUMBERS; i++) {
            float v = d * (float)((int32_t)code_get(codes, bits, i) - zero);
            *out++ = under ? v + m : v;
        }
    }
}

static float settle(uint8_t *block, uint32_t bits, bool under, uint32_t i, double value)
{
    int32_t zero = under ? 0 : 1 << (bits - 1);
    float d = ps_block_half(block), m = under ? ps_block_half(block + 2) : 0;
    uint32_t q = ps_block_nearest(value - (double)m, (double)d, zero, (int32_t)((1u << bits) - 1));
    code_put(block + head_bytes(under), bits, i, q);
    float v = d * (float)((int32_t)q - zero);
    return under ? v + m : v;
}

/* ---- blocks by ggml's rule ---- */

/* d·(q − zero) of the number of largest magnitude is the least code. */
static float about_zero(const float *x, uint32_t bits, uint8_t *codes)
{
    float most = 0, top = 0, zero = (float)(1 << (bits - 1));
    for (int i = 0; i < NUMBERS; i++)
        if (most < fabsf(x[i])) {
            most = fabsf(x[i]);
            top = x[i];
        }
    float d = top / -zero, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < NUMBERS; i++) {
        int8_t q = (int8_t)ps_ggml_truncated(x[i] * inverse + (zero + 0.5f));
        codes[i] = (uint8_t)(q < 2 * (int)zero - 1 ? q : 2 * (int)zero - 1);
    }
    return d;
}

static float over_range(const float *x, uint32_t bits, uint8_t *codes, float *least)
{
    float most = -FLT_MAX;
    int top = (1 << bits) - 1;
    *least = FLT_MAX;
    for (int i = 0; i < NUMBERS; i++) {
        *least = x[i] < *least ? x[i] : *least;
        most = x[i] > most ? x[i] : most;
    }
    float d = (most - *least) / (float)top, inverse = d != 0 ? 1 / d : 0;
    for (int i = 0; i < NUMBERS; i++) {
        int8_t q = (int8_t)ps_ggml_truncated((x[i] - *least) * inverse + 0.5f);
        codes[i] = (uint8_t)(q < top ? q : top);
    }
    return d;
}

static void put_block(uint8_t *out, uint32_t bits, bool under, float d, float least,
                      const uint8_t *codes)
{
    ps_block_put_half(out, d);
    if (under)
        ps_block_put_half(out + 2, least);
    for (uint32_t i = 0; i < NUMBERS; i++)
        code_put(out + head_bytes(under), bits, i, codes[i]);
}

static void encode_block(const float *x, const float *weights, uint32_t bits, bool under,
                         uint8_t *out)
{
    uint8_t codes[NUMBERS];
    float d, least = 0;
    if (under)
        d = over_range(x, bits, codes, &least);
    else if (weights)
        d = ps_ggml_scale(x, weights, NUMBERS, 1 << (bits - 1), codes);
    else
        d = about_zero(x, bits, codes);
    put_block(out, bits, under, d, least, codes);
}

enum { AT_ONCE = 8 /* blocks that are searched */ };

static void encode_over_range(const float *x, const float *weights, uint32_t bits, int blocks,
                              uint8_t *out)
{
    const ps_ggml_tries fine = PS_GGML_FINE((1 << bits) - 1);
    uint8_t codes[AT_ONCE * NUMBERS];
    float d[AT_ONCE], under[AT_ONCE];
    ps_ggml_scales_and_unders(&fine, x, weights, NUMBERS, blocks, codes, d, under);
    for (int b = 0; b < blocks; b++)
        put_block(out + (size_t)b * block_bytes(bits, true), bits, true, d[b], -under[b],
                  codes + b * NUMBERS);
}

static void encode(const float *row, const float *importance, uint32_t bits, bool under, size_t n,
                   uint8_t *out)
{
    float weights[AT_ONCE * NUMBERS], sigma2 = importance ? ps_ggml_mean_square(row, n) : 0;
    size_t most = importance && under ? AT_ONCE : 1;
    for (size_t at = 0, blocks; at < n; at += blocks * NUMBERS) {
        blocks = (n - at) / NUMBERS < most ? (n - at) / NUMBERS : most;
        if (importance)
            ps_ggml_weights(importance + at, row + at, sigma2, blocks * NUMBERS, weights);
        if (importance && under)
            encode_over_range(row + at, weights, bits, (int)blocks, out);
        else
            encode_block(row + at, importance ? weights : NULL, bits, under, out);
        out += blocks * block_bytes(bits, under);
    }
}

/* The limits are a quarter of what plain rounding could say: a search may widen a scale by half,
 * and lower a least number by twice the range. */
#define NIBBLES(word, number, b, has_under, most)                                                  \
    static size_t word##_bytes(uint32_t numbers)                                                   \
    {                                                                                              \
        return numbers / NUMBERS * block_bytes(b, has_under);                                      \
    }                                                                                              \
    static void word##_decode(const uint8_t *blocks, uint32_t group, size_t n, float *out)         \
    {                                                                                              \
        (void)group;                                                                               \
        decode(blocks, b, has_under, n, out);                                                      \
    }                                                                                              \
    static void word##_encode(const float *row, const float *importance, uint32_t group, size_t n, \
                              uint8_t *out)                                                        \
    {                                                                                              \
        (void)group;                                                                               \
        encode(row, importance, b, has_under, n, out);                                             \
    }                                                                                              \
    static float word##_settle(uint8_t *block, uint32_t group, uint32_t i, double value)           \
    {                                                                                              \
        PS_REQUIRE(i < group);                                                                     \
        return settle(block, b, has_under, i, value);                                              \
    }                                                                                              \
    const ps_form_row ps_form_##word = {.name = #word,                                             \
                                        .group = NUMBERS,                                          \
                                        .bits = (b),                                               \
                                        .ggml = (number),                                          \
                                        .zero = (has_under),                                       \
                                        .limit = (most),                                           \
                                        .bytes = word##_bytes,                                     \
                                        .decode = word##_decode,                                   \
                                        .encode = word##_encode,                                   \
                                        .settle = word##_settle};

NIBBLES(q4_0, 2, 4, false, PS_F16_LIMIT * 2)
NIBBLES(q4_1, 3, 4, true, PS_F16_LIMIT / 4)
NIBBLES(q5_0, 6, 5, false, PS_F16_LIMIT * 4)
NIBBLES(q5_1, 7, 5, true, PS_F16_LIMIT / 4)
