/* vector: what makes a plain loop fast. PS_VECTOR before a function has the compiler make it three
 * times, for any x86-64, for AVX2 and for AVX-512, and the loader takes the best the machine can;
 * elsewhere it is nothing. PS_SIMD before a loop says that its turns may run side by side.
 *
 * The elementary functions are written without branches and tables so that they vectorise.
 */
#ifndef PS_CPU_VECTOR_H
#define PS_CPU_VECTOR_H

#include "common/base/bits.h"

#include <math.h>
#include <stdint.h>

/* Sanitizers' run-times are not up yet when the loader asks which version to take. */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && __GNUC__ >= 12 && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PS_VECTOR __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define PS_VECTOR
#endif

#define PS_PRAGMA(text)   _Pragma(#text)
#define PS_SIMD           PS_PRAGMA(omp simd)
#define PS_SIMD_SUM(v)    PS_PRAGMA(omp simd reduction(+ : v))
#define PS_SIMD_SUMS(...) PS_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define PS_SIMD_MAX(v)    PS_PRAGMA(omp simd reduction(max : v))

/* e^x within 2e-7 relative for -87 <= x <= 88; further out the value at the border; NaN stays.
 * x = n·ln 2 + r, |r| <= ln 2 / 2: 2^n by its bits, e^r by its Taylor series (rest 5e-9). Adding
 * 1.5·2^23 rounds to the nearest integer and leaves it in the low bits. */
static inline float ps_vector_exp(float x)
{
    const float round = 12582912.0f;
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float shifted = x * 1.44269504f + round;
    float n = shifted - round;
    /* ln 2 in two parts: n times the first is exact */
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return p * ps_float_of_bits((ps_bits_of_float(shifted) - 0x4B400000u + 127u) << 23);
}

/* log x within 2e-7 relative for normal x; NaN stays. x = 2^n·m, 1/√2 <= m < √2, and log m is twice
 * the series of artanh at (m - 1)/(m + 1) (rest 1e-9). */
static inline float ps_vector_log(float x)
{
    uint32_t bits = ps_bits_of_float(x);
    int32_t n = (int32_t)(bits - 0x3F3504F3u) >> 23;
    float m = x == x ? ps_float_of_bits(bits - ((uint32_t)n << 23)) : x;
    float s = (m - 1.0f) / (m + 1.0f), q = s * s;
    float p = 1.0f / 9;
    p = p * q + 1.0f / 7;
    p = p * q + 1.0f / 5;
    p = p * q + 1.0f / 3;
    p = p * q + 1.0f;
    return (float)n * 0.693147181f + 2.0f * s * p;
}

/* tanh x within 2e-7 relative: to |x| = 1 the fifth convergent of Lambert's continued fraction
 * x/(1 + x²/(3 + x²/(5 + x²/(7 + x²/9)))), beyond it 1 - 2/(e^2x + 1). */
static inline float ps_vector_tanh(float x)
{
    float a = fabsf(x), q = x * x;
    float near = a * (945.0f + q * (105.0f + q)) / (945.0f + q * (420.0f + q * 15.0f));
    float far = 1.0f - 2.0f / (ps_vector_exp(2.0f * a) + 1.0f);
    return copysignf(a < 1.0f ? near : far, x);
}

/* 1/(1 + e^-x) within 3e-7 relative to -87, exactly 0 below it; NaN stays. */
static inline float ps_vector_sigmoid(float x)
{
    float y = 1.0f / (1.0f + ps_vector_exp(-x));
    return x < -87.0f ? 0.0f : y;
}

/* Φ(x), the normal distribution, within 1e-7, and *density = φ(x). Abramowitz and Stegun 7.1.26
 * for erfc(|x|/√2): e^(-x²/2) times a polynomial in 1/(1 + p·|x|/√2). */
static inline float ps_vector_normal(float x, float *density)
{
    float t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * fabsf(x));
    float e = ps_vector_exp(-0.5f * x * x);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    float tail = 0.5f * p * t * e;
    *density = 0.39894228f * e;
    return x < 0 ? tail : 1.0f - tail;
}

#endif
