/* device_math: the intrinsics and functions that nvcc has and g++ lacks. Approximate ones are
 * computed exactly here: tests compare under tolerances. Macros where glibc has a function of the
 * same name that it keeps for itself. */
#ifndef PS_TEST_CUDA_DEVICE_MATH_H
#define PS_TEST_CUDA_DEVICE_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define __expf(x)          expf(x)
#define __exp10f(x)        exp10f(x)
#define __logf(x)          logf(x)
#define __log2f(x)         log2f(x)
#define __log10f(x)        log10f(x)
#define __powf(x, y)       powf(x, y)
#define __sinf(x)          sinf(x)
#define __cosf(x)          cosf(x)
#define __tanf(x)          tanf(x)
#define __tanhf(x)         tanhf(x)
#define __fdividef(x, y)   ((float)(x) / (float)(y))
#define fdividef(x, y)     ((float)(x) / (float)(y))
#define __frcp_rn(x)       (1.0f / (float)(x))
#define __fsqrt_rn(x)      sqrtf(x)
#define __frsqrt_rn(x)     (1.0f / sqrtf(x))
#define __fadd_rn(x, y)    ((float)(x) + (float)(y))
#define __fsub_rn(x, y)    ((float)(x) - (float)(y))
#define __fmul_rn(x, y)    ((float)(x) * (float)(y))
#define __fdiv_rn(x, y)    ((float)(x) / (float)(y))
#define __fmaf_rn(x, y, z) fmaf(x, y, z)
#define __saturatef(x)     fminf(fmaxf(x, 0.0f), 1.0f)
#define __popc(x)          __builtin_popcount(x)
#define __popcll(x)        __builtin_popcountll(x)
#define __ffs(x)           __builtin_ffs(x)
#define __ffsll(x)         __builtin_ffsll(x)
#define __clz(x)           ((x) ? __builtin_clz((unsigned)(x)) : 32)
#define __clzll(x)         ((x) ? __builtin_clzll((unsigned long long)(x)) : 64)
#define __umulhi(x, y)     ((unsigned)(((uint64_t)(unsigned)(x) * (unsigned)(y)) >> 32))
#define __float2int_rn(x)  ((int)lrintf(x))
#define __float2int_rz(x)  ((int)(x))
#define __float2int_rd(x)  ((int)floorf(x))
#define __float2int_ru(x)  ((int)ceilf(x))
#define __int2float_rn(x)  ((float)(int)(x))

static inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 32; i += 8)
        c += (int8_t)((unsigned)a >> i) * (int8_t)((unsigned)b >> i);
    return c;
}

static inline float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}

static inline double rsqrt(double x)
{
    return 1.0 / sqrt(x);
}

static inline float normcdff(float x)
{
    return 0.5f * erfcf(-x * 0.70710678f);
}

#define PS_SHIM_BITS(name, to, from)                                \
    static inline to name(from x)                                   \
    {                                                               \
        static_assert(sizeof(to) == sizeof(from), "bits are kept"); \
        to bits;                                                    \
        memcpy(&bits, &x, sizeof bits);                             \
        return bits;                                                \
    }
PS_SHIM_BITS(__float_as_int, int, float)
PS_SHIM_BITS(__float_as_uint, unsigned, float)
PS_SHIM_BITS(__int_as_float, float, int)
PS_SHIM_BITS(__uint_as_float, float, unsigned)
PS_SHIM_BITS(__double_as_longlong, long long, double)
PS_SHIM_BITS(__longlong_as_double, double, long long)

#define PS_SHIM_MIN_MAX(type)              \
    static inline type min(type a, type b) \
    {                                      \
        return a < b ? a : b;              \
    }                                      \
    static inline type max(type a, type b) \
    {                                      \
        return a > b ? a : b;              \
    }
PS_SHIM_MIN_MAX(int)
PS_SHIM_MIN_MAX(unsigned)
PS_SHIM_MIN_MAX(long)
PS_SHIM_MIN_MAX(unsigned long)
PS_SHIM_MIN_MAX(long long)
PS_SHIM_MIN_MAX(unsigned long long)

/* As fminf and fmaxf: a NaN gives way to the other. */
static inline float min(float a, float b)
{
    return fminf(a, b);
}

static inline float max(float a, float b)
{
    return fmaxf(a, b);
}

static inline double min(double a, double b)
{
    return fmin(a, b);
}

static inline double max(double a, double b)
{
    return fmax(a, b);
}

/* Loads and stores with a hint about caches. */
template <typename T> static inline T __ldg(const T *address)
{
    return *address;
}

template <typename T> static inline T __ldcs(const T *address)
{
    return *address;
}

template <typename T> static inline void __stcs(T *address, T value)
{
    *address = value;
}

#endif
