/* q8_0, ggml's: blocks of 32: f16 d, 32 codes of −127 to 127, w = d·q. d is the largest magnitude
 * / 127; importance is not heeded, as in ggml. */
#include "common/base/half.h"
#include "common/base/require.h"
#include "common/form/ggml.h"
#include "common/form/rows.h"

#include <math.h>
#include <string.h>

enum { NUMBERS = 32, BYTES = 2 + NUMBERS, MOST = 127 };

static size_t bytes_of(uint32_t numbers)
{
    return (size_t)numbers / NUMBERS * BYTES;
}

static float scale_of(const uint8_t *block)
{
    uint16_t bits;
    memcpy(&bits, block, sizeof bits);
    return ps_f16_value(bits);
}

static void decode(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    (void)group;
    for (size_t b = 0; b < n / NUMBERS; b++, blocks += BYTES)
        for (int i = 0; i < NUMBERS; i++)
            out[b * NUMBERS + (size_t)i] = scale_of(blocks) * (float)(int8_t)blocks[2 + i];
}

/* Codes are chosen for the scale before it becomes a float16: so ggml does. */
static void encode_block(const float *x, uint8_t *out)
{
    float most = 0;
    for (int i = 0; i < NUMBERS; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    float d = most / MOST, inverse = d != 0 ? 1 / d : 0;
    uint16_t bits = ps_f16_of(d);
    memcpy(out, &bits, sizeof bits);
    for (int i = 0; i < NUMBERS; i++)
        out[2 + i] = (uint8_t)ps_ggml_truncated(roundf(x[i] * inverse));
}

static void encode(const float *row, const float *importance, uint32_t group, size_t n,
                   uint8_t *out)
{
    (void)importance, (void)group;
    for (size_t b = 0; b < n / NUMBERS; b++)
        encode_block(row + b * NUMBERS, out + b * BYTES);
}

static float settle(uint8_t *block, uint32_t group, uint32_t i, double value)
{
    (void)group;
    PS_REQUIRE(i < NUMBERS);
    float d = scale_of(block);
    double q = d > 0 ? rint(value / (double)d) : 0;
    int8_t code = (int8_t)(q < -MOST ? -MOST : q > MOST ? MOST : q);
    block[2 + i] = (uint8_t)code;
    return d * (float)code;
}

const ps_form_row ps_form_q8_0 = {.name = "q8_0",
                                  .group = NUMBERS,
                                  .bits = 8,
                                  .ggml = 8,
                                  .limit = MOST * PS_F16_LIMIT,
                                  .bytes = bytes_of,
                                  .decode = decode,
                                  .encode = encode,
                                  .settle = settle};
