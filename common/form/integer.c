/* The integer forms: blocks of a chosen size.
 *
 *     symmetric   f16 scale s, codes                  w = s·q        q from −2^(b−1), of 8 bits
 * −127 affine      f16 scale s, u8 z, u8 f, codes   w = s·(q − z − f/256)   q from 0 to 2^b − 1
 *
 * Code k of a block stands in bits k·b … of its bytes, lowest first, symmetric ones with 2^(b−1)
 * added (so nobody has to extend a sign). The range of a block is its largest magnitude, or from
 * its least to its largest number with 0 between; the scale is what a float16 can say of it, and
 * codes are chosen for the scale that is written. A zero is a whole number here (f is 0; hqq makes
 * others, which files of GPTQ and AWQ cannot say): the nearest, so that either end is off by no
 * more than half a step, as any number. With importance, less than the range is tried as well: what
 * the largest numbers lose may be less than what all others gain. A block whose scale is too small
 * for a float16 (below 2^−25) is zeros.
 */
#include "common/base/half.h"
#include "common/base/require.h"
#include "common/base/vector.h"
#include "common/form/rows.h"

#include <math.h>
#include <string.h>

typedef struct grid {
    double scale;
    double fraction;           /* of the zero, below 1 */
    int32_t zero, least, most; /* codes as numbers, zero and fraction subtracted from them */
    int32_t shift;             /* what is added to a code where it is written */
} grid;

static const double FRACTIONS = 256; /* of a zero */

enum { TRIES = 20 }; /* shares of the range, each 2.5 % less than the one before */

static float scale_of(const uint8_t *block)
{
    uint16_t bits;
    memcpy(&bits, block, sizeof bits);
    return ps_f16_value(bits);
}

static grid grid_of(const uint8_t *block, uint32_t bits, bool affine)
{
    int32_t half = 1 << (bits - 1);
    grid g = {.scale = (double)scale_of(block)};
    if (affine) {
        g.zero = block[2];
        g.fraction = block[3] / FRACTIONS;
        g.most = 2 * half - 1;
    } else {
        g.shift = half;
        g.least = bits == 8 ? 1 - half : -half;
        g.most = half - 1;
    }
    return g;
}

static size_t head_bytes(bool affine)
{
    return affine ? 4 : 2;
}

static uint32_t code_get(const uint8_t *codes, uint32_t bits, uint32_t i)
{
    uint64_t at = (uint64_t)i * bits;
    uint32_t mask = (1u << bits) - 1, value = codes[at / 8];
    if (at % 8 + bits > 8)
        value |= (uint32_t)codes[at / 8 + 1] << 8;
    return value >> (at % 8) & mask;
}

static void code_put(uint8_t *codes, uint32_t bits, uint32_t i, uint32_t code)
{
    uint64_t at = (uint64_t)i * bits;
    uint32_t mask = ((1u << bits) - 1) << (at % 8), value = code << (at % 8);
    codes[at / 8] = (uint8_t)((codes[at / 8] & ~mask) | value);
    if (at % 8 + bits > 8)
        codes[at / 8 + 1] = (uint8_t)((codes[at / 8 + 1] & ~(mask >> 8)) | value >> 8);
}

static int32_t nearest(const grid *g, double value)
{
    double q = rint(value / g->scale + g->fraction) + g->zero;
    if (g->scale == 0 || !isfinite(q))
        q = g->zero;
    return q < g->least ? g->least : q > g->most ? g->most : (int32_t)q;
}

/* Exact but for the product. */
static float value_of(const grid *g, int32_t q)
{
    return (float)g->scale * ((float)(q - g->zero) - (float)g->fraction);
}

static float settle(uint8_t *block, uint32_t bits, bool affine, uint32_t i, double value)
{
    grid g = grid_of(block, bits, affine);
    int32_t q = nearest(&g, value);
    code_put(block + head_bytes(affine), bits, i, (uint32_t)(q + g.shift));
    return value_of(&g, q);
}

static void decode(const uint8_t *blocks, uint32_t bits, bool affine, uint32_t group, size_t n,
                   float *out)
{
    size_t bytes = head_bytes(affine) + (size_t)group * bits / 8;
    for (size_t b = 0; b < n / group; b++) {
        const uint8_t *block = blocks + b * bytes, *codes = block + head_bytes(affine);
        const grid g = grid_of(block, bits, affine);
        for (uint32_t i = 0; i < group; i++)
            out[b * group + i] = value_of(&g, (int32_t)code_get(codes, bits, i) - g.shift);
    }
}

/* Writes scale and zero for a range. */
static void put_range(uint8_t *block, uint32_t bits, bool affine, double least, double most)
{
    double steps = (1u << bits) - 1;
    double range = affine ? most - least : fmax(-least, most);
    double full = affine ? steps : bits == 8 ? 127 : steps / 2;
    double size = range / full, zero = affine && range > 0 ? rint(-least / size) : 0;
    uint16_t scale = ps_f16_of((float)size);
    memcpy(block, &scale, sizeof scale);
    if (affine) {
        block[2] = ps_f16_value(scale) > 0 ? (uint8_t)fmin(zero, steps) : 0;
        block[3] = 0;
    }
}

static double error_of(const uint8_t *block, uint32_t bits, bool affine, const float *x,
                       const float *importance, uint32_t n)
{
    const grid g = grid_of(block, bits, affine);
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        double e = (double)x[i] - g.scale * (nearest(&g, (double)x[i]) - g.zero - g.fraction);
        sum += (double)importance[i] * e * e;
    }
    return sum;
}

