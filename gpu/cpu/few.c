#include "gpu/cpu/few.h"

#include "gpu/cpu/vector.h"

enum { AHEAD = 12 }; /* rows */

/* Rows may come from far apart: the processor does not see by itself which are next. */
static inline void prefetch_rows(const float *m, int64_t ld, int64_t first, int64_t rows, int64_t n)
{
    for (int64_t row = first; row < first + 4 && row < rows; row++) {
        for (int64_t i = 0; i < n; i += 16)
            __builtin_prefetch(m + row * ld + i);
    }
}

/* Four rows at a time: four sums that do not wait for each other. */
PS_VECTOR
void ps_cpu_few_dots(float *restrict y, const float *restrict x, const float *restrict m,
                     int64_t ld, int64_t rows, int64_t n, float scale)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        const float *a = m + r * ld, *b = a + ld, *c = b + ld, *d = c + ld;
        float sa = 0, sb = 0, sc = 0, sd = 0;
        prefetch_rows(m, ld, r + AHEAD, rows, n);
        PS_SIMD_SUMS(sa, sb, sc, sd)
        for (int64_t i = 0; i < n; i++) {
            sa += x[i] * a[i];
            sb += x[i] * b[i];
            sc += x[i] * c[i];
            sd += x[i] * d[i];
        }
        y[r] = scale * sa;
        y[r + 1] = scale * sb;
        y[r + 2] = scale * sc;
        y[r + 3] = scale * sd;
    }
    for (; r < rows; r++) {
        const float *row = m + r * ld;
        float sum = 0;
        PS_SIMD_SUM(sum)
        for (int64_t i = 0; i < n; i++)
            sum += x[i] * row[i];
        y[r] = scale * sum;
    }
}

PS_VECTOR
void ps_cpu_few_sums(float *restrict y, const float *restrict x, const float *restrict m,
                     int64_t ld, int64_t rows, int64_t n)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4) {
        const float *a = m + r * ld, *b = a + ld, *c = b + ld, *d = c + ld;
        float xa = x[r], xb = x[r + 1], xc = x[r + 2], xd = x[r + 3];
        prefetch_rows(m, ld, r + AHEAD, rows, n);
        PS_SIMD
        for (int64_t i = 0; i < n; i++)
            y[i] += (xa * a[i] + xb * b[i]) + (xc * c[i] + xd * d[i]);
    }
    for (; r < rows; r++) {
        const float *row = m + r * ld;
        PS_SIMD
        for (int64_t i = 0; i < n; i++)
            y[i] += x[r] * row[i];
    }
}
