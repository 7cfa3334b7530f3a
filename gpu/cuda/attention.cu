/* Attention (Dao, Fu, Ermon, Rudra, Ré 2022; Milakov, Gimelshein 2018): a block takes a tile of
 * queries of one head and goes over the keys, a tile at a time. It keeps each query's largest score
 * so far, the sum of e^(score - largest) and the same sum of values; a larger score scales both
 * sums down. The scores are one tile in shared memory, never a matrix. */
#include "gpu/cuda/attention.h"

namespace
{
/* Tiles for heads of at most Dim: what fits 48 KiB of shared memory and the registers. */
template <typename T, int Dim> struct shape;
template <> struct shape<float, 64> {
    enum { lanes = 16, queries = 64, keys = 32 };
};
template <> struct shape<float, 128> {
    enum { lanes = 16, queries = 32, keys = 16 };
};
template <> struct shape<float, 256> {
    enum { lanes = 8, queries = 16, keys = 8 };
};
template <> struct shape<__nv_bfloat16, 64> {
    enum { lanes = 16, queries = 64, keys = 64 };
};
template <> struct shape<__nv_bfloat16, 128> {
    enum { lanes = 16, queries = 64, keys = 32 };
};
template <> struct shape<__nv_bfloat16, 256> {
    enum { lanes = 16, queries = 32, keys = 16 };
};

/* What a thread keeps of its queries: the same in all lanes of one y. */
template <int I> struct running {
    float largest[I], total[I];
};

__device__ float scaled_down(float from, float to)
{
    return from == to ? 1.0f : expf(from - to);
}

/* Turns scores into weights e^(score - largest); the sums so far follow. */
template <int Lanes, bool Some, int I, int J, int C>
__device__ void update(float (&s)[I][J], running<I> &r, float (&sum)[I][C])
{
#pragma unroll
    for (int i = 0; i < I; i++) {
        float largest = r.largest[i], added = 0;
        for (int j = 0; j < J; j++)
            largest = fmaxf(largest, s[i][j]);
        largest = ps_lanes(largest, ps_larger(), Lanes);
        float from = Some && largest == -INFINITY ? 0 : largest; /* it has seen none so far */
        for (int j = 0; j < J; j++) {
            s[i][j] = expf(s[i][j] - from);
            added += s[i][j];
        }
        float kept = scaled_down(r.largest[i], largest);
        r.total[i] = r.total[i] * kept + ps_lanes(added, ps_plus(), Lanes);
        r.largest[i] = largest;
#pragma unroll
        for (int c = 0; c < C; c++)
            sum[i][c] *= kept;
    }
}

/* Scores that query t does not see are no part of it. A query past the last is as the last. */
template <typename T, int Lanes, bool Some, int I, int J>
__device__ void hide(float (&s)[I][J], const ps_heads<T> &a, int64_t b, int64_t query, int64_t key)
{
    int y = threadIdx.x / Lanes, x = threadIdx.x % Lanes;
    for (int i = 0; i < I; i++) {
        int64_t t = query + y + Lanes * i;
        t = t < a.queries ? t : a.queries - 1;
        ps_seen seen = {0, a.visible(t)};
        if (Some)
            seen = a.template seen_by<Some>(b, t);
        for (int j = 0; j < J; j++) {
            bool sees = key + x + Lanes * j < seen.end;
            if (Some)
                sees = sees && key + x + Lanes * j >= seen.begin;
            s[i][j] = sees ? s[i][j] * a.scale : -INFINITY;
            if (Some && sees)
                s[i][j] = a.capped(s[i][j]);
        }
    }
}

template <typename T, int Lanes, bool Some, int I, int C>
__device__ void finish(const ps_heads<T> &a, int64_t b, int head, int64_t query,
                       const running<I> &r, const float (&sum)[I][C])
{
    int y = threadIdx.x / Lanes, x = threadIdx.x % Lanes;
#pragma unroll
    for (int i = 0; i < I; i++) {
        int64_t t = query + y + Lanes * i;
        if (t >= a.queries)
            continue;
        T *out = a.y + a.query_at(b, t, head, a.ld_y);
#pragma unroll
        for (int c = 0; c < C; c++)
            if (x + Lanes * c < a.head_dim)
                ps_store(out + x + Lanes * c, Some && r.total[i] == 0 ? 0 : sum[i][c] / r.total[i]);
        if (a.lse && x == 0)
            a.lse[a.statistic_at(b, t, head)] = r.largest[i] + logf(r.total[i]);
    }
}

/* A block's shared memory. */
template <typename T, int Dim> struct tiles {
    typedef shape<T, Dim> S;
    enum {
        lanes = S::lanes,
        threads = lanes * lanes,
        queries = S::queries,
        keys = S::keys,
        ld = ps_tile<T, Dim>::ld,
        ld_weights = keys + 1
    };
    T q[queries * ld], k[keys * ld], v[keys * ld];
    float weights[queries * ld_weights];
};

/* Where a block stands: a tile of queries and one of keys. */
struct place {
    int64_t b, query, key;
    int head, kv_head;
};

template <typename T, int Dim>
__device__ void load_queries(tiles<T, Dim> &t, const ps_heads<T> &a, const place &p)
{
    typedef tiles<T, Dim> S;
    for (int i = threadIdx.x; i < S::keys * S::ld; i += S::threads)
        ps_store(t.v + i, 0.0f); /* columns past head_dim are added up, and not used */
    __syncthreads();
    ps_tile_load<Dim, S::threads>(t.q, a.q + a.query_at(p.b, p.query, p.head, a.ld_q), a.ld_q,
                                  S::queries, a.queries - p.query, a.head_dim);
}

/* The same as ps_tile_load, of rows that are kept narrower; scales NULL: they have none. */
template <int Dim, int Threads, typename T, typename K>
__device__ void load_narrow(T *tile, const K *from, const float *scales, int64_t ld, int rows,
                            int64_t there, const ps_heads<T> &a)
{
    constexpr int warp = (int)PS_CUDA_WARP;
    for (int row = threadIdx.x / warp; row < rows; row += Threads / warp) {
        T *to = tile + row * ps_tile<T, Dim>::ld;
        float scale = scales && row < there ? scales[(int64_t)row * a.kv_heads] : 1.0f;
        for (int i = threadIdx.x % warp; i < a.head_dim; i += warp)
            ps_store(to + i, row < there ? (float)from[row * ld + i] * scale : 0.0f);
    }
}

/* A tile of keys or of values, of a cache that is narrower than T. */
template <typename T, int Dim>
__device__ void load_kept(T *tile, const ps_heads<T> &a, const place &p, const void *from,
                          const float *scales, int64_t ld)
{
    typedef tiles<T, Dim> S;
    int64_t at = a.key_at(p.b, p.key, p.kv_head, ld), there = a.keys - p.key;
    if (a.kept.type == PS_DTYPE_I8)
        load_narrow<Dim, S::threads>(tile, static_cast<const int8_t *>(from) + at,
                                     scales + a.scale_at(p.b, p.key, p.kv_head), ld, S::keys, there,
                                     a);
    else
        load_narrow<Dim, S::threads>(tile, static_cast<const __nv_bfloat16 *>(from) + at, nullptr,
                                     ld, S::keys, there, a);
}

template <typename T, int Dim>
__device__ void load_keys(tiles<T, Dim> &t, const ps_heads<T> &a, const place &p)
{
    typedef tiles<T, Dim> S;
    if (a.narrow) {
        load_kept<T, Dim>(t.k, a, p, a.kept.k, a.kept.k_scales, a.ld_k);
        load_kept<T, Dim>(t.v, a, p, a.kept.v, a.kept.v_scales, a.ld_v);
        return;
    }
    ps_tile_load<Dim, S::threads>(t.k, a.k + a.key_at(p.b, p.key, p.kv_head, a.ld_k), a.ld_k,
                                  S::keys, a.keys - p.key, a.head_dim);
    ps_tile_load<Dim, S::threads>(t.v, a.v + a.key_at(p.b, p.key, p.kv_head, a.ld_v), a.ld_v,
                                  S::keys, a.keys - p.key, a.head_dim);
}

/* This thread's weights go through dropout. One after the other: what is random takes registers. */
template <typename T, int Dim>
__device__ void drop_weights(tiles<T, Dim> &t, const ps_heads<T> &a, const place &p)
{
    typedef tiles<T, Dim> S;
    int y = threadIdx.x / S::lanes, x = threadIdx.x % S::lanes;
#pragma unroll 1
    for (int i = y; i < S::queries; i += S::lanes)
#pragma unroll 1
        for (int j = x; j < S::keys; j += S::lanes)
            t.weights[i * S::ld_weights + j] *= a.dropped(p.b, p.head, p.query + i, p.key + j);
}

/* The tiles' keys become part of what is running; all have loaded them. */
template <typename T, int Dim, bool Some, int I, int C>
__device__ void add_keys(tiles<T, Dim> &t, const ps_heads<T> &a, const place &p, running<I> &r,
                         float (&sum)[I][C])
{
    typedef tiles<T, Dim> S;
    int y = threadIdx.x / S::lanes, x = threadIdx.x % S::lanes;
    float s[I][S::keys / S::lanes];
    ps_tile_product<Dim, S::lanes>(s, t.q, t.k, a.head_dim);
    hide<T, S::lanes, Some>(s, a, p.b, p.query, p.key);
    update<S::lanes, Some>(s, r, sum);
    for (int i = 0; i < I; i++)
        for (int j = 0; j < S::keys / S::lanes; j++)
            t.weights[(y + S::lanes * i) * S::ld_weights + x + S::lanes * j] = s[i][j];
    if (Some && a.drop_limit > 0)
        drop_weights(t, a, p);
    __syncthreads();
    ps_tile_add<Dim, S::lanes>(sum, t.weights + y * S::ld_weights, S::lanes * S::ld_weights, 1, t.v,
                               S::keys);
}

/* Of a causal head, the last tiles see the most keys: they go first. */
template <typename T, int Dim, bool Some>
__global__ void __launch_bounds__(tiles<T, Dim>::threads, PS_ATTENTION_BLOCKS_OF(Some))
    forward(ps_heads<T> a, int64_t count)
{
    typedef tiles<T, Dim> S;
    constexpr int I = S::queries / S::lanes;
    __shared__ S t;
    int64_t unit = blockIdx.x / count;
    place at = {unit / a.heads, (count - 1 - blockIdx.x % count) * S::queries, 0,
                (int)(unit % a.heads), 0};
    at.kv_head = at.head / (a.heads / a.kv_heads);
    running<I> r;
    float sum[I][Dim / S::lanes] = {};
    for (int i = 0; i < I; i++) {
        r.largest[i] = -INFINITY;
        r.total[i] = 0;
    }
    load_queries(t, a, at);
    int64_t end = at.query + S::queries < a.queries ? at.query + S::queries : a.queries;
    int64_t keys = a.visible(end - 1);
    if (Some) {
        ps_seen seen = a.template seen_by_some<Some>(at.b, at.query, S::queries);
        at.key = seen.begin;
        keys = seen.end;
    }
    for (; at.key < keys; at.key += S::keys) {
        load_keys(t, a, at);
        __syncthreads();
        add_keys<T, Dim, Some>(t, a, at, r, sum);
        __syncthreads(); /* before the next keys come */
    }
    finish<T, S::lanes, Some>(a, at.b, at.head, at.query, r, sum);
}

template <typename T, int Dim> void launch(ps_stream *s, const ps_attention *a)
{
    typedef shape<T, Dim> S;
    int64_t tiles = (a->queries + S::queries - 1) / S::queries;
    unsigned blocks = (unsigned)(tiles * a->heads * a->batch), threads = S::lanes * S::lanes;
    if (!ps_cuda_begin(s))
        return;
    if (ps_attention_some(a))
        ps_cuda_end(s, "attention",
                    GPU_LAUNCH((forward<T, Dim, true>), blocks, threads, 0, ps_cuda_queue(s),
                               ps_heads_of<T>(a), tiles));
    else
        ps_cuda_end(s, "attention",
                    GPU_LAUNCH((forward<T, Dim, false>), blocks, threads, 0, ps_cuda_queue(s),
                               ps_heads_of<T>(a), tiles));
}

template <typename T> void run(ps_stream *s, const ps_attention *a)
{
    if (a->head_dim <= 64)
        launch<T, 64>(s, a);
    else if (a->head_dim <= 128)
        launch<T, 128>(s, a);
    else
        launch<T, 256>(s, a);
}
} // namespace

void ps_cuda_attention(ps_stream *s, const ps_attention *a)
{
    if (a->head_dim > PS_ATTENTION_DIM)
        ps_cuda_stream_fail(s, ps_cuda_fail(PS_UNIMPLEMENTED, "attention: heads of %d, at most %d",
                                            (int)a->head_dim, PS_ATTENTION_DIM));
    else
        PS_CUDA_CALL(a->q, run, s, a);
}
