/* Activations, element by element: each function beside its gradient. In place is allowed, so the
 * pointers are not restrict; PS_SIMD says that element i needs no other. */
#include "gpu/cpu/cpu.h"
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

/* gelu: x·Φ(x) */
PS_VECTOR
static void gelu(float *y, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float density;
        y[i] = x[i] * ps_vector_normal(x[i], &density);
    }
}

/* dx = dy·(Φ(x) + x·φ(x)) */
PS_VECTOR
static void gelu_backward(float *dx, const float *dy, const float *x, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float density;
        float normal = ps_vector_normal(x[i], &density);
        dx[i] = dy[i] * (normal + x[i] * density);
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

void ps_cpu_activation(ps_stream *s, ps_activation kind, ps_tensor y, ps_tensor x)
{
    (void)s;
    float *to = ps_tensor_address(y);
    const float *from = ps_tensor_address(x);
    int64_t n = ps_tensor_count(x);
    switch (kind) {
    case PS_ACTIVATION_RELU:
        relu(to, from, n);
        break;
    case PS_ACTIVATION_GELU:
        gelu(to, from, n);
        break;
    case PS_ACTIVATION_TANH:
        tanh_forward(to, from, n);
        break;
    case PS_ACTIVATION_COUNT:
        break;
    }
}

void ps_cpu_activation_backward(ps_stream *s, ps_activation kind, ps_tensor dx, ps_tensor dy,
                                ps_tensor x, ps_tensor y)
{
    (void)s;
    float *to = ps_tensor_address(dx);
    const float *from = ps_tensor_address(dy);
    int64_t n = ps_tensor_count(dx);
    switch (kind) {
    case PS_ACTIVATION_RELU:
        relu_backward(to, from, ps_tensor_address(y), n);
        break;
    case PS_ACTIVATION_GELU:
        gelu_backward(to, from, ps_tensor_address(x), n);
        break;
    case PS_ACTIVATION_TANH:
        tanh_backward(to, from, ps_tensor_address(y), n);
        break;
    case PS_ACTIVATION_COUNT:
        break;
    }
}
