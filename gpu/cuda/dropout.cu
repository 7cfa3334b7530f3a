/* Dropout by Philox 4x32-10 (Salmon, Moraes, Dror, Shaw 2011): a counter and a key go through ten
 * rounds and come out as four random words. Element i belongs to number j = offset + i, whose word
 * is word j % 4 of the counter (j / 4, 0) under the key `seed`, low halves first. A thread makes a
 * counter's four words and takes the elements that they belong to. */
#include "gpu/cuda/real.h"

namespace
{
enum { THREADS = 256, BLOCKS = 2048 };

struct draw {
    uint64_t seed, offset;
    uint32_t limit; /* a smaller word drops */
    float scale;
};

__device__ void philox(uint32_t *words, uint64_t counter, uint64_t seed)
{
    uint32_t a = (uint32_t)counter, b = (uint32_t)(counter >> 32), c = 0, d = 0;
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t x = (uint64_t)0xD2511F53u * a, y = (uint64_t)0xCD9E8D57u * c;
        a = (uint32_t)(y >> 32) ^ b ^ key0;
        b = (uint32_t)y;
        c = (uint32_t)(x >> 32) ^ d ^ key1;
        d = (uint32_t)x;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    words[0] = a;
    words[1] = b;
    words[2] = c;
    words[3] = d;
}

template <typename T>
__global__ void __launch_bounds__(THREADS) drop(T *y, const T *x, int64_t n, draw r)
{
    int64_t before = (int64_t)(r.offset % 4), counters = (before + n + 3) / 4;
    int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t c = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; c < counters; c += step) {
        uint32_t words[4];
        philox(words, r.offset / 4 + (uint64_t)c, r.seed);
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
    draw r = {d->seed, d->offset, (uint32_t)((double)d->rate * 4294967296.0),
              1.0f / (1.0f - d->rate)};
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
