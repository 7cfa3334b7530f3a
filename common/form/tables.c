/* iq4_nl and mxfp4, ggml's: blocks of 32 whose codes are places in a table of sixteen numbers.
 *
 *     iq4_nl   f16 d, qs[16]     w = d·T[q]           T finer about zero
 *     mxfp4    u8 e, qs[16]      w = 2^(e − 128)·T[q]   T twice 0, ½, 1, 1½, 2, 3, 4, 6 and their
 *                                                        negatives (E2M1 of the OCP's MX)
 *
 * Byte j of qs has number j in its lower half and number j + 16 in its upper one. iq4_nl searches
 * fifteen scales for the best by x² or importance; mxfp4 takes the power of two below the largest
 * magnitude, and heeds no importance. An e of 255 is a scale as any other in ggml, where the OCP
 * has NaN; of numbers below 2^-124 ggml's e wraps, to 255 and less, with codes of 0.
 */
#include "common/base/require.h"
#include "common/form/block.h"
#include "common/form/ggml.h"
#include "common/form/rows.h"

enum { NUMBERS = 32, HALF = NUMBERS / 2, CODES = 16 };

static const int8_t uneven[CODES] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};
static const int8_t e2m1[CODES] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* qs, the head before it taken off. */
static uint32_t code_get(const uint8_t *qs, uint32_t i)
{
    return ps_block_bits(qs[i % HALF], i / HALF * 4, 15);
}

static void code_put(uint8_t *qs, uint32_t i, uint32_t code)
{
    ps_block_put_bits(&qs[i % HALF], i / HALF * 4, 15, code);
}

/* The place whose number times scale, as it is read, is nearest to value; the first of several. */
static uint32_t nearest_in(const int8_t *table, float scale, double value)
{
    uint32_t best = 0;
    double least = INFINITY;
    for (uint32_t q = 0; q < CODES; q++) {
        double off = fabs((double)(scale * (float)table[q]) - value);
        if (off < least) {
            least = off;
            best = q;
        }
    }
    return best;
}

/* ---- iq4_nl ---- */

enum { UNEVEN_BYTES = 2 + HALF, UNEVEN_TRIES = 7 };

static size_t uneven_bytes(uint32_t numbers)
{
    return (size_t)numbers / NUMBERS * UNEVEN_BYTES;
}

static void uneven_decode(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    (void)group;
    for (size_t b = 0; b < n / NUMBERS; b++, blocks += UNEVEN_BYTES) {
        float d = ps_block_half(blocks);
        for (uint32_t i = 0; i < NUMBERS; i++)
            *out++ = d * (float)uneven[code_get(blocks + 2, i)];
    }
}

static float uneven_settle(uint8_t *block, uint32_t group, uint32_t i, double value)
{
    PS_REQUIRE(i < group);
    float d = ps_block_half(block);
    uint32_t q = nearest_in(uneven, d, value);
    code_put(block + 2, i, q);
    return d * (float)uneven[q];
}

/* Between two places the upper one, as ggml. */
static uint32_t uneven_place(float v)
{
    uint32_t q = 0;
    while (q + 1 < CODES && v + v >= (float)(uneven[q] + uneven[q + 1]))
        q++;
    return q;
}

/* For codes by an inverse scale: Σ w·q·x and Σ w·q². */
static void uneven_sums(const float *x, const float *weights, float inverse, float *qx, float *q2)
{
    *qx = *q2 = 0;
    for (int i = 0; i < NUMBERS; i++) {
        float q = (float)uneven[uneven_place(inverse * x[i])];
        *qx += weights[i] * q * x[i];
        *q2 += weights[i] * q * q;
    }
}

static float uneven_scale(const float *x, const float *weights)
{
    float top = 0, qx, q2;
    for (int i = 0; i < NUMBERS; i++)
        top = fabsf(x[i]) > fabsf(top) ? x[i] : top;
    if (fabsf(top) < PS_GGML_NOTHING)
        return 0;
    uneven_sums(x, weights, 1 / (-top / (float)uneven[0]), &qx, &q2);
    float d = q2 > 0 ? qx / q2 : 0, best = d * qx;
    for (int k = -UNEVEN_TRIES; k <= UNEVEN_TRIES; k++) {
        uneven_sums(x, weights, (float)(k + uneven[0]) / top, &qx, &q2);
        if (q2 > 0 && qx * qx > best * q2) {
            d = qx / q2;
            best = d * qx;
        }
    }
    return d;
}

