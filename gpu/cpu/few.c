#include "gpu/cpu/few.h"

#include "gpu/cpu/vector.h"

enum { AHEAD = 12, LINE = 64 }; /* rows; bytes */

/* Rows may come from far apart: the processor does not see by itself which are next. */
static inline void prefetch_rows(const void *m, int64_t ld, int64_t first, int64_t rows, int64_t n)
{
    for (int64_t row = first; row < first + 4 && row < rows; row++) {
        for (int64_t i = 0; i < n; i += LINE)
            __builtin_prefetch((const char *)m + row * ld + i);
    }
}

static inline float from_float(float x)
{
    return x;
}

static inline float from_bf16(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

/* Four rows at a time: four sums that do not wait for each other. */
#define FEW_DOTS(name, type, from)                                                             \
    PS_VECTOR                                                                                  \
    void name(float *restrict y, const float *restrict x, const type *restrict m, int64_t ld,  \
              int64_t rows, int64_t n, float scale)                                            \
    {                                                                                          \
        int64_t r = 0;                                                                         \
        for (; r + 4 <= rows; r += 4) {                                                        \
            const type *a = m + r * ld, *b = a + ld, *c = b + ld, *d = c + ld;                 \
            float sa = 0, sb = 0, sc = 0, sd = 0;                                              \
            prefetch_rows(m, ld *(int64_t)sizeof *m, r + AHEAD, rows, n * (int64_t)sizeof *m); \
            PS_SIMD_SUMS(sa, sb, sc, sd)                                                       \
            for (int64_t i = 0; i < n; i++) {                                                  \
                sa += x[i] * from(a[i]);                                                       \
                sb += x[i] * from(b[i]);                                                       \
                sc += x[i] * from(c[i]);                                                       \
                sd += x[i] * from(d[i]);                                                       \
            }                                                                                  \
            y[r] = scale * sa;                                                                 \
            y[r + 1] = scale * sb;                                                             \
            y[r + 2] = scale * sc;                                                             \
            y[r + 3] = scale * sd;                                                             \
        }                                                                                      \
        for (; r < rows; r++) {                                                                \
            const type *row = m + r * ld;                                                      \
            float sum = 0;                                                                     \
            PS_SIMD_SUM(sum)                                                                   \
            for (int64_t i = 0; i < n; i++)                                                    \
                sum += x[i] * from(row[i]);                                                    \
            y[r] = scale * sum;                                                                \
        }                                                                                      \
    }

#define FEW_SUMS(name, type, from)                                                                 \
    PS_VECTOR                                                                                      \
    void name(float *restrict y, const float *restrict x, const type *restrict m, int64_t ld,      \
              int64_t rows, int64_t n)                                                             \
    {                                                                                              \
        int64_t r = 0;                                                                             \
        for (; r + 4 <= rows; r += 4) {                                                            \
            const type *a = m + r * ld, *b = a + ld, *c = b + ld, *d = c + ld;                     \
            float xa = x[r], xb = x[r + 1], xc = x[r + 2], xd = x[r + 3];                          \
            prefetch_rows(m, ld *(int64_t)sizeof *m, r + AHEAD, rows, n * (int64_t)sizeof *m);     \
            PS_SIMD                                                                                \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] += (xa * from(a[i]) + xb * from(b[i])) + (xc * from(c[i]) + xd * from(d[i])); \
        }                                                                                          \
        for (; r < rows; r++) {                                                                    \
            const type *row = m + r * ld;                                                          \
            PS_SIMD                                                                                \
            for (int64_t i = 0; i < n; i++)                                                        \
                y[i] += x[r] * from(row[i]);                                                       \
        }                                                                                          \
    }

FEW_DOTS(ps_cpu_few_dots, float, from_float)
FEW_DOTS(ps_cpu_few_dots_bf16, uint16_t, from_bf16)
FEW_SUMS(ps_cpu_few_sums, float, from_float)
FEW_SUMS(ps_cpu_few_sums_bf16, uint16_t, from_bf16)
