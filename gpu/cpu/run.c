#include "gpu/cpu/run.h"

#include "common/base/bits.h"
#include "common/base/mem.h"
#include "gpu/cpu/vector.h"

#define PIECE 16384 /* elements touched: some microseconds */

static ps_threads *threads_of(const ps_stream *s)
{
    return ((const ps_cpu_backend *)s->backend)->threads;
}

int ps_cpu_threads(const ps_stream *s)
{
    return ps_threads_count(threads_of(s));
}

const ps_panel_kernels *ps_cpu_panels(const ps_stream *s, ps_dtype dtype)
{
    const ps_cpu_backend *b = (const ps_cpu_backend *)s->backend;
    return dtype == PS_DTYPE_F32 ? b->panels_f32 : b->panels_bf16;
}

const ps_conv_kernels *ps_cpu_conv_kernels(const ps_stream *s)
{
    return ((const ps_cpu_backend *)s->backend)->convolutions;
}

const ps_pool_kernels *ps_cpu_pool_kernels(const ps_stream *s)
{
    return ((const ps_cpu_backend *)s->backend)->pools;
}

const ps_form_kernels *ps_cpu_forms(const ps_stream *s)
{
    return ((const ps_cpu_backend *)s->backend)->forms;
}

const ps_cpu_row_kernels *ps_cpu_row_kernels_of(const ps_stream *s)
{
    return ((const ps_cpu_backend *)s->backend)->rows;
}

void ps_cpu_for(ps_stream *s, int64_t n, int64_t grain, ps_threads_cb body_cb, void *context)
{
    ps_threads_for(threads_of(s), n, grain, body_cb, context);
}

int64_t ps_cpu_grain(int64_t cost)
{
    return cost < PIECE ? (PIECE + cost - 1) / cost : 1;
}

int64_t ps_cpu_column_grain(const ps_stream *s, int64_t columns)
{
    int threads = ps_cpu_threads(s);
    return (int64_t)ps_cpu_padded((columns + threads - 1) / threads);
}

float *ps_cpu_scratch(ps_stream *stream, size_t floats)
{
    ps_cpu_stream *s = (ps_cpu_stream *)stream;
    if (floats <= s->floats)
        return s->scratch;
    ps_free(&s->scratch);
    s->floats = 0;
    s->scratch =
        floats <= SIZE_MAX / sizeof(float) ? ps_try_alloc_raw(floats * sizeof(float)) : NULL;
    if (!s->scratch) {
        ps_stream_fail(stream,
                       ps_fail(PS_NO_MEMORY, "cpu: no room for %zu floats to work in", floats));
        return NULL;
    }
    s->floats = floats;
    return s->scratch;
}

size_t ps_cpu_padded(int64_t floats)
{
    return ((size_t)floats + 15) / 16 * 16;
}

/* Rounds by adding half of the last bit that stays, and that bit; a NaN gets a bit that stays. */
PS_VECTOR
void ps_cpu_to_bf16(uint16_t *restrict y, const float *restrict x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = ps_bits_of_float(x[i]);
        uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
        uint32_t quiet = (bits >> 16) | 0x40u;
        y[i] = (uint16_t)((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
    }
}

PS_VECTOR
void ps_cpu_from_bf16(float *restrict y, const uint16_t *restrict x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = ps_float_of_bits((uint32_t)x[i] << 16);
}

const float *ps_cpu_load(ps_tensor t, int64_t at, int64_t n, float *scratch)
{
    if (t.dtype == PS_DTYPE_F32)
        return (const float *)ps_tensor_address(t) + at;
    ps_cpu_from_bf16(scratch, (const uint16_t *)ps_tensor_address(t) + at, n);
    return scratch;
}

float *ps_cpu_place(ps_tensor t, int64_t at, float *scratch)
{
    return t.dtype == PS_DTYPE_F32 ? (float *)ps_tensor_address(t) + at : scratch;
}

void ps_cpu_store(ps_tensor t, int64_t at, int64_t n, const float *from)
{
    if (t.dtype == PS_DTYPE_BF16)
        ps_cpu_to_bf16((uint16_t *)ps_tensor_address(t) + at, from, n);
}

typedef struct map_run {
    const ps_cpu_map *map;
    int64_t block;
    float *scratch;
} map_run;

static void map_block(const map_run *r, int64_t at, int64_t n, float *scratch)
{
    const ps_cpu_map *m = r->map;
    float *out[PS_CPU_MAP_OUT] = {0};
    const float *in[PS_CPU_MAP_IN] = {0};
    for (int i = 0; i < PS_CPU_MAP_IN && ps_tensor_present(m->in[i]);
         i++, scratch += PS_CPU_MAP_BLOCK)
        in[i] = ps_cpu_load(m->in[i], at, n, scratch);
    for (int i = 0; i < PS_CPU_MAP_OUT && ps_tensor_present(m->out[i]);
         i++, scratch += PS_CPU_MAP_BLOCK)
        out[i] = ps_cpu_place(m->out[i], at, scratch);
    m->body_cb(out, in, n, at, m->context);
    for (int i = 0; i < PS_CPU_MAP_OUT && ps_tensor_present(m->out[i]); i++)
        ps_cpu_store(m->out[i], at, n, out[i]);
}

static void map_piece_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const map_run *r = context;
    float *scratch = r->scratch + slot * PS_CPU_MAP_FLOATS;
    for (int64_t at = begin; at < end; at += r->block)
        map_block(r, at, end - at < r->block ? end - at : r->block, scratch);
}

static bool has_bf16(const ps_tensor *t, int n)
{
    for (int i = 0; i < n && ps_tensor_present(t[i]); i++) {
        if (t[i].dtype == PS_DTYPE_BF16)
            return true;
    }
    return false;
}

void ps_cpu_map_run(ps_stream *s, const ps_cpu_map *m)
{
    bool converts = has_bf16(m->out, PS_CPU_MAP_OUT) || has_bf16(m->in, PS_CPU_MAP_IN);
    map_run r = {.map = m, .block = converts ? PS_CPU_MAP_BLOCK : PIECE};
    r.scratch = ps_cpu_scratch(s, (size_t)ps_cpu_threads(s) * PS_CPU_MAP_FLOATS);
    if (r.scratch)
        ps_cpu_for(s, ps_tensor_count(m->out[0]), PIECE, map_piece_cb, &r);
}