static void uneven_encode(const float *row, const float *importance, uint32_t group, size_t n,
                          uint8_t *out)
{
    (void)group;
    for (size_t at = 0; at < n; at += NUMBERS, out += UNEVEN_BYTES) {
        const float *x = row + at;
        float weights[NUMBERS], sigma2 = 2 * ps_ggml_mean_square(x, NUMBERS);
        for (int i = 0; !importance && i < NUMBERS; i++)
            weights[i] = x[i] * x[i];
        if (importance)
            ps_ggml_weights(importance + at, x, sigma2, NUMBERS, weights);
        float d = uneven_scale(x, weights), inverse = d != 0 ? 1 / d : 0;
        ps_block_put_half(out, d);
        for (uint32_t i = 0; i < NUMBERS; i++)
            code_put(out + 2, i, uneven_place(inverse * x[i]));
    }
}

const ps_form_row ps_form_iq4_nl = {.name = "iq4_nl",
                                    .group = NUMBERS,
                                    .bits = 4,
                                    .ggml = 20,
                                    .limit = 32 * PS_F16_LIMIT,
                                    .bytes = uneven_bytes,
                                    .decode = uneven_decode,
                                    .encode = uneven_encode,
                                    .settle = uneven_settle};

/* ---- mxfp4 ---- */

enum { MX_BYTES = 1 + HALF, MX_BIAS = 127, MX_TOP = 2 /* the exponent of 6, the largest */ };

static size_t mx_bytes(uint32_t numbers)
{
    return (size_t)numbers / NUMBERS * MX_BYTES;
}

/* Half of 2^(e − 127), as the table is twice what it says. */
static float mx_scale(uint8_t e)
{
    return ldexpf(1, e - MX_BIAS - 1);
}

static void mx_decode(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    (void)group;
    for (size_t b = 0; b < n / NUMBERS; b++, blocks += MX_BYTES) {
        float d = mx_scale(blocks[0]);
        for (uint32_t i = 0; i < NUMBERS; i++)
            *out++ = d * (float)e2m1[code_get(blocks + 1, i)];
    }
}

static float mx_settle(uint8_t *block, uint32_t group, uint32_t i, double value)
{
    PS_REQUIRE(i < group);
    float d = mx_scale(block[0]);
    uint32_t q = nearest_in(e2m1, d, value);
    code_put(block + 1, i, q);
    return d * (float)e2m1[q];
}

/* By errors in float32: so ggml decides between two. */
static uint32_t mx_place(float x, float d)
{
    uint32_t best = 0;
    for (uint32_t q = 1; q < CODES; q++)
        if (fabsf((float)e2m1[q] * d - x) < fabsf((float)e2m1[best] * d - x))
            best = q;
    return best;
}

static void mx_encode(const float *row, const float *importance, uint32_t group, size_t n,
                      uint8_t *out)
{
    (void)importance, (void)group;
    for (const float *x = row; x < row + n; x += NUMBERS, out += MX_BYTES) {
        float most = 0;
        for (int i = 0; i < NUMBERS; i++)
            most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
        out[0] =
            most > 0 ? (uint8_t)(ps_ggml_truncated(floorf(log2f(most))) - MX_TOP + MX_BIAS) : 0;
        for (uint32_t i = 0; i < NUMBERS; i++)
            code_put(out + 1, i, mx_place(x[i], mx_scale(out[0])));
    }
}

const ps_form_row ps_form_mxfp4 = {.name = "mxfp4",
                                   .group = NUMBERS,
                                   .bits = 4,
                                   .ggml = 39,
                                   .limit = INFINITY,
                                   .bytes = mx_bytes,
                                   .decode = mx_decode,
                                   .encode = mx_encode,
                                   .settle = mx_settle};
