/* Which kernels, and those for a processor of which nothing is known: four lanes, which a compiler
 * makes what there is of. */
#include "gpu/cpu/attention_rows.h"

#define TARGET
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 4 };
typedef struct F {
    float x[LANES];
} F;

INLINE F f_zero(void)
{
    return (F){{0}};
}

INLINE F f_set1(float x)
{
    return (F){{x, x, x, x}};
}

INLINE F f_madd(F a, F b, F c)
{
    for (int i = 0; i < LANES; i++)
        c.x[i] += a.x[i] * b.x[i];
    return c;
}

INLINE F f_load(const float *at)
{
    F y;
    __builtin_memcpy(&y, at, sizeof y);
    return y;
}

INLINE void f_store(float *at, F x)
{
    __builtin_memcpy(at, &x, sizeof x);
}

INLINE F f_halves(const uint16_t *at)
{
    uint32_t bits[LANES];
    F y;
    for (int i = 0; i < LANES; i++)
        bits[i] = (uint32_t)at[i] << 16;
    __builtin_memcpy(&y, bits, sizeof y);
    return y;
}

INLINE F f_bytes(const int8_t *at)
{
    return (F){{at[0], at[1], at[2], at[3]}};
}

INLINE void f_sums(float *out, const F *x)
{
    for (int r = 0; r < 4; r++)
        out[r] = (x[r].x[0] + x[r].x[1]) + (x[r].x[2] + x[r].x[3]);
}

#include "gpu/cpu/attention_kernel.h"

static const ps_cpu_row_kernels plain = {KERNELS};

const ps_cpu_row_kernels *ps_cpu_row_kernels_for(const ps_cpu_features *f)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (f->avx512)
        return &ps_cpu_row_kernels_avx512;
    if (f->avx2)
        return &ps_cpu_row_kernels_avx2;
#endif
    (void)f;
    return &plain;
}
