/* columns: sums over the rows of a matrix, K at once: the gradients of what all rows share. F is a
 * struct with
 *
 *     __device__ void operator()(float *v, int64_t row, int64_t column) const   // v[K]
 *
 * and out[k][column] = sum over rows of v[k] + beta · out[k][column], beta 0 reading nothing. Rows
 * are cut into pieces whose sums lie in the stream's scratch and are then added in their order; of
 * few rows, or more columns than fit, there is one piece. */
#ifndef PS_CUDA_COLUMNS_H
#define PS_CUDA_COLUMNS_H

#include "gpu/cuda/real.h"

#define PS_COLUMNS_WIDE   32
#define PS_COLUMNS_HIGH   8
#define PS_COLUMNS_ROWS   64 /* the least that a piece has */
#define PS_COLUMNS_PIECES 64

template <int K> struct ps_columns {
    float *out[K];
    float *sums; /* [pieces][K][columns]; NULL: one piece, straight to out */
    int64_t rows, columns, piece;
    unsigned pieces;
    float beta;
};

template <int K>
static __device__ __forceinline__ void ps_columns_put(const ps_columns<K> &c, int k, int64_t column,
                                                      float sum)
{
    float *out = c.out[k] + column;
    *out = c.beta == 0 ? sum : sum + c.beta * *out;
}

/* The threads below one another in a block add up to its first row's. */
template <int K> static __device__ void ps_columns_fold(float *v)
{
    __shared__ float all[K][PS_COLUMNS_HIGH][PS_COLUMNS_WIDE];
    for (int k = 0; k < K; k++)
        all[k][threadIdx.y][threadIdx.x] = v[k];
    __syncthreads();
    for (int k = 0; k < K && threadIdx.y == 0; k++) {
        for (int i = 1; i < PS_COLUMNS_HIGH; i++)
            v[k] += all[k][i][threadIdx.x];
    }
}

template <int K, typename F>
static __global__ void __launch_bounds__(PS_COLUMNS_WIDE *PS_COLUMNS_HIGH)
    ps_columns_sum(F f, ps_columns<K> c)
{
    int64_t column = (int64_t)blockIdx.x * PS_COLUMNS_WIDE + threadIdx.x;
    int64_t row = blockIdx.y * c.piece, end = row + c.piece < c.rows ? row + c.piece : c.rows;
    float sum[K] = {};
    for (row += threadIdx.y; row < end && column < c.columns; row += PS_COLUMNS_HIGH) {
        float v[K];
        f(v, row, column);
        for (int k = 0; k < K; k++)
            sum[k] += v[k];
    }
    ps_columns_fold<K>(sum);
    if (threadIdx.y > 0 || column >= c.columns)
        return;
    for (int k = 0; k < K; k++) {
        if (c.sums)
            c.sums[((int64_t)blockIdx.y * K + k) * c.columns + column] = sum[k];
        else
            ps_columns_put(c, k, column, sum[k]);
    }
}

template <int K> static __global__ void __launch_bounds__(256) ps_columns_add(ps_columns<K> c)
{
    int64_t column = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= c.columns)
        return;
    for (int k = 0; k < K; k++) {
        float sum = 0;
        for (unsigned p = 0; p < c.pieces; p++)
            sum += c.sums[((int64_t)p * K + k) * c.columns + column];
        ps_columns_put(c, k, column, sum);
    }
}

/* out, rows, columns and beta are set. True: it was enqueued. */
template <int K, typename F>
static inline bool ps_columns_run(ps_stream *s, const char *what, F f, ps_columns<K> c)
{
    int64_t fit = (int64_t)(PS_CUDA_SCRATCH / sizeof(float)) / (K * c.columns);
    fit = fit > PS_COLUMNS_PIECES ? PS_COLUMNS_PIECES : fit < 1 ? 1 : fit;
    c.pieces = ps_blocks(c.rows, PS_COLUMNS_ROWS, fit);
    c.piece = (c.rows + c.pieces - 1) / c.pieces;
    c.sums = c.pieces > 1 ? static_cast<float *>(ps_cuda_scratch(s)) : nullptr;
    cudaStream_t q = ps_cuda_queue(s);
    dim3 grid((unsigned)((c.columns + PS_COLUMNS_WIDE - 1) / PS_COLUMNS_WIDE), c.pieces);
    bool done = ps_cuda_end(s, what,
                            GPU_LAUNCH((ps_columns_sum<K, F>), grid,
                                       dim3(PS_COLUMNS_WIDE, PS_COLUMNS_HIGH), 0, q, f, c));
    if (done && c.sums)
        done = ps_cuda_end(
            s, what,
            GPU_LAUNCH((ps_columns_add<K>), (unsigned)((c.columns + 255) / 256), 256, 0, q, c));
    return done;
}

#endif
