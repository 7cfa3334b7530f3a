/* Activations, element by element: each function beside its gradient. */
#include "gpu/cuda/map.h"

namespace
{
__device__ float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

/* y from x; dx from dy and, as the kind wants, x or y */
#define FORWARD(name)                     \
    struct name {                         \
        enum { inputs = 1, outputs = 1 }; \
        __device__ void operator()(float *y, const float *x) const
#define BACKWARD(name, output)                                  \
    struct name##_backward {                                    \
        enum { inputs = 2, outputs = 1, from_output = output }; \
        __device__ void operator()(float *dx, const float *x) const

/* relu: max(x, 0); written so that NaN stays NaN */
FORWARD(relu)
{
    y[0] = x[0] < 0 ? 0 : x[0];
}
};

/* dx = dy where y > 0, else 0 */
BACKWARD(relu, true)
{
    dx[0] = x[1] > 0 ? x[0] : 0;
}
}
;

/* gelu: x·Φ(x), Φ(x) = erfc(-x/√2)/2, which is exact also where it is small */
__device__ float gelu_share(float x)
{
    return 0.5f * erfcf(x * -0.707106781f);
}

/* Φ(x) + x·φ(x) */
__device__ float gelu_slope(float x)
{
    float density = 0.39894228f * expf(-0.5f * x * x);
    return gelu_share(x) + x * density;
}

FORWARD(tanh)
{
    y[0] = tanhf(x[0]);
}
}
;

/* dx = dy·(1 - tanh²(x)) */
BACKWARD(tanh, true)
{
    dx[0] = x[0] * (1.0f - x[1] * x[1]);
}
}
;

/* gelu_tanh: 0.5·x·(1 + tanh(u)) = x·sigmoid(2u), u = √(2/π)·(x + 0.044715·x³) */
#define GELU_SCALE 1.59576912f /* 2·√(2/π) */
#define GELU_CUBIC 0.044715f

__device__ float gelu_tanh_share(float x)
{
    return sigmoid(GELU_SCALE * x * (1.0f + GELU_CUBIC * x * x));
}

/* s + x·s·(1-s)·2u', s = 1/(1+e), 1-s = e·s; beyond 8, where s is 0 or 1, as at 8 */
__device__ float gelu_tanh_slope(float x)
{
    float v = x < -8.0f ? -8.0f : x;
    v = v > 8.0f ? 8.0f : v;
    float q = GELU_CUBIC * v * v;
    float e = expf(-GELU_SCALE * v * (1.0f + q)), s = 1.0f / (1.0f + e);
    return s + v * s * e * s * GELU_SCALE * (1.0f + 3.0f * q);
}

/* silu: x·sigmoid(x) */
__device__ float silu_share(float x)
{
    return sigmoid(x);
}

/* s + x·s·(1-s), s = sigmoid(x), 1-s = sigmoid(-x) */
__device__ float silu_slope(float x)
{
    float s = sigmoid(x);
    return s + x * s * sigmoid(-x);
}

__device__ float relu_share(float x)
{
    return x < 0 ? 0.0f : 1.0f;
}

__device__ float relu_slope(float x)
{
    return x > 0 ? 1.0f : 0.0f;
}

/* y = f(x), f(x) = x·share(x); dx = dy·f'(x) */
#define BY_SHARE(f)                     \
    FORWARD(f)                          \
    {                                   \
        y[0] = x[0] * f##_share(x[0]);  \
    }                                   \
    }                                   \
    ;                                   \
    BACKWARD(f, false)                  \
    {                                   \
        dx[0] = x[0] * f##_slope(x[1]); \
    }                                   \
    }                                   \
    ;
BY_SHARE(gelu)
BY_SHARE(gelu_tanh)
BY_SHARE(silu)

/* y = f(gate)·up, of gate and up; dgate = dy·up·f'(gate), dup = dy·f(gate), of dy, gate and up */
#define GATED(f)                                                   \
    struct f##_gated {                                             \
        enum { inputs = 2, outputs = 1 };                          \
        __device__ void operator()(float *y, const float *x) const \
        {                                                          \
            y[0] = x[0] * f##_share(x[0]) * x[1];                  \
        }                                                          \
    };                                                             \
    struct f##_gated_backward {                                    \
        enum { inputs = 3, outputs = 2 };                          \
        __device__ void operator()(float *y, const float *x) const \
        {                                                          \
            y[0] = x[0] * x[2] * f##_slope(x[1]);                  \
            y[1] = x[0] * x[1] * f##_share(x[1]);                  \
        }                                                          \
    };
GATED(relu)
GATED(gelu)
GATED(gelu_tanh)
GATED(silu)

template <typename T, typename F> void forward(ps_stream *s, ps_tensor y, ps_tensor x)
{
    ps_map<T, T, F> m = {{ps_at<T>(y)}, {ps_at<T>(x)}, ps_tensor_count(y)};
    ps_map_run(s, "activation", F(), m);
}

template <typename T, typename F>
void backward(ps_stream *s, ps_tensor dx, ps_tensor dy, ps_tensor x, ps_tensor y)
{
    ps_map<T, T, F> m = {
        {ps_at<T>(dx)}, {ps_at<T>(dy), ps_at<T>(F::from_output ? y : x)}, ps_tensor_count(dx)};
    ps_map_run(s, "activation_backward", F(), m);
}

/* y = cap·tanh(x/cap) */
struct softcap {
    enum { inputs = 1, outputs = 1 };
    float cap;
    __device__ void operator()(float *y, const float *x) const
    {
        y[0] = cap * tanhf(x[0] / cap);
    }
};

