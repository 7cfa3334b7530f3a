/* Rotary positions: a block takes a row, its threads the pairs of all heads. */
#include "gpu/cuda/real.h"

namespace
{
enum { THREADS = 256 };

template <typename T> struct turn {
    T *x;
    const int *positions;
    const float *table;
    int64_t rows, ld;
    int heads, head_dim, half;
    float sign; /* of the angle */
};

template <typename T> __global__ void __launch_bounds__(THREADS) rotate(turn<T> t)
{
    for (int64_t row = blockIdx.x; row < t.rows; row += gridDim.x) {
        const float *angles = t.table + (int64_t)t.positions[row] * 2 * t.half;
        for (int pair = threadIdx.x; pair < t.heads * t.half; pair += blockDim.x) {
            int i = pair % t.half;
            T *low = t.x + row * t.ld + (int64_t)(pair / t.half) * t.head_dim + i;
            T *high = low + t.half;
            float a = ps_float(*low), b = ps_float(*high);
            float cosine = angles[2 * i], sine = t.sign * angles[2 * i + 1];
            ps_store(low, a * cosine - b * sine);
            ps_store(high, b * cosine + a * sine);
        }
    }
}

template <typename T> void run(ps_stream *s, const ps_rope *r)
{
    turn<T> t = {ps_at<T>(r->x),
                 ps_at<int>(r->positions),
                 ps_at<float>(r->table),
                 r->rows,
                 r->ld,
                 (int)r->heads,
                 (int)r->head_dim,
                 (int)r->table.shape[1],
                 r->inverse ? -1.0f : 1.0f};
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "rope",
                    GPU_LAUNCH((rotate<T>), ps_blocks(r->rows, 1, PS_CUDA_ROW_BLOCKS),
                               ps_row_threads((int64_t)t.heads * t.half), 0, ps_cuda_queue(s), t));
}
} // namespace

void ps_cuda_rope(ps_stream *s, const ps_rope *r)
{
    PS_CUDA_CALL(r->x, run, s, r);
}
