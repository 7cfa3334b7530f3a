/* Bias: forward and backward. */
#include "gpu/cuda/columns.h"

namespace
{
enum { WIDE = 32, HIGH = 8, BLOCKS_HIGH = 1024 };

/* A thread has one column and goes down the rows. */
template <typename T>
__global__ void __launch_bounds__(WIDE *HIGH)
    add(T *y, const T *bias, int64_t rows, int64_t columns)
{
    int64_t column = (int64_t)blockIdx.x * WIDE + threadIdx.x;
    if (column >= columns)
        return;
    float b = ps_float(bias[column]);
    int64_t row = (int64_t)blockIdx.y * HIGH + threadIdx.y, step = (int64_t)gridDim.y * HIGH;
    for (; row < rows; row += step)
        ps_store(y + row * columns + column, ps_float(y[row * columns + column]) + b);
}

template <typename T> void run_add(ps_stream *s, ps_tensor y, ps_tensor bias)
{
    int64_t rows = y.shape[0], columns = y.shape[1];
    dim3 grid((unsigned)((columns + WIDE - 1) / WIDE), ps_blocks(rows, HIGH, BLOCKS_HIGH));
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "bias_add",
                    GPU_LAUNCH((add<T>), grid, dim3(WIDE, HIGH), 0, ps_cuda_queue(s), ps_at<T>(y),
                               ps_at<T>(bias), rows, columns));
}

template <typename T> struct element {
    const T *dy;
    int64_t columns;
    __device__ void operator()(float *v, int64_t row, int64_t column) const
    {
        v[0] = ps_float(dy[row * columns + column]);
    }
};

template <typename T> void run_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta)
{
    ps_columns<1> c = {};
    c.out[0] = ps_at<float>(dbias);
    c.rows = dy.shape[0];
    c.columns = dy.shape[1];
    c.beta = beta;
    if (ps_cuda_begin(s))
        ps_columns_run(s, "bias_backward", element<T>{ps_at<T>(dy), c.columns}, c);
}
} // namespace

void ps_cuda_bias_add(ps_stream *s, ps_tensor y, ps_tensor bias)
{
    PS_CUDA_CALL(y, run_add, s, y, bias);
}

void ps_cuda_bias_backward(ps_stream *s, ps_tensor dbias, ps_tensor dy, float beta)
{
    PS_CUDA_CALL(dy, run_backward, s, dbias, dy, beta);
}
