/* LayerNorm and RMSNorm, a row a block: each forward beside its backward. RMSNorm is the same
 * without the mean and the bias. */
#include "gpu/cuda/columns.h"
#include "gpu/cuda/reduce.h"

namespace
{
enum { THREADS = 256 };

struct moments {
    float mean, rstd;
};

/* The second pass also finds by how much rounding put the first one's mean off. */
template <typename T> __device__ moments centred_moments(const T *x, int64_t n, float epsilon)
{
    float sum = 0, squares = 0, off = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        sum += ps_float(x[i]);
    float mean = ps_block_sum(sum) / (float)n;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) {
        float d = ps_float(x[i]) - mean;
        squares += d * d;
        off += d;
    }
    off = ps_block_sum(off) / (float)n;
    float variance = ps_block_sum(squares) / (float)n - off * off;
    return {mean + off, 1.0f / sqrtf(variance + epsilon)};
}

template <typename T> __device__ moments root_mean_square(const T *x, int64_t n, float epsilon)
{
    float squares = 0;
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x)
        squares += ps_float(x[i]) * ps_float(x[i]);
    return {0, 1.0f / sqrtf(ps_block_sum(squares) / (float)n + epsilon)};
}

/* Rows of n elements: dense, or `each` in every ld elements. */
struct strided {
    int64_t n, each, ld;
    __device__ int64_t at(int64_t row) const
    {
        return each == 0 ? row * n : row / each * ld + row % each * n;
    }
};

/* mean NULL: RMSNorm, and bias is not there */
template <typename T> struct forward {
    T *y;
    const T *x, *gain, *bias;
    float *mean, *rstd;
    int64_t rows, n;
    float epsilon, offset; /* of the gain */
    strided of_x, of_y;
};

/* y = (x - mean)·rstd·gain + bias */
template <typename T> __global__ void __launch_bounds__(THREADS) normalise(forward<T> f)
{
    for (int64_t row = blockIdx.x; row < f.rows; row += gridDim.x) {
        const T *x = f.x + f.of_x.at(row);
        T *y = f.y + f.of_y.at(row);
        moments m =
            f.mean ? centred_moments(x, f.n, f.epsilon) : root_mean_square(x, f.n, f.epsilon);
        for (int64_t i = threadIdx.x; i < f.n; i += blockDim.x) {
            float one = (ps_float(x[i]) - m.mean) * m.rstd * (ps_float(f.gain[i]) + f.offset);
            ps_store(y + i, f.bias ? one + ps_float(f.bias[i]) : one);
        }
        if (threadIdx.x > 0)
            continue;
        f.rstd[row] = m.rstd;
        if (f.mean)
            f.mean[row] = m.mean;
    }
}

template <typename T> void run_forward(ps_stream *s, const ps_norm *n)
{
    int64_t columns = n->x.shape[1];
    forward<T> f = {ps_at<T>(n->y),
                    ps_at<T>(n->x),
                    ps_at<T>(n->gain),
                    ps_at<T>(n->bias),
                    ps_at<float>(n->mean),
                    ps_at<float>(n->rstd),
                    n->x.shape[0],
                    columns,
                    n->epsilon,
                    n->gain_offset,
                    {columns, n->each, n->ld_x},
                    {columns, n->each, n->ld_y}};
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "norm",
                    GPU_LAUNCH((normalise<T>), ps_blocks(f.rows, 1, PS_CUDA_ROW_BLOCKS),
                               ps_row_threads(f.n), 0, ps_cuda_queue(s), f));
}

template <typename T> struct backward {
    T *dx;
    const T *dy, *x, *gain;
    const float *mean, *rstd;
    int64_t rows, n;
    bool add_dx, constant_rstd;
    float offset; /* of the gain */
    strided of_x, of_dy;

    __device__ moments moments_of(int64_t row) const
    {
        return {mean ? mean[row] : 0, rstd[row]};
    }
};

/* With h = (x - mean)·rstd and g = dy·gain: dx = rstd·(g - mean(g) - h·mean(g·h)) [+ dx]. dx may be
 * dy's memory. */
