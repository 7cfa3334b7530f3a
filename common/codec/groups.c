#include "common/codec/groups.h"

#include "common/base/vector.h"

#include <math.h>
#include <string.h>

/* Added and taken away again, it leaves the nearest whole number, ties to even. */
static const float rounder = 0x1.8p23f;

typedef int32_t wire_bits __attribute__((may_alias));

/* values + residual into sum; returns the largest magnitude, NaN above all. */
PS_VECTOR_CLONES
static float add_up(const ps_wire_float *values, const float *residual, size_t n, float *sum)
{
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++)
        sum[i] = values[i] + residual[i];
    const wire_bits *bits = (const wire_bits *)(const void *)sum;
    union {
        int32_t bits;
        float value;
    } most = {.bits = 0};
    for (size_t i = 0; i < n; i++) {
        int32_t magnitude = bits[i] & 0x7fffffff;
        most.bits = magnitude > most.bits ? magnitude : most.bits;
    }
    return most.value;
}

PS_VECTOR_CLONES
static void quantise(const float *sum, size_t n, float scale, int8_t *codes, float *residual)
{
    float inverse = 1 / scale;
    PS_VECTOR_LOOP
    for (size_t i = 0; i < n; i++) {
        float code = (sum[i] * inverse + rounder) - rounder;
        codes[i] = (int8_t)(int32_t)code;
        residual[i] = sum[i] - code * scale;
    }
}

float ps_codec_group(const ps_wire_float *values, size_t n, int most_code, float *residual,
                     int8_t *codes)
{
    float sum[PS_CODEC_GROUP_MAX];
    float most = add_up(values, residual, n, sum), scale = most / (float)most_code;
    memset(codes, 0, n);
    if (!isfinite(most))
        return NAN;
    if (!isnormal(scale)) {
        memcpy(residual, sum, n * sizeof *sum);
        return 0;
    }
    quantise(sum, n, scale, codes, residual);
    return scale;
}
