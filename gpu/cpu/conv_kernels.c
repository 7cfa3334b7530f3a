/* AVX-512: 8 × 48 sums in 24 registers, as in panels.c, and 4 × 6 of the weight's gradient, each
 * sixteen sums that are added up at the end. */
#include "gpu/cpu/conv_kernels.h"

#include <stddef.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))

enum { LANES = PS_CONV_STEP };

#define SUM(name, registers)                                                            \
    AVX512                                                                              \
    static void name(const ps_conv_sum_of *s)                                           \
    {                                                                                   \
        __m512 sum[PS_CONV_ROWS][registers];                                            \
        const float *weight = s->weight;                                                \
        _Pragma("GCC unroll 8") for (int i = 0; i < PS_CONV_ROWS; i++)                  \
            _Pragma("GCC unroll 3") for (int j = 0; j < registers; j++) sum[i][j] =     \
                _mm512_setzero_ps();                                                    \
        for (int64_t t = 0; t < s->taps; t++, weight += PS_CONV_ROWS) {                 \
            const float *x = s->x + s->offsets[t];                                      \
            __m512 column[registers];                                                   \
            _Pragma("GCC unroll 3") for (int j = 0; j < registers; j++) column[j] =     \
                _mm512_loadu_ps(x + j * LANES);                                         \
            _Pragma("GCC unroll 8") for (int i = 0; i < PS_CONV_ROWS; i++)              \
            {                                                                           \
                __m512 row = _mm512_set1_ps(weight[i]);                                 \
                _Pragma("GCC unroll 3") for (int j = 0; j < registers; j++) sum[i][j] = \
                    _mm512_fmadd_ps(row, column[j], sum[i][j]);                         \
            }                                                                           \
        }                                                                               \
        _Pragma("GCC unroll 8") for (int i = 0; i < PS_CONV_ROWS; i++)                  \
            _Pragma("GCC unroll 3") for (int j = 0; j < registers; j++)                 \
                _mm512_storeu_ps(s->y + i * s->ld + j * LANES, sum[i][j]);              \
    }

SUM(sum_1, 1)
SUM(sum_2, 2)
SUM(sum_3, 3)

static void sum(const ps_conv_sum_of *s)
{
    if (s->wide > 2 * LANES)
        sum_3(s);
    else if (s->wide > LANES)
        sum_2(s);
    else
        sum_1(s);
}

AVX512
static void gradient(ps_conv_gradient_of *g)
{
    __m512 sum[PS_CONV_DYS][PS_CONV_TAPS];
#pragma GCC unroll 4
    for (int i = 0; i < PS_CONV_DYS; i++)
#pragma GCC unroll 6
        for (int t = 0; t < PS_CONV_TAPS; t++)
            sum[i][t] = _mm512_setzero_ps();
    const float *x0 = g->x + g->offsets[0], *x1 = g->x + g->offsets[1];
    const float *x2 = g->x + g->offsets[2], *x3 = g->x + g->offsets[3];
    const float *x4 = g->x + g->offsets[4], *x5 = g->x + g->offsets[5];
    for (int64_t image = 0; image < g->images; image++) {
        const float *dy = g->dy + image * g->dy_image;
        int64_t at = image * g->x_image;
        for (int64_t p = 0; p < g->n; p += LANES) {
            __m512 d[PS_CONV_DYS];
#pragma GCC unroll 4
            for (int i = 0; i < PS_CONV_DYS; i++)
                d[i] = _mm512_loadu_ps(dy + i * g->ld + p);
            const float *from[PS_CONV_TAPS] = {x0 + at + p, x1 + at + p, x2 + at + p,
                                               x3 + at + p, x4 + at + p, x5 + at + p};
#pragma GCC unroll 6
            for (int t = 0; t < PS_CONV_TAPS; t++) {
                __m512 x = _mm512_loadu_ps(from[t]);
#pragma GCC unroll 4
                for (int i = 0; i < PS_CONV_DYS; i++)
                    sum[i][t] = _mm512_fmadd_ps(d[i], x, sum[i][t]);
            }
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < PS_CONV_DYS; i++)
#pragma GCC unroll 6
        for (int t = 0; t < PS_CONV_TAPS; t++)
            g->sums[i][t] += _mm512_reduce_add_ps(sum[i][t]);
}

const ps_conv_kernels *ps_conv_kernels_for(const ps_cpu_features *features)
{
    static const ps_conv_kernels kernels = {.sum = sum, .gradient = gradient};
    return features->avx512 ? &kernels : NULL;
}

#else

const ps_conv_kernels *ps_conv_kernels_for(const ps_cpu_features *features)
{
    (void)features;
    return NULL;
}

#endif
