/* Rotary positions. A row's cosines and sines are taken apart once and serve all its heads. */
#include "common/base/require.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

typedef struct rope_run {
    const ps_rope *r;
    float *scratch; /* a thread: cosines, sines, and for BF16 a head */
} rope_run;

PS_VECTOR
static void split_table(float *restrict cosine, float *restrict sine, const float *restrict table,
                        int64_t half, bool inverse)
{
    for (int64_t i = 0; i < half; i++) {
        cosine[i] = table[2 * i];
        sine[i] = inverse ? -table[2 * i + 1] : table[2 * i + 1];
    }
}

PS_VECTOR
static void turn(float *restrict low, float *restrict high, const float *restrict cosine,
                 const float *restrict sine, int64_t half)
{
    PS_SIMD
    for (int64_t i = 0; i < half; i++) {
        float a = low[i], b = high[i];
        low[i] = a * cosine[i] - b * sine[i];
        high[i] = b * cosine[i] + a * sine[i];
    }
}

static void rows_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const rope_run *run = context;
    const ps_rope *r = run->r;
    int64_t half = r->table.shape[1], n = 2 * half;
    const int32_t *positions = ps_tensor_address(r->positions);
    const float *table = ps_tensor_address(r->table);
    float *cosine = run->scratch + 2 * ps_cpu_padded(n) * (size_t)slot, *sine = cosine + half;
    float *scratch = cosine + ps_cpu_padded(n);
    for (int64_t row = begin; row < end; row++) {
        PS_REQUIRE(positions[row] >= 0 && positions[row] < r->table.shape[0]);
        split_table(cosine, sine, table + positions[row] * n, half, r->inverse);
        for (int64_t h = 0; h < r->heads; h++) {
            int64_t at = row * r->ld + h * r->head_dim;
            float *x = ps_cpu_place(r->x, at, scratch);
            if (x == scratch)
                (void)ps_cpu_load(r->x, at, n, scratch);
            turn(x, x + half, cosine, sine, half);
            ps_cpu_store(r->x, at, n, x);
        }
    }
}

void ps_cpu_rope(ps_stream *s, const ps_rope *r)
{
    rope_run run = {.r = r};
    run.scratch = ps_cpu_scratch(s, 2 * ps_cpu_padded(r->head_dim) * (size_t)ps_cpu_threads(s));
    if (run.scratch)
        ps_cpu_for(s, r->rows, ps_cpu_grain(r->heads * r->head_dim), rows_cb, &run);
}
