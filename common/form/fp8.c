/* fp8: blocks of a chosen size, as compressed-tensors has them: float32 scale s, codes of one byte,
 * E4M3 of the OCP (sign, 4 bits of exponent with bias 7, 3 of mantissa; no infinity, 0x7f is no
 * number; to 448): w = s·e4m3(code). s is the largest magnitude / 448; codes are rounded to
 * nearest, ties to even. Importance is not heeded: the steps follow the numbers' own size.
 */
#include "common/base/require.h"
#include "common/form/rows.h"

#include <math.h>
#include <string.h>

enum { HEAD = 4, BIAS = 7, MANTISSA = 3, LEAST_EXPONENT = 1 - BIAS, NO_NUMBER = 0x7f };
static const double most = 448;

static size_t bytes_of(uint32_t numbers)
{
    return HEAD + (size_t)numbers;
}

static float value_of(uint8_t code)
{
    int exponent = code >> MANTISSA & 15, mantissa = code & 7;
    if ((code & NO_NUMBER) == NO_NUMBER)
        return NAN;
    float v = exponent ? ldexpf((float)(8 + mantissa), exponent - BIAS - MANTISSA)
                       : ldexpf((float)mantissa, LEAST_EXPONENT - MANTISSA);
    return code & 0x80 ? -v : v;
}

/* Of a number; beyond 448 it is that. */
static uint8_t code_of(double v)
{
    double a = fmin(fabs(v), most);
    int exponent = a > 0 ? ilogb(a) : LEAST_EXPONENT;
    if (exponent < LEAST_EXPONENT)
        exponent = LEAST_EXPONENT;
    /* in steps of the exponent: 8 to 16, or below 8 under the least; 16 goes into the exponent */
    int steps = (int)rint(ldexp(a, MANTISSA - exponent));
    int code = ((exponent + BIAS - 1) << MANTISSA) + steps;
    return (uint8_t)(code | (signbit(v) ? 0x80 : 0));
}

static float scale_of(const uint8_t *block)
{
    float scale;
    memcpy(&scale, block, sizeof scale);
    return scale;
}

static void decode(const uint8_t *blocks, uint32_t group, size_t n, float *out)
{
    for (size_t b = 0; b < n / group; b++, blocks += bytes_of(group))
        for (uint32_t i = 0; i < group; i++)
            *out++ = scale_of(blocks) * value_of(blocks[HEAD + i]);
}

static void encode(const float *row, const float *importance, uint32_t group, size_t n,
                   uint8_t *out)
{
    (void)importance;
    for (const float *x = row; x < row + n; x += group, out += bytes_of(group)) {
        float top = 0;
        for (uint32_t i = 0; i < group; i++)
            top = fmaxf(top, fabsf(x[i]));
        float scale = top / (float)most;
        memcpy(out, &scale, sizeof scale);
        for (uint32_t i = 0; i < group; i++)
            out[HEAD + i] = scale > 0 ? code_of((double)(x[i] / scale)) : 0;
    }
}

static float settle(uint8_t *block, uint32_t group, uint32_t i, double value)
{
    PS_REQUIRE(i < group);
    float scale = scale_of(block);
    block[HEAD + i] = scale > 0 ? code_of(value / (double)scale) : 0;
    return scale * value_of(block[HEAD + i]);
}

const ps_form_row ps_form_fp8 = {.name = "fp8",
                                 .bits = 8,
                                 .ggml = -1,
                                 .limit = INFINITY,
                                 .bytes = bytes_of,
                                 .decode = decode,
                                 .encode = encode,
                                 .settle = settle};
