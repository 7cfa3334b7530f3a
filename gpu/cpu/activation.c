/* Activations, element by element: each function beside its gradient. In place is allowed, so the
 * pointers are not restrict; PS_SIMD says that element i needs no other. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

/* relu: max(x, 0); written so that NaN stays NaN */
PS_VECTOR
static void relu(float *y, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

/* dx = dy where y > 0, else 0 */
PS_VECTOR
static void relu_backward(float *dx, const float *dy, const float *y, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

/* Of f(x) = x·share(x): the slope of f, and *share. */
static inline float relu_slope(float x, float *share)
{
    *share = x < 0 ? 0.0f : 1.0f;
    return x > 0 ? 1.0f : 0.0f;
}

/* gelu: x·Φ(x) */
static inline float gelu_share(float x)
{
    float density;
    return ps_vector_normal(x, &density);
}

/* Φ(x) + x·φ(x) */
static inline float gelu_slope(float x, float *share)
{
    float density;
    *share = ps_vector_normal(x, &density);
    return *share + x * density;
}

PS_VECTOR
static void gelu(float *y, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * gelu_share(x[i]);
}

PS_VECTOR
static void gelu_backward(float *dx, const float *dy, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float share;
        dx[i] = dy[i] * gelu_slope(x[i], &share);
    }
}

PS_VECTOR
static void tanh_forward(float *y, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = ps_vector_tanh(x[i]);
}

/* dx = dy·(1 - tanh²(x)) */
PS_VECTOR
static void tanh_backward(float *dx, const float *dy, const float *y, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        dx[i] = dy[i] * (1.0f - y[i] * y[i]);
}

/* gelu_tanh: 0.5·x·(1 + tanh(u)) = x·sigmoid(2u), u = √(2/π)·(x + 0.044715·x³) */
#define GELU_SCALE 1.59576912f /* 2·√(2/π) */
#define GELU_CUBIC 0.044715f

static inline float gelu_tanh_share(float x)
{
    return ps_vector_sigmoid(GELU_SCALE * x * (1.0f + GELU_CUBIC * x * x));
}

/* s + x·s·(1-s)·2u', s = 1/(1+e), 1-s = e·s; beyond 8, where s is 0 or 1, as at 8 */
static inline float gelu_tanh_slope(float x, float *share)
{
    float v = x < -8.0f ? -8.0f : x;
    v = v > 8.0f ? 8.0f : v;
    float q = GELU_CUBIC * v * v;
    float e = ps_vector_exp(-GELU_SCALE * v * (1.0f + q)), s = 1.0f / (1.0f + e);
    *share = s;
    return s + v * s * e * s * GELU_SCALE * (1.0f + 3.0f * q);
}

PS_VECTOR
static void gelu_tanh(float *y, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * gelu_tanh_share(x[i]);
}

PS_VECTOR
static void gelu_tanh_backward(float *dx, const float *dy, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float share;
        dx[i] = dy[i] * gelu_tanh_slope(x[i], &share);
    }
}

/* silu: x·sigmoid(x) */
static inline float silu_share(float x)
{
    return ps_vector_sigmoid(x);
}

/* s + x·s·(1-s), s = sigmoid(x), 1-s = sigmoid(-x) */
static inline float silu_slope(float x, float *share)
{
    *share = ps_vector_sigmoid(x);
    return *share + x * *share * ps_vector_sigmoid(-x);
}

PS_VECTOR
static void silu(float *y, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * silu_share(x[i]);
}

PS_VECTOR
static void silu_backward(float *dx, const float *dy, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float share;
        dx[i] = dy[i] * silu_slope(x[i], &share);
    }
}

static inline float relu_share(float x)
{
    return x < 0 ? 0.0f : 1.0f;
}

/* y = f(gate)·up; dup = dy·f(gate), dgate = dy·up·f'(gate) */
#define GATED(f)                                                                                 \
    PS_VECTOR                                                                                    \
    static void f##_gated(float *y, const float *gate, const float *up, int64_t n)               \
    {                                                                                            \
        PS_SIMD                                                                                  \
        for (int64_t i = 0; i < n; i++)                                                          \
            y[i] = gate[i] * f##_share(gate[i]) * up[i];                                         \
    }                                                                                            \
    PS_VECTOR                                                                                    \
    static void f##_gated_backward(float *dgate, float *dup, const float *dy, const float *gate, \
                                   const float *up, int64_t n)                                   \
    {                                                                                            \
        PS_SIMD                                                                                  \
        for (int64_t i = 0; i < n; i++) {                                                        \
            float g = gate[i], u = up[i], d = dy[i], share;                                      \
            dgate[i] = d * u * f##_slope(g, &share);                                             \
            dup[i] = d * g * share;                                                              \
        }                                                                                        \
    }