template <typename T> __global__ void __launch_bounds__(THREADS) row_gradient(backward<T> b)
{
    for (int64_t row = blockIdx.x; row < b.rows; row += gridDim.x) {
        const T *x = b.x + b.of_x.at(row), *dy = b.dy + b.of_dy.at(row);
        T *dx = b.dx + b.of_dy.at(row);
        moments m = b.moments_of(row);
        float g = 0, gh = 0;
        for (int64_t i = threadIdx.x; i < b.n; i += blockDim.x) {
            float one = ps_float(dy[i]) * (ps_float(b.gain[i]) + b.offset);
            g += one;
            gh += one * (ps_float(x[i]) - m.mean) * m.rstd;
        }
        g = b.mean ? ps_block_sum(g) / (float)b.n : 0;
        gh = b.constant_rstd ? 0 : ps_block_sum(gh) / (float)b.n;
        for (int64_t i = threadIdx.x; i < b.n; i += blockDim.x) {
            float h = (ps_float(x[i]) - m.mean) * m.rstd;
            float gain = ps_float(b.gain[i]) + b.offset;
            float d = m.rstd * (ps_float(dy[i]) * gain - g - h * gh);
            ps_store(dx + i, b.add_dx ? ps_float(dx[i]) + d : d);
        }
    }
}

/* dgain sums dy·h, dbias, of LayerNorm, dy */
template <typename T, int K> struct parameter_gradient {
    backward<T> b;
    __device__ void operator()(float *v, int64_t row, int64_t column) const
    {
        moments m = b.moments_of(row);
        float dy = ps_float(b.dy[b.of_dy.at(row) + column]);
        v[0] = dy * (ps_float(b.x[b.of_x.at(row) + column]) - m.mean) * m.rstd;
        if (K > 1)
            v[K - 1] = dy;
    }
};

/* Before dx, which may take dy's place. */
template <typename T, int K>
bool run_parameters(ps_stream *s, const ps_norm_backward *n, const backward<T> &b)
{
    ps_columns<K> c = {};
    c.out[0] = ps_at<float>(n->dgain);
    if (K > 1)
        c.out[K - 1] = ps_at<float>(n->dbias);
    c.rows = b.rows;
    c.columns = b.n;
    c.beta = n->beta;
    return ps_columns_run(s, "norm_backward", parameter_gradient<T, K>{b}, c);
}

template <typename T> void run_backward(ps_stream *s, const ps_norm_backward *n)
{
    int64_t columns = n->x.shape[1];
    backward<T> b = {ps_at<T>(n->dx),
                     ps_at<T>(n->dy),
                     ps_at<T>(n->x),
                     ps_at<T>(n->gain),
                     ps_at<float>(n->mean),
                     ps_at<float>(n->rstd),
                     n->x.shape[0],
                     columns,
                     n->add_dx,
                     n->constant_rstd,
                     n->gain_offset,
                     {columns, n->each, n->ld_x},
                     {columns, n->each, n->ld_dy}};
    if (!ps_cuda_begin(s))
        return;
    bool parameters = ps_tensor_present(n->dgain);
    if (!parameters || (b.mean ? run_parameters<T, 2>(s, n, b) : run_parameters<T, 1>(s, n, b)))
        ps_cuda_end(s, "norm_backward",
                    GPU_LAUNCH((row_gradient<T>), ps_blocks(b.rows, 1, PS_CUDA_ROW_BLOCKS),
                               ps_row_threads(b.n), 0, ps_cuda_queue(s), b));
}
} // namespace

void ps_cuda_layernorm(ps_stream *s, const ps_norm *n)
{
    PS_CUDA_CALL(n->x, run_forward, s, n);
}

void ps_cuda_rmsnorm(ps_stream *s, const ps_norm *n)
{
    PS_CUDA_CALL(n->x, run_forward, s, n);
}

void ps_cuda_layernorm_backward(ps_stream *s, const ps_norm_backward *n)
{
    PS_CUDA_CALL(n->x, run_backward, s, n);
}

void ps_cuda_rmsnorm_backward(ps_stream *s, const ps_norm_backward *n)
{
    PS_CUDA_CALL(n->x, run_backward, s, n);
}
