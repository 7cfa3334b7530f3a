/* Rows of a table by number: forward and backward. */
#include "gpu/cuda/real.h"

namespace
{
enum { THREADS = 256 };

template <typename T>
__global__ void __launch_bounds__(THREADS)
    look_up(T *y, const T *table, const int *ids, int64_t rows, int64_t columns, bool add)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        const T *from = table + ids[row] * columns;
        T *to = y + row * columns;
        for (int64_t i = threadIdx.x; i < columns; i += blockDim.x)
            ps_store(to + i, add ? ps_float(to[i]) + ps_float(from[i]) : ps_float(from[i]));
    }
}

/* Does a row before this one have its number? For all threads of the block. */
__device__ bool came_before(const int *ids, int64_t row)
{
    int id = ids[row];
    bool found = false;
    for (int64_t i = threadIdx.x; i < row && !found; i += THREADS)
        found = ids[i] == id;
    return __syncthreads_or(found);
}

/* dtable[id] += those of the next THREADS rows from `from` that have the number, in their order */
template <typename T>
__device__ void add_rows(float *dtable, const T *dy, const int *ids, int64_t from, int64_t rows,
                         int64_t columns, int id)
{
    __shared__ unsigned matches[THREADS / PS_CUDA_WARP]; /* a bit a row */
    int64_t mine = from + threadIdx.x;
    bool match = mine < rows && ids[mine] == id;
    if (!__syncthreads_or(match)) /* the last rows' bits have been read, too */
        return;
    unsigned bits = __ballot_sync(PS_CUDA_ALL, match);
    if (threadIdx.x % PS_CUDA_WARP == 0)
        matches[threadIdx.x / PS_CUDA_WARP] = bits;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < columns; i += THREADS) {
        float sum = dtable[i];
        for (int w = 0; w < THREADS / (int)PS_CUDA_WARP; w++) {
            for (unsigned left = matches[w]; left; left &= left - 1)
                sum += ps_float(
                    dy[(from + w * (int)PS_CUDA_WARP + __ffs((int)left) - 1) * columns + i]);
        }
        dtable[i] = sum;
    }
}

/* Two rows may have the same number: the block of the first adds all of them, so that each sum has
 * one order. Looking for them costs every block the reading of all numbers. */
template <typename T>
__global__ void __launch_bounds__(THREADS)
    add_to_table(float *dtable, const T *dy, const int *ids, int64_t rows, int64_t columns)
{
    for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
        if (came_before(ids, row))
            continue;
        int id = ids[row];
        for (int64_t from = row; from < rows; from += THREADS)
            add_rows(dtable + id * columns, dy, ids, from, rows, columns, id);
    }
}

template <typename T> void run(ps_stream *s, ps_tensor y, ps_tensor table, ps_tensor ids, bool add)
{
    int64_t rows = y.shape[0], columns = y.shape[1];
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "embedding",
                    GPU_LAUNCH((look_up<T>), ps_blocks(rows, 1, PS_CUDA_ROW_BLOCKS),
                               ps_row_threads(columns), 0, ps_cuda_queue(s), ps_at<T>(y),
                               ps_at<T>(table), ps_at<int>(ids), rows, columns, add));
}

template <typename T> void run_backward(ps_stream *s, ps_tensor dtable, ps_tensor dy, ps_tensor ids)
{
    int64_t rows = dy.shape[0], columns = dy.shape[1];
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "embedding_backward",
                    GPU_LAUNCH((add_to_table<T>), ps_blocks(rows, 1, PS_CUDA_ROW_BLOCKS), THREADS,
                               0, ps_cuda_queue(s), ps_at<float>(dtable), ps_at<T>(dy),
                               ps_at<int>(ids), rows, columns));
}
} // namespace

void ps_cuda_embedding(ps_stream *s, ps_tensor y, ps_tensor table, ps_tensor ids, bool add)
{
    PS_CUDA_CALL(y, run, s, y, table, ids, add);
}

void ps_cuda_embedding_backward(ps_stream *s, ps_tensor dtable, ps_tensor dy, ps_tensor ids)
{
    PS_CUDA_CALL(dy, run_backward, s, dtable, dy, ids);
}
