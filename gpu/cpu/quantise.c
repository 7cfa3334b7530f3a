/* To eight bits and back, block by block. */
#include "gpu/cpu/quantise.h"

#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"

typedef struct quantise_run {
    float *x, *scales;
    int8_t *q;
    int64_t n, block;
} quantise_run;

PS_VECTOR
float ps_cpu_block_to_bytes(int8_t *q, const float *x, int64_t n)
{
    return ps_cpu_to_bytes(q, x, n);
}

PS_VECTOR
void ps_cpu_block_from_bytes(float *restrict x, const int8_t *restrict q, float scale, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)q[i] * scale;
}

static int64_t block_length(const quantise_run *r, int64_t block)
{
    int64_t rest = r->n - block * r->block;
    return rest < r->block ? rest : r->block;
}

static void quantise_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const quantise_run *r = context;
    for (int64_t b = begin; b < end; b++) {
        int64_t at = b * r->block;
        r->scales[b] = ps_cpu_block_to_bytes(r->q + at, r->x + at, block_length(r, b));
    }
}

static void dequantise_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)slot;
    const quantise_run *r = context;
    for (int64_t b = begin; b < end; b++)
        ps_cpu_block_from_bytes(r->x + b * r->block, r->q + b * r->block, r->scales[b],
                                block_length(r, b));
}

static void run(ps_stream *s, ps_tensor q, ps_tensor scales, ps_tensor x, int64_t block,
                ps_threads_cb body_cb)
{
    quantise_run r = {.x = ps_tensor_address(x),
                      .scales = ps_tensor_address(scales),
                      .q = ps_tensor_address(q),
                      .n = ps_tensor_count(x),
                      .block = block};
    ps_cpu_for(s, ps_tensor_count(scales), ps_cpu_grain(block), body_cb, &r);
}

void ps_cpu_quantise(ps_stream *s, ps_tensor q, ps_tensor scales, ps_tensor x, int64_t block)
{
    run(s, q, scales, x, block, quantise_cb);
}

void ps_cpu_dequantise(ps_stream *s, ps_tensor x, ps_tensor q, ps_tensor scales, int64_t block)
{
    run(s, q, scales, x, block, dequantise_cb);
}
