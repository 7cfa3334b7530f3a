/* Sixteen windows at a time; what is behind a row's end is neither read nor written. */
#include "gpu/cpu/pool_kernels.h"

#include <stddef.h>

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma")))

enum { LANES = 16 };

/* The lanes that n numbers fill. */
static __mmask16 lanes_of(int64_t n)
{
    return n >= LANES ? 0xFFFF : n <= 0 ? 0 : (__mmask16)((1U << n) - 1);
}

/* Every second number of two registers: from lane 0, or from lane 1. */
#define SECONDS(first)                                                                           \
    _mm512_setr_epi32((first), (first) + 2, (first) + 4, (first) + 6, (first) + 8, (first) + 10, \
                      (first) + 12, (first) + 14, (first) + 16, (first) + 18, (first) + 20,      \
                      (first) + 22, (first) + 24, (first) + 26, (first) + 28, (first) + 30)

/* Is a the first of the largest of a and b? NaN is larger than any number. */
AVX512
static __mmask16 is_first(__m512 a, __m512 b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ) | _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}

AVX512
static void largest(const float *x, const float *below, float *y, uint8_t *index, int64_t n)
{
    const __m512i even = SECONDS(0), odd = SECONDS(1);
    for (int64_t o = 0; o < n; o += LANES) {
        __mmask16 m0 = lanes_of(2 * (n - o)), m1 = lanes_of(2 * (n - o) - LANES);
        __m512 t0 = _mm512_maskz_loadu_ps(m0, x + 2 * o);
        __m512 t1 = _mm512_maskz_loadu_ps(m1, x + 2 * o + LANES);
        __m512 l0 = _mm512_maskz_loadu_ps(m0, below + 2 * o);
        __m512 l1 = _mm512_maskz_loadu_ps(m1, below + 2 * o + LANES);
        __m512 a = _mm512_permutex2var_ps(t0, even, t1), b = _mm512_permutex2var_ps(t0, odd, t1);
        __m512 c = _mm512_permutex2var_ps(l0, even, l1), d = _mm512_permutex2var_ps(l0, odd, l1);
        __mmask16 is_a = is_first(a, b), is_c = is_first(c, d);
        __m512 upper = _mm512_mask_mov_ps(b, is_a, a), lower = _mm512_mask_mov_ps(d, is_c, c);
        __mmask16 is_upper = is_first(upper, lower), there = lanes_of(n - o);
        __mmask16 left = (__mmask16)((is_upper & is_a) | (~is_upper & is_c));
        __m512i at = _mm512_or_epi32(_mm512_maskz_set1_epi32((__mmask16)~left, 1),
                                     _mm512_maskz_set1_epi32((__mmask16)~is_upper, 2));
        _mm512_mask_storeu_ps(y + o, there, _mm512_mask_mov_ps(lower, is_upper, upper));
        _mm_mask_storeu_epi8(index + o, there, _mm512_cvtepi32_epi8(at));
    }
}

/* Sixteen of dy where index is `left` and `left` + 1, side by side. */
AVX512
static void spread_row(float *dx, __mmask16 m0, __mmask16 m1, __m512 dy, __m512i at, int left)
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high =
        _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    __m512 a = _mm512_maskz_mov_ps(_mm512_cmpeq_epi32_mask(at, _mm512_set1_epi32(left)), dy);
    __m512 b = _mm512_maskz_mov_ps(_mm512_cmpeq_epi32_mask(at, _mm512_set1_epi32(left + 1)), dy);
    _mm512_mask_storeu_ps(dx, m0, _mm512_permutex2var_ps(a, low, b));
    _mm512_mask_storeu_ps(dx + LANES, m1, _mm512_permutex2var_ps(a, high, b));
}

AVX512
static void spread(float *dx, float *below, const float *dy, const uint8_t *index, int64_t n)
{
    for (int64_t o = 0; o < n; o += LANES) {
        __mmask16 m0 = lanes_of(2 * (n - o)), m1 = lanes_of(2 * (n - o) - LANES);
        __mmask16 there = lanes_of(n - o);
        __m512 d = _mm512_maskz_loadu_ps(there, dy + o);
        __m512i at = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(there, index + o));
        spread_row(dx + 2 * o, m0, m1, d, at, 0);
        spread_row(below + 2 * o, m0, m1, d, at, 2);
    }
}

const ps_pool_kernels *ps_pool_kernels_for(const ps_cpu_features *features)
{
    static const ps_pool_kernels kernels = {.largest = largest, .spread = spread};
    return features->avx512 ? &kernels : NULL;
}

#else

const ps_pool_kernels *ps_pool_kernels_for(const ps_cpu_features *features)
{
    (void)features;
    return NULL;
}

#endif