/* dx = dy·(1 - (y/cap)²) */
struct softcap_backward {
    enum { inputs = 2, outputs = 1 };
    float cap;
    __device__ void operator()(float *dx, const float *x) const
    {
        float t = x[1] / cap;
        dx[0] = x[0] * (1.0f - t * t);
    }
};

/* The same for BF16 with y in float32. */
__global__ void __launch_bounds__(PS_MAP_THREADS)
    softcap_wide(__nv_bfloat16 *dx, const __nv_bfloat16 *dy, const float *y, softcap_backward f,
                 int64_t n)
{
    int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        float x[2] = {ps_float(dy[i]), y[i]}, d;
        f(&d, x);
        ps_store(dx + i, d);
    }
}

template <typename T> void run_softcap(ps_stream *s, ps_tensor y, ps_tensor x, float cap)
{
    ps_map<T, T, softcap> m = {{ps_at<T>(y)}, {ps_at<T>(x)}, ps_tensor_count(y)};
    ps_map_run(s, "softcap", softcap{cap}, m);
}

template <typename T>
void run_softcap_backward(ps_stream *s, ps_tensor dx, ps_tensor dy, ps_tensor y, float cap)
{
    ps_map<T, T, softcap_backward> m = {
        {ps_at<T>(dx)}, {ps_at<T>(dy), ps_at<T>(y)}, ps_tensor_count(dx)};
    ps_map_run(s, "softcap_backward", softcap_backward{cap}, m);
}

template <typename T, typename F>
void gated(ps_stream *s, ps_tensor y, ps_tensor gate, ps_tensor up)
{
    ps_map<T, T, F> m = {{ps_at<T>(y)}, {ps_at<T>(gate), ps_at<T>(up)}, ps_tensor_count(y)};
    ps_map_run(s, "gated", F(), m);
}

template <typename T, typename F>
void gated_backward(ps_stream *s, ps_tensor dgate, ps_tensor dup, ps_tensor dy, ps_tensor gate,
                    ps_tensor up)
{
    ps_map<T, T, F> m = {{ps_at<T>(dgate), ps_at<T>(dup)},
                         {ps_at<T>(dy), ps_at<T>(gate), ps_at<T>(up)},
                         ps_tensor_count(dy)};
    ps_map_run(s, "gated_backward", F(), m);
}

typedef struct kind_row {
    void (*forward)(ps_stream *s, ps_tensor y, ps_tensor x);
    void (*backward)(ps_stream *s, ps_tensor dx, ps_tensor dy, ps_tensor x, ps_tensor y);
    void (*gated)(ps_stream *s, ps_tensor y, ps_tensor gate, ps_tensor up);
    void (*gated_backward)(ps_stream *s, ps_tensor dgate, ps_tensor dup, ps_tensor dy,
                           ps_tensor gate, ps_tensor up);
} kind_row;

/* in the order of ps_activation */
#define KIND(T, name) forward<T, name>, backward<T, name##_backward>
#define GATE(T, name) gated<T, name##_gated>, gated_backward<T, name##_gated_backward>
#define KINDS(T)                                                                         \
    {                                                                                    \
        {KIND(T, relu), GATE(T, relu)}, {KIND(T, gelu), GATE(T, gelu)},                  \
            {KIND(T, tanh), nullptr, nullptr}, {KIND(T, gelu_tanh), GATE(T, gelu_tanh)}, \
        {                                                                                \
            KIND(T, silu), GATE(T, silu)                                                 \
        }                                                                                \
    }
const kind_row kinds[2][PS_ACTIVATION_COUNT] = {KINDS(float), KINDS(__nv_bfloat16)};
} // namespace

void ps_cuda_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x)
{
    kinds[x.dtype == PS_DTYPE_BF16][kind].forward(s, y, x);
}

void ps_cuda_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                                 ps_tensor x, ps_tensor y)
{
    kinds[dx.dtype == PS_DTYPE_BF16][kind].backward(s, dx, dy, x, y);
}

void ps_cuda_gated(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor gate, ps_tensor up)
{
    kinds[y.dtype == PS_DTYPE_BF16][kind].gated(s, y, gate, up);
}

void ps_cuda_gated_backward(ps_stream *s, ps_activation kind, ps_tensor dgate, ps_tensor dup,
                            ps_tensor dy, ps_tensor gate, ps_tensor up)
{
    kinds[dy.dtype == PS_DTYPE_BF16][kind].gated_backward(s, dgate, dup, dy, gate, up);
}

void ps_cuda_softcap(ps_stream *s, ps_tensor y, ps_tensor x, float cap)
{
    PS_CUDA_CALL(y, run_softcap, s, y, x, cap);
}

void ps_cuda_softcap_backward(ps_stream *s, ps_tensor dx, ps_tensor dy, ps_tensor y, float cap)
{
    if (y.dtype == dx.dtype) {
        PS_CUDA_CALL(dx, run_softcap_backward, s, dx, dy, y, cap);
        return;
    }
    int64_t n = ps_tensor_count(dx);
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "softcap_backward",
                    GPU_LAUNCH(softcap_wide, ps_blocks(n, PS_MAP_THREADS, PS_MAP_BLOCKS),
                               PS_MAP_THREADS, 0, ps_cuda_queue(s), ps_at<__nv_bfloat16>(dx),
                               ps_at<__nv_bfloat16>(dy), ps_at<float>(y), softcap_backward{cap},
                               n));
}
