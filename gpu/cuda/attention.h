/* attention: tiles of q, k, v in shared memory, for the forward pass and both kernels of the
 * backward pass. They keep their type there and are computed with in float32.
 *
 * A block is lanes × lanes threads. Of a tile of rows × columns, thread (y, x) has the elements
 * (y + lanes·i, x + lanes·j): i < rows / lanes, j < columns / lanes. The lanes of one y lie in one
 * warp, next to each other. */
#ifndef PS_CUDA_ATTENTION_H
#define PS_CUDA_ATTENTION_H

#include "gpu/cuda/philox.h"
#include "gpu/cuda/reduce.h"

#define PS_ATTENTION_DIM 256 /* the most that head_dim may be */

/* Blocks that an SM is to have registers for at once: with three, 80 for each of 256 threads, which
 * all kernels get by with; left alone, ptxas goes down to 64 for some GPUs, and spills. Before
 * compute capability 8.0 an SM has the shared memory for one. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
#define PS_ATTENTION_BLOCKS 1
#else
#define PS_ATTENTION_BLOCKS 3
#endif

/* Kernels are made twice: with Some for attention that leaves out some keys (but those that
 * causality does), caps scores or drops weights, which has registers of its own for that; without
 * it they pay nothing. */
#define PS_ATTENTION_BLOCKS_OF(Some) ((Some) ? (PS_ATTENTION_BLOCKS + 1) / 2 : PS_ATTENTION_BLOCKS)

static inline bool ps_attention_some(const ps_attention *a)
{
    return a->window > 0 || a->softcap > 0 || ps_tensor_present(a->starts) ||
           ps_tensor_present(a->ends) || a->dropout > 0;
}

/* Elements from one row of a tile to the next: lanes that read the same column of different rows
 * then hit different banks. */
template <typename T, int Dim> struct ps_tile {
    enum { ld = Dim + 4 / (int)sizeof(T) };
};

/* Keys and values in a cache that is narrower than T (gpu/ops.h). */
struct ps_kept {
    ps_dtype type; /* BF16 or I8; else they are T */
    const void *k, *v;
    const float *k_scales, *v_scales; /* of I8 */
};

/* Keys from `begin` to before `end`; none: both 0. */
struct ps_seen {
    int64_t begin, end;
};

/* ps_attention for kernels. */
template <typename T> struct ps_heads {
    int64_t batch, queries, keys, key_rows;
    int heads, kv_heads, head_dim;
    int64_t ld_q, ld_k, ld_v, ld_y;
    T *y;
    const T *q, *k, *v;
    float *lse; /* may be NULL */
    float scale;
    bool causal;
    bool narrow; /* k and v are `kept`, and not T */
    ps_kept kept;
    /* with Some */
    float softcap;
    int64_t window;
    const int *starts, *ends; /* may be NULL */
    uint32_t drop_limit;      /* of dropout; 0: none */
    float drop_scale;
    uint64_t seed, offset;

    __device__ int64_t query_at(int64_t b, int64_t row, int head, int64_t ld) const
    {
        return (b * queries + row) * ld + (int64_t)head * head_dim;
    }
    __device__ int64_t key_at(int64_t b, int64_t row, int head, int64_t ld) const
    {
        return (b * key_rows + row) * ld + (int64_t)head * head_dim;
    }
    /* of k_scales and v_scales; kv_heads from row to row */
    __device__ int64_t scale_at(int64_t b, int64_t row, int head) const
    {
        return (b * key_rows + row) * kv_heads + head;
    }
    /* of lse and delta */
    __device__ int64_t statistic_at(int64_t b, int64_t row, int head) const
    {
        return (b * heads + head) * queries + row;
    }
    /* how many keys query number t sees, from the first on, where causality alone says so */
    __device__ int64_t visible(int64_t t) const
    {
        return causal ? keys - queries + t + 1 : keys;
    }
    /* what query number t sees */
    template <bool Some> __device__ ps_seen seen_by(int64_t b, int64_t t) const
    {
        int64_t upto = keys - queries + t + 1;
        ps_seen s = {0, causal ? upto : keys};
        if (!Some)
            return s;
        if (window > 0 && upto > window)
            s.begin = upto - window;
        if (starts && starts[b * queries + t] > s.begin)
            s.begin = starts[b * queries + t];
        if (ends && ends[b * queries + t] < s.end)
            s.end = ends[b * queries + t];
        return s.begin < s.end ? s : ps_seen{0, 0};
    }
    /* from the first key that one of `rows` queries from number t on sees to the last one; of a
     * query past the last nothing */
    template <bool Some> __device__ ps_seen seen_by_some(int64_t b, int64_t t, int rows) const
    {
        int64_t last = t + rows < queries ? t + rows : queries;
        ps_seen all = seen_by<Some>(b, t);
        bool own = Some && (starts || ends);
        if (!own)
            all.end = seen_by<Some>(b, last - 1).end;
        while (own && ++t < last) {
            ps_seen one = seen_by<Some>(b, t);
            if (one.end == 0)
                continue;
            all.begin = all.end == 0 || one.begin < all.begin ? one.begin : all.begin;
            all.end = one.end > all.end ? one.end : all.end;
        }
        return all;
    }
    __device__ float capped(float score) const
    {
        return softcap > 0 ? softcap * tanhf(score / softcap) : score;
    }
    /* what dropout makes of a weight of 1 */
    __device__ float dropped(int64_t b, int head, int64_t t, int64_t key) const
    {
        if (drop_limit == 0)
            return 1;
        uint64_t number = offset + (uint64_t)(statistic_at(b, t, head) * keys + key);
        uint4 words = ps_philox(number / 4, seed);
        uint32_t mine = (uint32_t)number % 4;
        uint32_t low = mine == 0 ? words.x : words.y, high = mine == 2 ? words.z : words.w;
        return (mine < 2 ? low : high) < drop_limit ? 0 : drop_scale;
    }
    /* of capped, by its result */
    __device__ float slope(float score) const
    {
        return softcap > 0 ? 1 - score / softcap * (score / softcap) : 1;
    }
};

