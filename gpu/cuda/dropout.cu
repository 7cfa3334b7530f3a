/* Dropout by Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011): a counter and a key go through ten
 * rounds and come out as four random words. Element i belongs to number j = offset + i, whose word
 * is word j % 4 of the counter (j / 4, 0) under the key `seed`, low halves first. A thread makes a
 * counter's four words and takes the elements that they belong to. */
#include "gpu/cuda/philox.h"
#include "gpu/cuda/real.h"

namespace
{
enum { THREADS = 256, BLOCKS = 2048 };

struct draw {
    uint64_t seed, offset;
    uint32_t limit; /* a smaller word drops */
    float scale;
};

template <typename T>
__global__ void __launch_bounds__(THREADS) drop(T *y, const T *x, int64_t n, draw r)
{
    int64_t before = (int64_t)(r.offset % 4), counters = (before + n + 3) / 4;
    int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t c = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; c < counters; c += step) {
        uint4 four = ps_philox(r.offset / 4 + (uint64_t)c, r.seed);
        uint32_t words[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int k = 0; k < 4; k++) {
            int64_t i = 4 * c + k - before;
            if (i >= 0 && i < n)
                ps_store(y + i, words[k] < r.limit ? 0.0f : ps_float(x[i]) * r.scale);
        }
    }
}

template <typename T> void run(ps_stream *s, const ps_dropout *d)
{
    int64_t n = ps_tensor_count(d->y);
    draw r = {d->seed, d->offset, ps_dropout_limit(d->rate), ps_dropout_scale(d->rate)};
    if (ps_cuda_begin(s))
        ps_cuda_end(s, "dropout",
                    GPU_LAUNCH((drop<T>), ps_blocks(n / 4 + 2, THREADS, BLOCKS), THREADS, 0,
                               ps_cuda_queue(s), ps_at<T>(d->y), ps_at<T>(d->x), n, r));
}
} // namespace

void ps_cuda_dropout(ps_stream *s, const ps_dropout *d)
{
    PS_CUDA_CALL(d->y, run, s, d);
}
