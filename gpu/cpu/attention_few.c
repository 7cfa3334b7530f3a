/* Attention of a few queries, as when a model writes one token after the other: bound by how fast
 * the keys and values come from memory. */
#include "gpu/cpu/attention.h"

#include "gpu/cpu/vector.h"

enum { AHEAD = 12 }; /* rows */

/* The rows come from far apart: the processor does not see by itself which are next. */
static inline void prefetch_row(ps_cpu_part p, int64_t row, int64_t rows, int64_t n)
{
    for (int64_t i = 0; i < n && row < rows; i += 16)
        __builtin_prefetch(p.x + row * p.ld + i);
}

/* Four keys at a time: four sums that do not wait for each other. */
PS_VECTOR
void ps_cpu_few_scores(float *restrict s, const float *restrict q, ps_cpu_part k, int64_t keys,
                       int64_t head_dim, float scale)
{
    int64_t j = 0;
    for (; j + 4 <= keys; j += 4) {
        const float *a = k.x + j * k.ld, *b = a + k.ld, *c = b + k.ld, *d = c + k.ld;
        float sa = 0, sb = 0, sc = 0, sd = 0;
        for (int64_t ahead = 0; ahead < 4; ahead++)
            prefetch_row(k, j + AHEAD + ahead, keys, head_dim);
        PS_SIMD_SUMS(sa, sb, sc, sd)
        for (int64_t i = 0; i < head_dim; i++) {
            sa += q[i] * a[i];
            sb += q[i] * b[i];
            sc += q[i] * c[i];
            sd += q[i] * d[i];
        }
        s[j] = scale * sa;
        s[j + 1] = scale * sb;
        s[j + 2] = scale * sc;
        s[j + 3] = scale * sd;
    }
    for (; j < keys; j++) {
        const float *row = k.x + j * k.ld;
        float sum = 0;
        PS_SIMD_SUM(sum)
        for (int64_t i = 0; i < head_dim; i++)
            sum += q[i] * row[i];
        s[j] = scale * sum;
    }
}

PS_VECTOR
void ps_cpu_few_values(float *restrict sum, const float *restrict s, ps_cpu_part v, int64_t keys,
                       int64_t head_dim)
{
    int64_t j = 0;
    for (; j + 4 <= keys; j += 4) {
        const float *a = v.x + j * v.ld, *b = a + v.ld, *c = b + v.ld, *d = c + v.ld;
        float sa = s[j], sb = s[j + 1], sc = s[j + 2], sd = s[j + 3];
        for (int64_t ahead = 0; ahead < 4; ahead++)
            prefetch_row(v, j + AHEAD + ahead, keys, head_dim);
        PS_SIMD
        for (int64_t i = 0; i < head_dim; i++)
            sum[i] += (sa * a[i] + sb * b[i]) + (sc * c[i] + sd * d[i]);
    }
    for (; j < keys; j++) {
        const float *row = v.x + j * v.ld;
        PS_SIMD
        for (int64_t i = 0; i < head_dim; i++)
            sum[i] += s[j] * row[i];
    }
}
