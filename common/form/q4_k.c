/* q4_k and q5_k, ggml's: blocks of 256 in eight parts of 32.
 *
 *     f16 d  f16 dmin  scales[12]  [q5_k: qh[32]]  qs[128]      w = d·sc·q − dmin·mn
 *
 * sc and mn of a part have six bits each: of parts 0 to 3 in bytes p and p + 4; of the others the
 * lower four in byte p + 4, the upper two above those of the part four before. Of each 64 numbers,
 * byte l of qs has l in its lower half and l + 32 in its upper one; bit p of qh[l] is the fifth bit
 * of number 32·p + l. Each part gets the best scale and least number of a search; with importance
 * those are searched for together, else the largest becomes 63. Codes are chosen anew for what is
 * written.
 */
#include "common/base/require.h"
#include "common/form/block.h"
#include "common/form/ggml.h"
#include "common/form/rows.h"

enum { NUMBERS = 256, PART = 32, PARTS = NUMBERS / PART, SCALES_AT = 4, CODES_AT = 16, TOP = 63 };

static size_t block_bytes(uint32_t bits)
{
    return CODES_AT + NUMBERS * bits / 8;
}

static uint32_t code_get(const uint8_t *block, uint32_t bits, uint32_t i)
{
    const uint8_t *qs = block + (bits == 5 ? CODES_AT + PART : CODES_AT);
    uint32_t low = ps_block_bits(qs[i / 64 * PART + i % PART], i % 64 / PART * 4, 15);
    return bits == 5 ? low | ps_block_bits(block[CODES_AT + i % PART], i / PART, 1) << 4 : low;
}

static void code_put(uint8_t *block, uint32_t bits, uint32_t i, uint32_t code)
{
    uint8_t *qs = block + (bits == 5 ? CODES_AT + PART : CODES_AT);
    ps_block_put_bits(&qs[i / 64 * PART + i % PART], i % 64 / PART * 4, 15, code);
    if (bits == 5)
        ps_block_put_bits(&block[CODES_AT + i % PART], i / PART, 1, code >> 4);
}

/* ---- scales ---- */

/* What a part's codes are multiplied with, and what is taken off then. */
typedef struct grid {
    float d, under;
} grid;

static grid grid_of(const uint8_t *block, uint32_t p)
{
    const uint8_t *b = block + SCALES_AT;
    uint32_t sc = p < 4 ? b[p] & 63u : (b[p + 4] & 15u) | (b[p - 4] & 0xc0u) >> 2;
    uint32_t mn = p < 4 ? b[p + 4] & 63u : b[p + 4] >> 4u | (b[p] & 0xc0u) >> 2;
    return (grid){ps_block_half(block) * (float)sc, ps_block_half(block + 2) * (float)mn};
}

static void put_grids(uint8_t *block, float d, float dmin, const uint8_t *sc, const uint8_t *mn)
{
    uint8_t *b = block + SCALES_AT;
    ps_block_put_half(block, d);
    ps_block_put_half(block + 2, dmin);
    for (int p = 0; p < 4; p++) {
        b[p] = (uint8_t)(sc[p] | (sc[p + 4] >> 4) << 6);
        b[p + 4] = (uint8_t)(mn[p] | (mn[p + 4] >> 4) << 6);
        b[p + 8] = (uint8_t)((sc[p + 4] & 15) | (mn[p + 4] & 15) << 4);
    }
}

/* The largest becomes 63. Returns what 1 is. */
static float by_largest(const float *values, uint8_t *out)
{
    float top = 0;
    for (int p = 0; p < PARTS; p++)
        top = values[p] > top ? values[p] : top;
    float inverse = top > 0 ? TOP / top : 0;
    for (int p = 0; p < PARTS; p++) {
        uint8_t l = (uint8_t)ps_ggml_nearest(inverse * values[p]);
        out[p] = l < TOP ? l : TOP;
    }
    return top / TOP;
}

/* ---- there and back ---- */

static void decode(const uint8_t *blocks, uint32_t bits, size_t n, float *out)
{
    for (size_t b = 0; b < n / NUMBERS; b++, blocks += block_bytes(bits))
        for (uint32_t p = 0; p < PARTS; p++) {
            grid g = grid_of(blocks, p);
            for (uint32_t i = p * PART; i < (p + 1) * PART; i++)
                *out++ = g.d * (float)code_get(blocks, bits, i) - g.under;
        }
}

static float settle(uint8_t *block, uint32_t bits, uint32_t i, double value)
{
    grid g = grid_of(block, i / PART);
    uint32_t q = ps_block_nearest(value + (double)g.under, (double)g.d, 0, (1 << bits) - 1);
    code_put(block, bits, i, q);
    return g.d * (float)q - g.under;
}

