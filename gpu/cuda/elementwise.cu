/* Fill, sums, scaling, casts. */
#include "gpu/cuda/map.h"

namespace
{
struct fill {
    enum { inputs = 0, outputs = 1 };
    float value;
    __device__ void operator()(float *y, const float *x) const
    {
        (void)x;
        y[0] = value;
    }
};

/* y += a·x */
struct axpy {
    enum { inputs = 2, outputs = 1 };
    float a;
    __device__ void operator()(float *y, const float *x) const
    {
        y[0] = x[0] + a * x[1];
    }
};

struct scale {
    enum { inputs = 1, outputs = 1 };
    float a;
    __device__ void operator()(float *y, const float *x) const
    {
        y[0] = x[0] * a;
    }
};

struct add {
    enum { inputs = 2, outputs = 1 };
    __device__ void operator()(float *y, const float *x) const
    {
        y[0] = x[0] + x[1];
    }
};

/* x where the norm is within the limit; a NaN spreads: it is not to be hidden */
struct clip {
    enum { inputs = 1, outputs = 1 };
    const float *squared;
    float limit;
    __device__ void operator()(float *y, const float *x) const
    {
        float norm = sqrtf(*squared);
        y[0] = norm <= limit ? x[0] : x[0] * (limit / norm);
    }
};

/* Loading and storing is where the types change. */
struct same {
    enum { inputs = 1, outputs = 1 };
    __device__ void operator()(float *y, const float *x) const
    {
        y[0] = x[0];
    }
};

template <typename T> void run_add(ps_stream *s, ps_tensor y, ps_tensor a, ps_tensor b)
{
    ps_map<T, T, add> m = {{ps_at<T>(y)}, {ps_at<T>(a), ps_at<T>(b)}, ps_tensor_count(y)};
    ps_map_run(s, "add", add(), m);
}

template <typename T> void run_scale(ps_stream *s, ps_tensor x, float a)
{
    ps_map<T, T, scale> m = {{ps_at<T>(x)}, {ps_at<T>(x)}, ps_tensor_count(x)};
    ps_map_run(s, "scale", scale{a}, m);
}

template <typename In, typename Out> void run_cast(ps_stream *s, ps_tensor y, ps_tensor x)
{
    ps_map<In, Out, same> m = {{ps_at<Out>(y)}, {ps_at<In>(x)}, ps_tensor_count(y)};
    ps_map_run(s, "cast", same(), m);
}
} // namespace

void ps_cuda_fill(ps_stream *s, ps_tensor x, float value)
{
    ps_map<float, float, fill> m = {{ps_at<float>(x)}, {}, ps_tensor_count(x)};
    ps_map_run(s, "fill", fill{value}, m);
}

void ps_cuda_axpy(ps_stream *s, ps_tensor y, float a, ps_tensor x)
{
    ps_map<float, float, axpy> m = {
        {ps_at<float>(y)}, {ps_at<float>(y), ps_at<float>(x)}, ps_tensor_count(y)};
    ps_map_run(s, "axpy", axpy{a}, m);
}

void ps_cuda_scale(ps_stream *s, ps_tensor x, float a)
{
    PS_CUDA_CALL(x, run_scale, s, x, a);
}

void ps_cuda_add(ps_stream *s, ps_tensor y, ps_tensor a, ps_tensor b)
{
    PS_CUDA_CALL(y, run_add, s, y, a, b);
}

void ps_cuda_clip_norm(ps_stream *s, ps_tensor x, ps_tensor squared_norm, float limit)
{
    ps_map<float, float, clip> m = {{ps_at<float>(x)}, {ps_at<float>(x)}, ps_tensor_count(x)};
    ps_map_run(s, "clip_norm", clip{ps_at<float>(squared_norm), limit}, m);
}

void ps_cuda_cast(ps_stream *s, ps_tensor y, ps_tensor x)
{
    bool from = x.dtype == PS_DTYPE_BF16, to = y.dtype == PS_DTYPE_BF16;
    if (from == to)
        ps_cuda_copy(s, y, x, ps_tensor_bytes(x));
    else if (from)
        run_cast<__nv_bfloat16, float>(s, y, x);
    else
        run_cast<float, __nv_bfloat16>(s, y, x);
}
