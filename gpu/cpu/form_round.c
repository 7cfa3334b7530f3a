/* Rows of x to 8 bits, and which kernels there are to multiply them. */
#include "gpu/cpu/form_kernels.h"
#include "gpu/cpu/quantise.h"

PS_VECTOR
static float to_bytes(int8_t *q, const float *x)
{
    return ps_cpu_to_bytes(q, x, PS_FORM_CHUNK);
}

static int32_t sum_of(const int8_t *q)
{
    int32_t sum = 0;
    PS_SIMD_SUM(sum)
    for (int i = 0; i < 16; i++)
        sum += q[i];
    return sum;
}

/* Into the order in which codes come: a byte has those of numbers that are neighbours, and the
 * first of each byte are multiplied before the second. */
static inline void part(int8_t *q, int spread)
{
    int8_t was[PS_FORM_CHUNK];
    memcpy(was, q, sizeof was);
    for (int s = 0; s < PS_FORM_CHUNK / 4; s++)
        for (int b = 0; b < 4; b++)
            q[4 * s + b] = was[s / spread * 4 * spread + s % spread + b * spread];
}

static void round_chunk(const ps_form_order *o, const float *x, int8_t *q, ps_form_side *side)
{
    float scale = to_bytes(q, x);
    int32_t first = sum_of(q), second = sum_of(q + 16);
    if (!o->of_16) {
        first += second;
        second = 0;
    }
    side->scale = scale;
    if (o->zero) {
        side->under[0] = -o->zero * first;
        side->under[1] = -o->zero * second;
    } else {
        side->sum[0] = scale * (float)first;
        side->sum[1] = scale * (float)second;
    }
    if (o->spread == 2)
        part(q, 2);
    else if (o->spread == 4)
        part(q, 4);
    else if (o->spread == 8)
        part(q, 8);
}

void ps_form_round(const ps_form_order *o, const float *x, int64_t n, int8_t *q,
                   ps_form_side *sides)
{
    for (; n >= PS_FORM_CHUNK; n -= PS_FORM_CHUNK) {
        round_chunk(o, x, q, sides++);
        x += PS_FORM_CHUNK;
        q += PS_FORM_CHUNK;
    }
    float last[PS_FORM_CHUNK] = {0};
    if (n == 0)
        return;
    memcpy(last, x, (size_t)n * sizeof *x);
    round_chunk(o, last, q, sides);
}

const ps_form_kernels *ps_form_kernels_for(const ps_cpu_features *f)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (f->avx512_vnni)
        return &ps_form_kernels_vnni;
    if (f->avx2 && f->f16c)
        return &ps_form_kernels_avx2;
#endif
    (void)f;
    return NULL;
}
