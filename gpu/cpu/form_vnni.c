/* AVX-512 with VNNI: 16 lanes, and products of bytes added up in one instruction. */
#include "gpu/cpu/form_kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include <immintrin.h>

#define TARGET \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")))
#define INLINE TARGET static inline __attribute__((always_inline))

enum { LANES = 16 };
typedef __m512i V;
typedef __m512 F;
typedef __m256i H;

INLINE V v_load(const uint8_t *at)
{
    return _mm512_loadu_si512(at);
}

INLINE void v_store(uint8_t *at, V v)
{
    _mm512_storeu_si512(at, v);
}

INLINE V v_set1(int32_t x)
{
    return _mm512_set1_epi32(x);
}

INLINE V v_and(V a, V b)
{
    return _mm512_and_si512(a, b);
}

INLINE V v_or(V a, V b)
{
    return _mm512_or_si512(a, b);
}

INLINE V v_add(V a, V b)
{
    return _mm512_add_epi32(a, b);
}

INLINE V v_mul(V a, V b)
{
    return _mm512_mullo_epi32(a, b);
}

INLINE V v_srl(V a, int n)
{
    return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n));
}

INLINE V v_sll(V a, int n)
{
    return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n));
}

INLINE V v_sra(V a, int n)
{
    return _mm512_sra_epi32(a, _mm_cvtsi32_si128(n));
}

INLINE V v_halves(const uint8_t *at)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

INLINE V v_bytes(const uint8_t *at)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)at));
}

INLINE V v_table(const int8_t *table, V places)
{
    __m128i numbers = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(numbers), places);
}

INLINE V v_dot(V sum, V u, const int8_t *q)
{
    int32_t four;
    __builtin_memcpy(&four, q, sizeof four);
    return _mm512_dpbusd_epi32(sum, u, _mm512_set1_epi32(four));
}

INLINE V v_dot_low(V sum, V u, const int8_t *q)
{
    return v_dot(sum, u, q);
}

enum { LESS_128 = 0 };

INLINE V v_dot_less(V sum, V u, const int8_t *q)
{
    return v_dot(sum, u, q);
}

INLINE F v_float(V v)
{
    return _mm512_cvtepi32_ps(v);
}

INLINE F f_zero(void)
{
    return _mm512_setzero_ps();
}

INLINE F f_set1(float x)
{
    return _mm512_set1_ps(x);
}

INLINE F f_mul(F a, F b)
{
    return _mm512_mul_ps(a, b);
}

INLINE F f_madd(F a, F b, F c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE F f_add(F a, F b)
{
    return _mm512_add_ps(a, b);
}

INLINE F f_sub(F a, F b)
{
    return _mm512_sub_ps(a, b);
}

INLINE void f_store(float *at, F x)
{
    _mm512_storeu_ps(at, x);
}

INLINE F f_halves(const uint8_t *at)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)at));
}

INLINE F f_load(const float *at)
{
    return _mm512_loadu_ps(at);
}

INLINE F f_bits(V v)
{
    return _mm512_castsi512_ps(v);
}

/* E4M3 has float16's bits further down, and an exponent that is 8 more: a 256th. Its NaN has no
 * such. */
INLINE void f_e4m3(const uint8_t *at, F *even, F *odd, H *no_number)
{
    H v = _mm256_loadu_si256((const __m256i *)(const void *)at), most = _mm256_set1_epi16(0x7F7F);
    H keep = _mm256_set1_epi16((short)0xBF80);
    H first = _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 1), second = _mm256_srai_epi16(v, 1);
    *even = _mm512_cvtph_ps(_mm256_and_si256(first, keep));
    *odd = _mm512_cvtph_ps(_mm256_and_si256(second, keep));
    *no_number = _mm256_or_si256(*no_number, _mm256_cmpeq_epi8(_mm256_and_si256(v, most), most));
}

INLINE F f_no_number(H seen)
{
    return _mm512_cvtph_ps(_mm256_or_si256(seen, _mm256_slli_epi16(seen, 8)));
}

INLINE H h_zero(void)
{
    return _mm256_setzero_si256();
}

#include "gpu/cpu/form_kernel.h"

const ps_form_kernels ps_form_kernels_vnni = {
    .name = "AVX-512 VNNI", .rounded = rounded, .exact = exact};

#endif
