/* The gradient of attention. With lse from the forward pass the probabilities P are made again, a
 * tile at a time, and
 *
 *     dP = dy·vᵀ     dS = scale · P ∘ (dP - delta)     dq = dS·k     dk = dSᵀ·q     dv = Pᵀ·dy
 *
 * where delta = Σ dy·y of a query; a softcap's slope is one more factor of dS. With
 * dropout, P of dv and dP are those that went through it. One kernel makes
 * delta; one takes a tile of queries and goes over the keys for dq; one takes a tile of keys and
 * goes over the queries, of all heads that read them, for dk and dv. The scores are made twice, and
 * in return nobody adds to what another adds to: there is one order. */
#include "gpu/cuda/attention.h"

namespace
{
/* Tiles of as many queries as keys, for heads of at most Dim. */
template <typename T, int Dim> struct shape;
template <> struct shape<float, 64> {
    enum { lanes = 16, rows = 32 };
};
template <> struct shape<float, 128> {
    enum { lanes = 16, rows = 16 };
};
template <> struct shape<float, 256> {
    enum { lanes = 8, rows = 8 };
};
template <> struct shape<__nv_bfloat16, 64> {
    enum { lanes = 16, rows = 32 };
};
template <> struct shape<__nv_bfloat16, 128> {
    enum { lanes = 16, rows = 32 };
};
template <> struct shape<__nv_bfloat16, 256> {
    enum { lanes = 16, rows = 16 };
};

template <typename T> struct backward {
    ps_heads<T> a;
    T *dq, *dk, *dv;
    const T *dy;
    float *delta;
};

/* delta = Σ dy·y: a warp takes a query of a head. */
template <typename T> __global__ void __launch_bounds__(128) make_delta(backward<T> g)
{
    const ps_heads<T> &a = g.a;
    int64_t unit = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / PS_CUDA_WARP;
    if (unit >= a.batch * a.heads * a.queries)
        return;
    int64_t t = unit % a.queries, b = unit / a.queries / a.heads;
    int64_t at = a.query_at(b, t, (int)(unit / a.queries % a.heads), a.ld_y);
    float sum = 0;
    for (int i = threadIdx.x % PS_CUDA_WARP; i < a.head_dim; i += PS_CUDA_WARP)
        sum += ps_float(g.dy[at + i]) * ps_float(a.y[at + i]);
    sum = ps_lanes(sum, ps_plus());
    if (threadIdx.x % PS_CUDA_WARP == 0)
        g.delta[unit] = sum;
}

/* Where a block stands: a tile of queries and one of keys. */
struct place {
    int64_t b, query, key;
    int head, kv_head;
};

/* The tiles of a block, and P and dS of them. */
template <typename T, int Dim> struct tiles {
    typedef shape<T, Dim> S;
    enum {
        lanes = S::lanes,
        threads = lanes * lanes,
        rows = S::rows,
        mine = rows / lanes,
        columns = Dim / lanes,
        ld = ps_tile<T, Dim>::ld,
        ld_s = rows + 1
    };
    T q[rows * ld], dy[rows * ld], k[rows * ld], v[rows * ld];
    float p[rows * ld_s], ds[rows * ld_s];
};

/* Columns past head_dim are added up, and not used: they have to be numbers. */
template <typename T, int Dim> __device__ void clear(tiles<T, Dim> &t)
{
    typedef tiles<T, Dim> S;
    for (int i = threadIdx.x; i < S::rows * S::ld; i += S::threads) {
        ps_store(t.q + i, 0.0f);
        ps_store(t.dy + i, 0.0f);
        ps_store(t.k + i, 0.0f);
        ps_store(t.v + i, 0.0f);
    }
    __syncthreads();
}

template <typename T, int Dim>
__device__ void load_queries(tiles<T, Dim> &t, const backward<T> &g, const place &p)
{
    typedef tiles<T, Dim> S;
    const ps_heads<T> &a = g.a;
    ps_tile_load<Dim, S::threads>(t.q, a.q + a.query_at(p.b, p.query, p.head, a.ld_q), a.ld_q,
                                  S::rows, a.queries - p.query, a.head_dim);
    ps_tile_load<Dim, S::threads>(t.dy, g.dy + a.query_at(p.b, p.query, p.head, a.ld_y), a.ld_y,
                                  S::rows, a.queries - p.query, a.head_dim);
}

template <typename T, int Dim>
__device__ void load_keys(tiles<T, Dim> &t, const backward<T> &g, const place &p)
{
    typedef tiles<T, Dim> S;
    const ps_heads<T> &a = g.a;
    ps_tile_load<Dim, S::threads>(t.k, a.k + a.key_at(p.b, p.key, p.kv_head, a.ld_k), a.ld_k,
                                  S::rows, a.keys - p.key, a.head_dim);
    ps_tile_load<Dim, S::threads>(t.v, a.v + a.key_at(p.b, p.key, p.kv_head, a.ld_v), a.ld_v,
                                  S::rows, a.keys - p.key, a.head_dim);
}

/* P and dS of the tiles, which all have loaded; all have read the last ones. */
template <bool Some, typename T, int Dim>
__device__ void make_gradients(tiles<T, Dim> &t, const backward<T> &g, const place &at)
{
    typedef tiles<T, Dim> S;
    const ps_heads<T> &a = g.a;
    float p[S::mine][S::mine], dp[S::mine][S::mine];
    ps_tile_product<Dim, S::lanes>(p, t.q, t.k, a.head_dim);
    ps_tile_product<Dim, S::lanes>(dp, t.dy, t.v, a.head_dim);
    int y = threadIdx.x / S::lanes, x = threadIdx.x % S::lanes;
    for (int i = 0; i < S::mine; i++) {
        int64_t query = at.query + y + S::lanes * i;
        bool there = query < a.queries;
        ps_seen seen = there ? a.template seen_by<Some>(at.b, query) : ps_seen{0, 0};
        float lse = there ? a.lse[a.statistic_at(at.b, query, at.head)] : 0;
        float delta = there ? g.delta[a.statistic_at(at.b, query, at.head)] : 0;
        for (int j = 0; j < S::mine; j++) {
            int key = x + S::lanes * j, to = (y + S::lanes * i) * S::ld_s + key;
            bool sees = at.key + key < seen.end && (!Some || at.key + key >= seen.begin);
            float score = p[i][j] * a.scale;
            if (Some)
                score = a.capped(score);
            float one = sees ? expf(score - lse) : 0;
            float kept = Some ? a.dropped(at.b, at.head, query, at.key + key) : 1;
            float d = a.scale * one * (dp[i][j] * kept - delta);
            t.p[to] = one * kept;
            t.ds[to] = sees ? Some ? d * a.slope(score) : d : 0;
        }
    }
}

/* This thread's elements of rows from `out` on, of which `there` exist. */
template <typename T, int Lanes, int I, int C>
__device__ void write_rows(T *out, int64_t ld, int64_t there, int head_dim,
                           const float (&sum)[I][C])
{
    int y = threadIdx.x / Lanes, x = threadIdx.x % Lanes;
#pragma unroll
    for (int i = 0; i < I; i++)
#pragma unroll
        for (int c = 0; c < C; c++)
            if (y + Lanes * i < there && x + Lanes * c < head_dim)
                ps_store(out + (y + Lanes * i) * ld + x + Lanes * c, sum[i][c]);
}

template <typename T, int Dim, bool Some>
__global__ void __launch_bounds__(tiles<T, Dim>::threads, PS_ATTENTION_BLOCKS_OF(Some))
    make_dq(backward<T> g, int64_t count)
{
    typedef tiles<T, Dim> S;
    __shared__ S t;
    const ps_heads<T> &a = g.a;
    int64_t unit = blockIdx.x / count;
    place at = {unit / a.heads, (count - 1 - blockIdx.x % count) * S::rows, 0,
                (int)(unit % a.heads), 0};
    at.kv_head = at.head / (a.heads / a.kv_heads);
    ps_seen seen = a.template seen_by_some<Some>(at.b, at.query, S::rows);
    float dq[S::mine][S::columns] = {};
    clear(t);
    load_queries(t, g, at);
    for (at.key = seen.begin; at.key < seen.end; at.key += S::rows) {
        load_keys(t, g, at);
        __syncthreads();
        make_gradients<Some>(t, g, at);
        __syncthreads();
        ps_tile_add<Dim, S::lanes>(dq, t.ds + threadIdx.x / S::lanes * S::ld_s, S::lanes * S::ld_s,
                                   1, t.k, S::rows);
        __syncthreads(); /* before the next keys come */
    }
    write_rows<T, S::lanes>(g.dq + a.query_at(at.b, at.query, at.head, a.ld_q), a.ld_q,
                            a.queries - at.query, a.head_dim, dq);
}

/* Does one of these queries see one of these keys? */
template <typename T> __device__ bool seen_at_all(const ps_heads<T> &a, const place &at, int rows)
{
    ps_seen seen = a.template seen_by_some<true>(at.b, at.query, rows);
    return seen.begin < at.key + rows && seen.end > at.key;
}

template <typename T, int Dim, bool Some>
__global__ void __launch_bounds__(tiles<T, Dim>::threads, PS_ATTENTION_BLOCKS_OF(Some))
    make_dk_dv(backward<T> g, int64_t count)
{
    typedef tiles<T, Dim> S;
    __shared__ S t;
    const ps_heads<T> &a = g.a;
    int64_t unit = blockIdx.x / count;
    int group = a.heads / a.kv_heads, y = threadIdx.x / S::lanes;
    place at = {unit / a.kv_heads, 0, blockIdx.x % count * S::rows, 0, (int)(unit % a.kv_heads)};
    int64_t first = a.causal ? at.key / S::rows * S::rows : 0; /* as many queries as keys */
    float dk[S::mine][S::columns] = {}, dv[S::mine][S::columns] = {};
    clear(t);
    load_keys(t, g, at);
    for (int i = 0; i < group; i++) {
        at.head = at.kv_head * group + i;
        for (at.query = first; at.query < a.queries; at.query += S::rows) {
            if (Some && !seen_at_all(a, at, S::rows))
                continue;
            load_queries(t, g, at);
            __syncthreads();
            make_gradients<Some>(t, g, at);
            __syncthreads();
            ps_tile_add<Dim, S::lanes>(dv, t.p + y, S::lanes, S::ld_s, t.dy, S::rows);
            ps_tile_add<Dim, S::lanes>(dk, t.ds + y, S::lanes, S::ld_s, t.q, S::rows);
            __syncthreads(); /* before the next queries come */
        }
    }
    int64_t there = a.keys - at.key;
    write_rows<T, S::lanes>(g.dk + a.key_at(at.b, at.key, at.kv_head, a.ld_k), a.ld_k, there,
                            a.head_dim, dk);
    write_rows<T, S::lanes>(g.dv + a.key_at(at.b, at.key, at.kv_head, a.ld_v), a.ld_v, there,
                            a.head_dim, dv);
}

template <typename T, int Dim, bool Some> void launch(ps_stream *s, const backward<T> &g)
{
    typedef tiles<T, Dim> S;
    const ps_heads<T> &a = g.a;
    int64_t count = (a.queries + S::rows - 1) / S::rows;
    cudaStream_t q = ps_cuda_queue(s);
    if (ps_cuda_end(s, "attention_backward",
                    GPU_LAUNCH((make_dq<T, Dim, Some>), (unsigned)(count * a.heads * a.batch),
                               S::threads, 0, q, g, count)))
        ps_cuda_end(s, "attention_backward",
                    GPU_LAUNCH((make_dk_dv<T, Dim, Some>), (unsigned)(count * a.kv_heads * a.batch),
                               S::threads, 0, q, g, count));
}

template <typename T, int Dim> void launch_either(ps_stream *s, const backward<T> &g, bool some)
{
    if (some)
        launch<T, Dim, true>(s, g);
    else
        launch<T, Dim, false>(s, g);
}

template <typename T> void run(ps_stream *s, const ps_attention_backward *b)
{
    backward<T> g = {ps_heads_of<T>(b->forward),
                     ps_at<T>(b->dq),
                     ps_at<T>(b->dk),
                     ps_at<T>(b->dv),
                     ps_at<T>(b->dy),
                     ps_at<float>(b->delta)};
    const ps_heads<T> &a = g.a;
    int64_t warps = a.batch * a.heads * a.queries;
    if (!ps_cuda_begin(s) || !ps_cuda_end(s, "attention_backward",
                                          GPU_LAUNCH((make_delta<T>), (unsigned)((warps + 3) / 4),
                                                     128, 0, ps_cuda_queue(s), g)))
        return;
    bool some = ps_attention_some(b->forward);
    if (a.head_dim <= 64)
        launch_either<T, 64>(s, g, some);
    else if (a.head_dim <= 128)
        launch_either<T, 128>(s, g, some);
    else
        launch_either<T, 256>(s, g, some);
}
} // namespace

void ps_cuda_attention_backward(ps_stream *s, const ps_attention_backward *b)
{
    if (b->forward->head_dim > PS_ATTENTION_DIM)
        ps_cuda_stream_fail(s, ps_cuda_fail(PS_UNIMPLEMENTED, "attention: heads of %d, at most %d",
                                            (int)b->forward->head_dim, PS_ATTENTION_DIM));
    else
        PS_CUDA_CALL(b->forward->q, run, s, b);
}
