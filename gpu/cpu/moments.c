/* Plain loops that the compiler makes vectors of. They cannot fail. */
#include "gpu/cpu/moments.h"

#include "gpu/cpu/vector.h"

/* The second pass also finds by how much rounding put the first one's mean off. */
PS_VECTOR
ps_cpu_moments ps_cpu_moments_of(const float *x, int64_t n, float epsilon)
{
    float sum = 0, squares = 0, off = 0;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    float mean = sum / (float)n;
    PS_SIMD_SUMS(squares, off)
    for (int64_t i = 0; i < n; i++) {
        float d = x[i] - mean;
        squares += d * d;
        off += d;
    }
    off /= (float)n;
    float variance = squares / (float)n - off * off;
    return (ps_cpu_moments){.mean = mean + off, .rstd = 1.0f / sqrtf(variance + epsilon)};
}

PS_VECTOR
void ps_cpu_add_pieces(float *restrict d, float beta, const float *restrict sums, size_t step,
                       int64_t pieces, int64_t n)
{
    /* not a product: what beta 0 replaces may be NaN */
    for (int64_t i = 0; i < n; i++)
        d[i] = beta == 0 ? 0 : d[i] * beta;
    for (int64_t p = 0; p < pieces; p++, sums += step) {
        PS_SIMD
        for (int64_t i = 0; i < n; i++)
            d[i] += sums[i];
    }
}
