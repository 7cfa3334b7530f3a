/* AVX-512: 16 lanes. */
#include "gpu/cpu/attention_rows.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { LANES = 16 };
typedef __m512 F;

INLINE F f_zero(void)
{
    return _mm512_setzero_ps();
}

INLINE F f_set1(float x)
{
    return _mm512_set1_ps(x);
}

INLINE F f_madd(F a, F b, F c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE F f_load(const float *at)
{
    return _mm512_loadu_ps(at);
}

INLINE void f_store(float *at, F x)
{
    _mm512_storeu_ps(at, x);
}

INLINE F f_halves(const uint16_t *at)
{
    __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)at);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

INLINE F f_bytes(const int8_t *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}

INLINE __m128 fold(F x)
{
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

INLINE void f_sums(float *out, const F *x)
{
    __m128 ab = _mm_hadd_ps(fold(x[0]), fold(x[1])), cd = _mm_hadd_ps(fold(x[2]), fold(x[3]));
    _mm_storeu_ps(out, _mm_hadd_ps(ab, cd));
}

#include "gpu/cpu/attention_kernel.h"

const ps_cpu_row_kernels ps_cpu_row_kernels_avx512 = {KERNELS};

#endif