GATED(relu)
GATED(gelu)
GATED(gelu_tanh)
GATED(silu)

typedef struct kind_row {
    void (*forward)(float *y, const float *x, int64_t n);
    void (*backward)(float *dx, const float *dy, const float *from, int64_t n);
    bool from_output; /* the gradient reads y, else x */
    void (*gated)(float *y, const float *gate, const float *up, int64_t n);
    void (*gated_backward)(float *dgate, float *dup, const float *dy, const float *gate,
                           const float *up, int64_t n);
} kind_row;

static const kind_row kinds[PS_ACTIVATION_COUNT] = {
    [PS_ACTIVATION_RELU] = {relu, relu_backward, true, relu_gated, relu_gated_backward},
    [PS_ACTIVATION_GELU] = {gelu, gelu_backward, false, gelu_gated, gelu_gated_backward},
    [PS_ACTIVATION_TANH] = {tanh_forward, tanh_backward, true, NULL, NULL},
    [PS_ACTIVATION_GELU_TANH] = {gelu_tanh, gelu_tanh_backward, false, gelu_tanh_gated,
                                 gelu_tanh_gated_backward},
    [PS_ACTIVATION_SILU] = {silu, silu_backward, false, silu_gated, silu_gated_backward},
};

PS_VECTOR
void ps_cpu_cap(float *y, const float *x, float cap, int64_t n)
{
    float inverse = 1.0f / cap;
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = cap * ps_vector_tanh(x[i] * inverse);
}

/* dx = dy·(1 - (y/cap)²) */
PS_VECTOR
static void softcap_backward(float *dx, const float *dy, const float *y, float cap, int64_t n)
{
    float inverse = 1.0f / cap;
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float t = y[i] * inverse;
        dx[i] = dy[i] * (1.0f - t * t);
    }
}

static void softcap_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                       const void *context)
{
    (void)at;
    ps_cpu_cap(out[0], in[0], *(const float *)context, n);
}

static void softcap_backward_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                                const void *context)
{
    (void)at;
    softcap_backward(out[0], in[0], in[1], *(const float *)context, n);
}

void ps_cpu_softcap(ps_stream *s, ps_tensor y, ps_tensor x, float cap)
{
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {y}, .in = {x}, .body_cb = softcap_cb, .context = &cap});
}

void ps_cpu_softcap_backward(ps_stream *s, ps_tensor dx, ps_tensor dy, ps_tensor y, float cap)
{
    ps_cpu_map_run(
        s,
        &(ps_cpu_map){.out = {dx}, .in = {dy, y}, .body_cb = softcap_backward_cb, .context = &cap});
}

static void forward_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                       const void *context)
{
    (void)at;
    ((const kind_row *)context)->forward(out[0], in[0], n);
}

static void backward_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                        const void *context)
{
    (void)at;
    ((const kind_row *)context)->backward(out[0], in[0], in[1], n);
}

void ps_cpu_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x)
{
    ps_cpu_map_run(
        s, &(ps_cpu_map){.out = {y}, .in = {x}, .body_cb = forward_cb, .context = &kinds[kind]});
}

void ps_cpu_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                                ps_tensor x, ps_tensor y)
{
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {dx},
                                    .in = {dy, kinds[kind].from_output ? y : x},
                                    .body_cb = backward_cb,
                                    .context = &kinds[kind]});
}

static void gated_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                     const void *context)
{
    (void)at;
    ((const kind_row *)context)->gated(out[0], in[0], in[1], n);
}

static void gated_backward_cb(float *const *out, const float *const *in, int64_t n, int64_t at,
                              const void *context)
{
    (void)at;
    ((const kind_row *)context)->gated_backward(out[0], out[1], in[0], in[1], in[2], n);
}

void ps_cpu_gated(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor gate, ps_tensor up)
{
    ps_cpu_map_run(
        s,
        &(ps_cpu_map){.out = {y}, .in = {gate, up}, .body_cb = gated_cb, .context = &kinds[kind]});
}

void ps_cpu_gated_backward(ps_stream *s, ps_activation kind, ps_tensor dgate, ps_tensor dup,
                           ps_tensor dy, ps_tensor gate, ps_tensor up)
{
    ps_cpu_map_run(s, &(ps_cpu_map){.out = {dgate, dup},
                                    .in = {dy, gate, up},
                                    .body_cb = gated_backward_cb,
                                    .context = &kinds[kind]});
}
