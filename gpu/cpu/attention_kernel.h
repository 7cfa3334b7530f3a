/* attention_kernel: the kernels of attention_rows.h, for the registers of the file that includes
 * this, one text for each type: `type` is a constant in each of the functions that are compiled.
 * Before it, that file defines LANES, F (so many floats), INLINE, TARGET and
 *
 *     f_zero f_set1 f_madd(a, b, c) f_load f_store     of float32
 *     f_halves(at) f_bytes(at)      LANES bfloat16, or bytes with a sign, as floats
 *     f_sums(out, x)                out[r] = the sum of x[r]'s lanes, of four
 *
 * What is left over of a head behind whole registers is taken one at a time. */
#ifndef PS_CPU_ATTENTION_KERNEL_H
#define PS_CPU_ATTENTION_KERNEL_H

#include "common/base/bits.h"
#include "gpu/cpu/attention_rows.h"

enum { ROWS = PS_CPU_QUARTERS };

INLINE F take(ps_dtype type, const void *x, int64_t i)
{
    if (type == PS_DTYPE_F32)
        return f_load((const float *)x + i);
    return type == PS_DTYPE_BF16 ? f_halves((const uint16_t *)x + i)
                                 : f_bytes((const int8_t *)x + i);
}

INLINE float take_one(ps_dtype type, const void *x, int64_t i)
{
    if (type == PS_DTYPE_F32)
        return ((const float *)x)[i];
    if (type == PS_DTYPE_I8)
        return (float)((const int8_t *)x)[i];
    return ps_float_of_bits((uint32_t)((const uint16_t *)x)[i] << 16);
}

INLINE const void *head_of(ps_dtype type, const ps_cpu_key_rows *r, int row, int64_t head)
{
    return (const char *)r->x[row] + (size_t)(head * r->head_dim) * ps_dtype_bytes(type);
}

INLINE float scale_of(ps_dtype type, const ps_cpu_key_rows *r, int row, int64_t head)
{
    return type == PS_DTYPE_I8 ? r->scales[row][head] : 1;
}

/* One head of queries with the rows' keys. */
INLINE void score_head(ps_dtype type, const ps_cpu_key_rows *k, int64_t d, int64_t head,
                       float *scores, const float *q, float scale)
{
    int64_t whole = d - d % LANES;
    const void *x[ROWS];
    F sum[ROWS];
    for (int r = 0; r < ROWS; r++) {
        x[r] = head_of(type, k, r, head);
        sum[r] = f_zero();
    }
    for (int64_t i = 0; i < whole; i += LANES) {
        F a = f_load(q + i);
        for (int r = 0; r < ROWS; r++)
            sum[r] = f_madd(a, take(type, x[r], i), sum[r]);
    }
    float total[ROWS];
    f_sums(total, sum);
    for (int r = 0; r < ROWS; r++) {
        for (int64_t i = whole; i < d; i++)
            total[r] += q[i] * take_one(type, x[r], i);
        scores[r * k->apart] = scale * scale_of(type, k, r, head) * total[r];
    }
}

INLINE void score_heads(ps_dtype type, const ps_cpu_key_rows *k, int64_t d, float *scores,
                        const float *q, float scale)
{
    int64_t group = k->heads / k->kv_heads;
    for (int64_t head = 0, h = 0; head < k->kv_heads; head++)
        for (int64_t end = h + group; h < end; h++)
            score_head(type, k, d, head, scores + h * k->ld, q + h * d, scale);
}

INLINE void score(ps_dtype type, const ps_cpu_key_rows *k, float *scores, const float *q,
                  float scale)
{
    if (k->head_dim == 64)
        score_heads(type, k, 64, scores, q, scale);
    else
        score_heads(type, k, k->head_dim, scores, q, scale);
}

/* The rows' values to the sum of one head of queries. */
INLINE void add_head(ps_dtype type, const ps_cpu_key_rows *v, int64_t d, int64_t head, float *sum,
                     const float *scores)
{
    int64_t whole = d - d % LANES;
    const void *x[ROWS];
    float factor[ROWS];
    F factors[ROWS];
    for (int r = 0; r < ROWS; r++) {
        x[r] = head_of(type, v, r, head);
        factor[r] = scores[r * v->apart] * scale_of(type, v, r, head);
        factors[r] = f_set1(factor[r]);
    }
    for (int64_t i = 0; i < whole; i += LANES) {
        F y = f_load(sum + i);
        for (int r = 0; r < ROWS; r++)
            y = f_madd(factors[r], take(type, x[r], i), y);
        f_store(sum + i, y);
    }
    for (int64_t i = whole; i < d; i++)
        for (int r = 0; r < ROWS; r++)
            sum[i] += factor[r] * take_one(type, x[r], i);
}

INLINE void add_heads(ps_dtype type, const ps_cpu_key_rows *v, int64_t d, float *sum,
                      const float *scores)
{
    int64_t group = v->heads / v->kv_heads;
    for (int64_t head = 0, h = 0; head < v->kv_heads; head++)
        for (int64_t end = h + group; h < end; h++)
            add_head(type, v, d, head, sum + h * d, scores + h * v->ld);
}

INLINE void add(ps_dtype type, const ps_cpu_key_rows *v, float *sum, const float *scores)
{
    if (v->head_dim == 64)
        add_heads(type, v, 64, sum, scores);
    else
        add_heads(type, v, v->head_dim, sum, scores);
}

#define OF_TYPE(name, type)                                                                  \
    TARGET static void score_##name(const ps_cpu_key_rows *k, float *scores, const float *q, \
                                    float scale)                                             \
    {                                                                                        \
        score(type, k, scores, q, scale);                                                    \
    }                                                                                        \
    TARGET static void add_##name(const ps_cpu_key_rows *v, float *sum, const float *scores) \
    {                                                                                        \
        add(type, v, sum, scores);                                                           \
    }
OF_TYPE(f32, PS_DTYPE_F32)
OF_TYPE(bf16, PS_DTYPE_BF16)
OF_TYPE(i8, PS_DTYPE_I8)

#define KERNELS                                                                                    \
    .score = {[PS_DTYPE_F32] = score_f32, [PS_DTYPE_BF16] = score_bf16, [PS_DTYPE_I8] = score_i8}, \
    .add = {[PS_DTYPE_F32] = add_f32, [PS_DTYPE_BF16] = add_bf16, [PS_DTYPE_I8] = add_i8}

#endif