PS_VECTOR_CLONES
static void find_range(const float *x, uint32_t n, float *least, float *most)
{
    float low = 0, high = 0;
    PS_VECTOR_LOOP
    for (uint32_t i = 0; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    *least = low;
    *most = high;
}

/* What settle would write for each of n numbers, a byte each. The scale is not 0. */
PS_VECTOR_CLONES
static void find_codes(const grid *g, const float *x, uint32_t n, uint8_t *codes)
{
    double scale = g->scale, zero = g->zero, least = g->least, most = g->most, shift = g->shift;
    PS_VECTOR_LOOP
    for (uint32_t i = 0; i < n; i++) {
        double q = rint((double)x[i] / scale) + zero;
        q = q < least ? least : q;
        q = q > most ? most : q;
        codes[i] = (uint8_t)(int32_t)(q + shift);
    }
}

/* `each` codes a byte, the lowest bits first. */
static void pack(const uint8_t *codes, uint32_t n, uint32_t bits, uint8_t *out)
{
    uint32_t each = 8 / bits;
    for (uint32_t i = 0; i < n; i += each) {
        uint32_t byte = 0;
        for (uint32_t k = 0; k < each; k++)
            byte |= (uint32_t)codes[i + k] << (k * bits);
        out[i / each] = (uint8_t)byte;
    }
}

enum { PART = 256 }; /* numbers of whole bytes, whatever the bits are */

/* The codes of n numbers from a byte's beginning on. */
static void put_part(const grid *g, const float *x, uint32_t n, uint32_t bits, uint8_t *out)
{
    uint8_t codes[PART];
    if (g->scale > 0)
        find_codes(g, x, n, codes);
    else
        memset(codes, g->zero + g->shift, n);
    if (8 % bits == 0) {
        pack(codes, n, bits, out);
        return;
    }
    memset(out, 0, (size_t)n * bits / 8);
    for (uint32_t i = 0; i < n; i++)
        code_put(out, bits, i, codes[i]);
}

static void encode_block(const float *x, const float *importance, uint32_t bits, bool affine,
                         uint32_t n, uint8_t *out)
{
    float low = 0, high = 0;
    find_range(x, n, &low, &high);
    double least = (double)low, most = (double)high, best_share = 1, best = INFINITY;
    for (int k = 0; importance && k < TRIES; k++) {
        double share = 1 - 0.025 * k;
        put_range(out, bits, affine, least * share, most * share);
        double error = error_of(out, bits, affine, x, importance, n);
        if (error < best) {
            best = error;
            best_share = share;
        }
    }
    put_range(out, bits, affine, least * best_share, most * best_share);
    const grid g = grid_of(out, bits, affine);
    for (uint32_t at = 0; at < n; at += PART)
        put_part(&g, x + at, n - at < PART ? n - at : PART, bits,
                 out + head_bytes(affine) + (size_t)at * bits / 8);
}

static void encode(const float *row, const float *importance, uint32_t bits, bool affine,
                   uint32_t group, size_t n, uint8_t *out)
{
    size_t bytes = head_bytes(affine) + (size_t)group * bits / 8;
    for (size_t b = 0; b < n / group; b++)
        encode_block(row + b * group, importance ? importance + b * group : NULL, bits, affine,
                     group, out + b * bytes);
}

void ps_form_zero_put(ps_form form, uint8_t *block, double scale, double zero)
{
    PS_REQUIRE(form.row->integer && form.row->zero && scale >= 0);
    PS_REQUIRE(zero >= 0 && zero <= (1u << form.row->bits) - 1);
    uint16_t half = ps_f16_of((float)scale), parts = (uint16_t)rint(zero * FRACTIONS);
    memcpy(block, &half, sizeof half);
    block[2] = (uint8_t)(parts >> 8);
    block[3] = (uint8_t)parts;
}

bool ps_form_zero_is_whole(ps_form form, const uint8_t *block)
{
    PS_REQUIRE(form.row->integer && form.row->zero);
    return block[3] == 0;
}

/* The row of a number of bits, affine or not. */
#define INTEGER(word, b, is_affine)                                                                \
    static size_t word##_bytes(uint32_t numbers)                                                   \
    {                                                                                              \
        return head_bytes(is_affine) + (size_t)numbers * (b) / 8;                                  \
    }                                                                                              \
    static void word##_decode(const uint8_t *blocks, uint32_t group, size_t n, float *out)         \
    {                                                                                              \
        decode(blocks, b, is_affine, group, n, out);                                               \
    }                                                                                              \
    static void word##_encode(const float *row, const float *importance, uint32_t group, size_t n, \
                              uint8_t *out)                                                        \
    {                                                                                              \
        encode(row, importance, b, is_affine, group, n, out);                                      \
    }                                                                                              \
    static float word##_settle(uint8_t *block, uint32_t group, uint32_t i, double value)           \
    {                                                                                              \
        PS_REQUIRE(i < group);                                                                     \
        return settle(block, b, is_affine, i, value);                                              \
    }                                                                                              \
    const ps_form_row ps_form_##word = {.name = #word,                                             \
                                        .bits = (b),                                               \
                                        .ggml = -1,                                                \
                                        .zero = (is_affine),                                       \
                                        .integer = true,                                           \
                                        .limit = PS_F16_LIMIT,                                     \
                                        .bytes = word##_bytes,                                     \
                                        .decode = word##_decode,                                   \
                                        .encode = word##_encode,                                   \
                                        .settle = word##_settle};

INTEGER(int8, 8, false)
INTEGER(int4, 4, false)
INTEGER(int3, 3, false)
INTEGER(int2, 2, false)
INTEGER(uint8, 8, true)
INTEGER(uint4, 4, true)
INTEGER(uint3, 3, true)
INTEGER(uint2, 2, true)
