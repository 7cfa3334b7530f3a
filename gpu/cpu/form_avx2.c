/* AVX2: 8 lanes, twice. Its product of bytes holds sums of two in 16 bits: those of codes below 128
 * fit (2 · 127 · 127), and those of codes less a zero of 128 (2 · 128 · 127), whose sign the
 * numbers of x take. Others are taken as two numbers of 16 bits each. */
#include "gpu/cpu/form_kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { LANES = 8 };
typedef __m256i V;
typedef __m256 F;
typedef __m128i H;

INLINE V v_load(const uint8_t *at)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}

INLINE void v_store(uint8_t *at, V v)
{
    _mm256_storeu_si256((__m256i *)(void *)at, v);
}

INLINE V v_set1(int32_t x)
{
    return _mm256_set1_epi32(x);
}

INLINE V v_and(V a, V b)
{
    return _mm256_and_si256(a, b);
}

INLINE V v_or(V a, V b)
{
    return _mm256_or_si256(a, b);
}

INLINE V v_add(V a, V b)
{
    return _mm256_add_epi32(a, b);
}

INLINE V v_mul(V a, V b)
{
    return _mm256_mullo_epi32(a, b);
}

INLINE V v_srl(V a, int n)
{
    return _mm256_srl_epi32(a, _mm_cvtsi32_si128(n));
}

INLINE V v_sll(V a, int n)
{
    return _mm256_sll_epi32(a, _mm_cvtsi32_si128(n));
}

INLINE V v_sra(V a, int n)
{
    return _mm256_sra_epi32(a, _mm_cvtsi32_si128(n));
}

INLINE V v_halves(const uint8_t *at)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)at));
}

INLINE V v_bytes(const uint8_t *at)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at));
}

INLINE V v_table(const int8_t *table, V places)
{
    __m128i numbers = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(numbers), places);
}

/* Bytes 0 and 2 of each lane, then 1 and 3. */
INLINE V v_dot(V sum, V u, const int8_t *q)
{
    int32_t four;
    __builtin_memcpy(&four, q, sizeof four);
    V x = _mm256_set1_epi32(four);
    V even = _mm256_madd_epi16(_mm256_and_si256(u, _mm256_set1_epi16(0xFF)),
                               _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8));
    V odd = _mm256_madd_epi16(_mm256_srli_epi16(u, 8), _mm256_srai_epi16(x, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

/* To each lane its two sums of 16 bits. */
INLINE V add_pairs(V sum, V pairs)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

INLINE V v_dot_low(V sum, V u, const int8_t *q)
{
    int32_t four;
    __builtin_memcpy(&four, q, sizeof four);
    return add_pairs(sum, _mm256_maddubs_epi16(u, _mm256_set1_epi32(four)));
}

enum { LESS_128 = 1 };

/* x has no −128: what is negated has a sign. */
INLINE V v_dot_less(V sum, V u, const int8_t *q)
{
    int32_t four;
    __builtin_memcpy(&four, q, sizeof four);
    V w = _mm256_xor_si256(u, _mm256_set1_epi8(-128));
    V x = _mm256_sign_epi8(_mm256_set1_epi32(four), w);
    return add_pairs(sum, _mm256_maddubs_epi16(_mm256_abs_epi8(w), x));
}

INLINE F v_float(V v)
{
    return _mm256_cvtepi32_ps(v);
}

INLINE F f_zero(void)
{
    return _mm256_setzero_ps();
}

INLINE F f_set1(float x)
{
    return _mm256_set1_ps(x);
}

INLINE F f_mul(F a, F b)
{
    return _mm256_mul_ps(a, b);
}

INLINE F f_madd(F a, F b, F c)
{
    return _mm256_fmadd_ps(a, b, c);
}

INLINE F f_add(F a, F b)
{
    return _mm256_add_ps(a, b);
}

INLINE F f_sub(F a, F b)
{
    return _mm256_sub_ps(a, b);
}

INLINE void f_store(float *at, F x)
{
    _mm256_storeu_ps(at, x);
}

INLINE F f_halves(const uint8_t *at)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)at));
}

INLINE F f_load(const float *at)
{
    return _mm256_loadu_ps(at);
}

INLINE F f_bits(V v)
{
    return _mm256_castsi256_ps(v);
}

/* E4M3 has float16's bits further down, and an exponent that is 8 more: a 256th. Its NaN has no
 * such. */
INLINE void f_e4m3(const uint8_t *at, F *even, F *odd, H *no_number)
{
    H v = _mm_loadu_si128((const __m128i *)(const void *)at), most = _mm_set1_epi16(0x7F7F);
    H keep = _mm_set1_epi16((short)0xBF80);
    H first = _mm_srai_epi16(_mm_slli_epi16(v, 8), 1), second = _mm_srai_epi16(v, 1);
    *even = _mm256_cvtph_ps(_mm_and_si128(first, keep));
    *odd = _mm256_cvtph_ps(_mm_and_si128(second, keep));
    *no_number = _mm_or_si128(*no_number, _mm_cmpeq_epi8(_mm_and_si128(v, most), most));
}

INLINE F f_no_number(H seen)
{
    return _mm256_cvtph_ps(_mm_or_si128(seen, _mm_slli_epi16(seen, 8)));
}

INLINE H h_zero(void)
{
    return _mm_setzero_si128();
}

#include "gpu/cpu/form_kernel.h"

const ps_form_kernels ps_form_kernels_avx2 = {.name = "AVX2", .rounded = rounded, .exact = exact};

#endif
