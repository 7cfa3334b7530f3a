/* Fill, sums, scaling, casts. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

/* y = value */
PS_VECTOR
static void fill(float *y, float value, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = value;
}

PS_VECTOR
void ps_cpu_add_scaled(float *y, float a, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

/* y = a·x; y may be x */
PS_VECTOR
static void scale(float *y, float a, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * a;
}

/* y = a + b */
PS_VECTOR
static void add(float *y, const float *a, const float *b, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void fill_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                    const void *context)
{
    (void)in;
    (void)at;
    fill(out[0], *(const float *)context, n);
}

static void axpy_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                    const void *context)
{
    (void)at;
    ps_cpu_add_scaled(out[0], *(const float *)context, in[0], n);
}

static void scale_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                     const void *context)
{
    (void)at;
    scale(out[0], *(const float *)context, in[0], n);
}

static void add_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                   const void *context)
{
    (void)at;
    (void)context;
    add(out[0], in[0], in[1], n);
}

static void copy_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                    const void *context)
{
    (void)at;
    (void)context;
    memcpy(out[0], in[0], (size_t)n * sizeof(float));
}

void ps_cpu_fill(ps_stream *s, ps_tensor x, float value)
{
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {x}, .body_cb = fill_cb, .context = &value});
}

void ps_cpu_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x)
{
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {y}, .in = {x}, .body_cb = axpy_cb, .context = &a});
}

void ps_cpu_scale(ps_stream *s, ps_tensor x, float a)
{
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {x}, .in = {x}, .body_cb = scale_cb, .context = &a});
}

void ps_cpu_add(ps_stream *s, ps_tensor y, ps_tensor a, ps_tensor b)
{
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {y}, .in = {a, b}, .body_cb = add_cb});
}

/* Loading and storing is where the types change. */
void ps_cpu_cast(ps_stream *s, ps_tensor y, ps_tensor x)
{
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {y}, .in = {x}, .body_cb = copy_cb});
}