template <typename T> static inline ps_heads<T> ps_heads_of(const ps_attention *a)
{
    return {a->batch,
            a->queries,
            a->keys,
            a->key_rows,
            (int)a->heads,
            (int)a->kv_heads,
            (int)a->head_dim,
            a->ld_q,
            a->ld_k,
            a->ld_v,
            a->ld_y,
            ps_at<T>(a->y),
            ps_at<T>(a->q),
            ps_at<T>(a->k),
            ps_at<T>(a->v),
            ps_at<float>(a->lse),
            a->scale,
            a->causal,
            a->k.dtype != a->q.dtype,
            {a->k.dtype, ps_at<void>(a->k), ps_at<void>(a->v), ps_at<float>(a->k_scales),
             ps_at<float>(a->v_scales)},
            a->softcap,
            a->window,
            ps_at<int>(a->starts),
            ps_at<int>(a->ends),
            ps_dropout_limit(a->dropout),
            ps_dropout_scale(a->dropout),
            a->dropout_seed,
            a->dropout_offset};
}

/* `rows` rows of a tile from memory, of which `there` exist; the others are 0. A warp a row. */
template <int Dim, int Threads, typename T>
static __device__ __forceinline__ void ps_tile_load(T *tile, const T *from, int64_t ld, int rows,
                                                    int64_t there, int head_dim)
{
    constexpr int warp = (int)PS_CUDA_WARP;
    for (int row = threadIdx.x / warp; row < rows; row += Threads / warp) {
        T *to = tile + row * ps_tile<T, Dim>::ld;
        for (int i = threadIdx.x % warp; i < head_dim; i += warp) {
            if (row < there)
                to[i] = from[row * ld + i];
            else
                ps_store(to + i, 0.0f);
        }
    }
}

/* s[i][j] = sum over head_dim of a's row · b's row, for this thread's elements */
template <int Dim, int Lanes, int I, int J, typename T>
static __device__ __forceinline__ void ps_tile_product(float (&s)[I][J], const T *a, const T *b,
                                                       int head_dim)
{
    constexpr int ld = ps_tile<T, Dim>::ld;
    int y = threadIdx.x / Lanes, x = threadIdx.x % Lanes;
    for (int i = 0; i < I; i++)
        for (int j = 0; j < J; j++)
            s[i][j] = 0;
#pragma unroll 4
    for (int d = 0; d < head_dim; d++) {
        float column[J];
        for (int j = 0; j < J; j++)
            column[j] = ps_float(b[(x + Lanes * j) * ld + d]);
        for (int i = 0; i < I; i++) {
            float row = ps_float(a[(y + Lanes * i) * ld + d]);
            for (int j = 0; j < J; j++)
                s[i][j] += row * column[j];
        }
    }
}

/* sum[i][c] += sum over r < rows of w(i, r) · x's row r, column c, for this thread's elements;
 * w[i·step_i + r·step_r], from this thread's first row on. */
template <int Dim, int Lanes, int I, typename T>
static __device__ __forceinline__ void ps_tile_add(float (&sum)[I][Dim / Lanes], const float *w,
                                                   int step_i, int step_r, const T *x, int rows)
{
    constexpr int ld = ps_tile<T, Dim>::ld;
    x += threadIdx.x % Lanes;
    for (int r = 0; r < rows; r++) {
        float weight[I];
        for (int i = 0; i < I; i++)
            weight[i] = w[i * step_i + r * step_r];
#pragma unroll
        for (int c = 0; c < Dim / Lanes; c++) {
            float value = ps_float(x[r * ld + Lanes * c]);
            for (int i = 0; i < I; i++)
                sum[i][c] += weight[i] * value;
        }
    }
}

#endif