/* Without importance: √mean(x²) + |x|. */
static void plain_weights(const float *x, float *weights)
{
    float mean = sqrtf(ps_ggml_mean_square(x, PART));
    for (int i = 0; i < PART; i++)
        weights[i] = mean + fabsf(x[i]);
}

static float sum_of(const float *weights)
{
    float sum = 0;
    for (int i = 0; i < PART; i++)
        sum += weights[i];
    return sum;
}

static ps_ggml_tries tries_of(uint32_t bits, bool fine)
{
    if (fine)
        return (ps_ggml_tries)PS_GGML_FINE((1 << bits) - 1);
    return bits == 4 ? (ps_ggml_tries){.most = 15, .first = -1, .step = 0.1f, .tries = 20}
                     : (ps_ggml_tries){.most = 31, .first = -0.5f, .step = 0.1f, .tries = 15};
}

static void encode_block(const float *x, const float *importance, uint32_t bits, uint8_t *out)
{
    const ps_ggml_tries how = tries_of(bits, importance != NULL);
    float weights[NUMBERS], scales[PARTS], unders[PARTS], sums[PARTS];
    uint8_t codes[NUMBERS], sc[PARTS], mn[PARTS];
    float sigma2 = importance ? 2 * ps_ggml_mean_square(x, NUMBERS) : 0;
    for (int p = 0; p < PARTS; p++) {
        float *of_part = weights + p * PART;
        if (importance)
            ps_ggml_weights(importance + p * PART, x + p * PART, sigma2, PART, of_part);
        else
            plain_weights(x + p * PART, of_part);
        sums[p] = sum_of(of_part);
    }
    ps_ggml_scales_and_unders(&how, x, weights, PART, PARTS, codes, scales, unders);
    float d = importance ? ps_ggml_scale_of_positive(scales, sums, PARTS, TOP, sc)
                         : by_largest(scales, sc);
    float dmin = importance ? ps_ggml_scale_of_positive(unders, sums, PARTS, TOP, mn)
                            : by_largest(unders, mn);
    put_grids(out, d, dmin, sc, mn);
    for (uint32_t i = 0; i < NUMBERS; i++) {
        grid g = grid_of(out, i / PART);
        int32_t q =
            g.d != 0 ? ps_ggml_clamped(ps_ggml_nearest((x[i] + g.under) / g.d), 0, (1 << bits) - 1)
                     : codes[i];
        code_put(out, bits, i, (uint32_t)q);
    }
}

static void encode(const float *row, const float *importance, uint32_t bits, size_t n, uint8_t *out)
{
    for (size_t at = 0; at < n; at += NUMBERS, out += block_bytes(bits))
        encode_block(row + at, importance ? importance + at : NULL, bits, out);
}

/* The row of a number of bits. A search may lower a least number by twice the range, and what 1 is
 * may be half as much again as by the largest: an eighth of what d and dmin can say is safe. */
#define KS(word, number, b)                                                                        \
    static size_t word##_bytes(uint32_t numbers)                                                   \
    {                                                                                              \
        return numbers / NUMBERS * block_bytes(b);                                                 \
    }                                                                                              \
    static void word##_decode(const uint8_t *blocks, uint32_t group, size_t n, float *out)         \
    {                                                                                              \
        (void)group;                                                                               \
        decode(blocks, b, n, out);                                                                 \
    }                                                                                              \
    static void word##_encode(const float *row, const float *importance, uint32_t group, size_t n, \
                              uint8_t *out)                                                        \
    {                                                                                              \
        (void)group;                                                                               \
        encode(row, importance, b, n, out);                                                        \
    }                                                                                              \
    static float word##_settle(uint8_t *block, uint32_t group, uint32_t i, double value)           \
    {                                                                                              \
        PS_REQUIRE(i < group);                                                                     \
        return settle(block, b, i, value);                                                         \
    }                                                                                              \
    const ps_form_row ps_form_##word = {.name = #word,                                             \
                                        .group = NUMBERS,                                          \
                                        .bits = (b),                                               \
                                        .ggml = (number),                                          \
                                        .zero = true,                                              \
                                        .limit = TOP * PS_F16_LIMIT / 8,                           \
                                        .bytes = word##_bytes,                                     \
                                        .decode = word##_decode,                                   \
                                        .encode = word##_encode,                                   \
                                        .settle = word##_settle};

KS(q4_k, 12, 4)
KS(q5_k, 13, 5)
