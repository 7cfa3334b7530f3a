#include "gpu/cpu/few.h"

#include "common/base/bits.h"
#include "gpu/cpu/vector.h"

static inline float from_float(float x)
{
    return x;
}

static inline float from_bf16(uint16_t x)
{
    return ps_float_of_bits((uint32_t)x << 16);
}

int64_t ps_cpu_few_quarter(const ps_few *f)
{
    return f->rows / 4;
}

/* d: what lies between a row and that of the next quarter; y's are `apart`. */
#define FEW_DOTS(type, from)                                                              \
    PS_VECTOR                                                                             \
    static void dots_##type(float *restrict y, int64_t apart, const float *restrict x,    \
                            const type *restrict m, int64_t d, int64_t n, float scale)    \
    {                                                                                     \
        const type *a = m, *b = a + d, *c = b + d, *e = c + d;                            \
        float sum_a = 0, sum_b = 0, sum_c = 0, sum_e = 0;                                 \
        PS_SIMD_SUMS(sum_a, sum_b, sum_c, sum_e)                                          \
        for (int64_t i = 0; i < n; i++) {                                                 \
            sum_a += x[i] * from(a[i]);                                                   \
            sum_b += x[i] * from(b[i]);                                                   \
            sum_c += x[i] * from(c[i]);                                                   \
            sum_e += x[i] * from(e[i]);                                                   \
        }                                                                                 \
        y[0] = scale * sum_a;                                                             \
        y[apart] = scale * sum_b;                                                         \
        y[2 * apart] = scale * sum_c;                                                     \
        y[3 * apart] = scale * sum_e;                                                     \
    }                                                                                     \
    PS_VECTOR                                                                             \
    static float dot_##type(const float *restrict x, const type *restrict row, int64_t n) \
    {                                                                                     \
        float sum = 0;                                                                    \
        PS_SIMD_SUM(sum)                                                                  \
        for (int64_t i = 0; i < n; i++)                                                   \
            sum += x[i] * from(row[i]);                                                   \
        return sum;                                                                       \
    }

#define FEW_SUMS(type, from)                                                                   \
    PS_VECTOR                                                                                  \
    static void sums_##type(float *restrict y, const float *restrict x, int64_t apart,         \
                            const type *restrict m, int64_t d, int64_t n)                      \
    {                                                                                          \
        const type *a = m, *b = a + d, *c = b + d, *e = c + d;                                 \
        float xa = x[0], xb = x[apart], xc = x[2 * apart], xe = x[3 * apart];                  \
        PS_SIMD                                                                                \
        for (int64_t i = 0; i < n; i++)                                                        \
            y[i] += (xa * from(a[i]) + xb * from(b[i])) + (xc * from(c[i]) + xe * from(e[i])); \
    }                                                                                          \
    PS_VECTOR                                                                                  \
    static void sum_##type(float *restrict y, float x, const type *restrict row, int64_t n)    \
    {                                                                                          \
        PS_SIMD                                                                                \
        for (int64_t i = 0; i < n; i++)                                                        \
            y[i] += x * from(row[i]);                                                          \
    }

FEW_DOTS(float, from_float)
FEW_DOTS(uint16_t, from_bf16)
FEW_SUMS(float, from_float)
FEW_SUMS(uint16_t, from_bf16)

/* The row as either type. */
static const float *f32_row(const ps_few *f, int64_t row)
{
    return (const float *)f->m + row * f->ld;
}

static const uint16_t *bf16_row(const ps_few *f, int64_t row)
{
    return (const uint16_t *)f->m + row * f->ld;
}

void ps_cpu_few_dots(const ps_few *f, int64_t first, int64_t end, float scale, const float *x,
                     float *y)
{
    int64_t apart = ps_cpu_few_quarter(f), d = apart * f->ld;
    bool f32 = f->dtype == PS_DTYPE_F32;
    for (int64_t r = first; r < end; r++) {
        if (f32)
            dots_float(y + r, apart, x, f32_row(f, r), d, f->n, scale);
        else
            dots_uint16_t(y + r, apart, x, bf16_row(f, r), d, f->n, scale);
    }
    for (int64_t r = 4 * apart; r < f->rows && end == apart; r++)
        y[r] = scale *
               (f32 ? dot_float(x, f32_row(f, r), f->n) : dot_uint16_t(x, bf16_row(f, r), f->n));
}

void ps_cpu_few_sums(const ps_few *f, int64_t first, int64_t end, const float *x, float *y)
{
    int64_t apart = ps_cpu_few_quarter(f), d = apart * f->ld;
    bool f32 = f->dtype == PS_DTYPE_F32;
    for (int64_t r = first; r < end; r++) {
        if (f32)
            sums_float(y, x + r, apart, f32_row(f, r), d, f->n);
        else
            sums_uint16_t(y, x + r, apart, bf16_row(f, r), d, f->n);
    }
    for (int64_t r = 4 * apart; r < f->rows && end == apart; r++) {
        if (f32)
            sum_float(y, x[r], f32_row(f, r), f->n);
        else
            sum_uint16_t(y, x[r], bf16_row(f, r), f->n);
    }
}
