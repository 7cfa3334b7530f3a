/* The gradient of attention. A thread takes one head of keys of one sequence, and for each head of
 * queries that reads it goes over tiles of queries and, for each, of keys. It makes the scores
 * again and, with lse from the forward pass, P = softmax; then
 *
 *     dv += Pᵀ·dy     dP = dy·vᵀ     dS = scale · P ∘ (dP - delta)     dq += dS·k     dk += dSᵀ·q
 *
 * where delta = Σ dy·y of a query; a softcap's slope is one more factor of dS. With dropout, P of
 * dv and dP are those that went through it. Nobody else adds to these dk and dv, so there is
 * nothing to lock and one order to add in. */
#include "gpu/cpu/attention.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/gemm.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

typedef struct backward_run {
    const ps_attention_backward *b;
    float *scratch;        /* of all threads */
    size_t scratch_floats; /* of one */
} backward_run;

/* One thread's head, and what it works in. */
typedef struct head_run {
    const ps_attention_backward *b;
    int64_t batch, kv_head, head;
    float *p, *ds;                          /* [PS_CPU_QUERIES, PS_CPU_KEYS] */
    float *q, *y, *dy, *dq;                 /* [PS_CPU_QUERIES, head_dim], for BF16 */
    float *k_all, *v_all, *dk_all, *dv_all; /* [keys, head_dim], for BF16 */
    ps_cpu_part k, v, dk, dv;
} head_run;

static size_t scratch_floats(const ps_attention *a)
{
    size_t d = ps_cpu_padded(a->head_dim);
    size_t whole = a->q.dtype == PS_DTYPE_BF16 ? 4 * (size_t)a->keys * d : 0;
    return 2 * PS_CPU_QUERIES * PS_CPU_KEYS + 4 * PS_CPU_QUERIES * d + whole;
}

static void set_zero(ps_cpu_part p, int64_t rows, int64_t n)
{
    for (int64_t i = 0; i < rows; i++)
        memset(p.x + i * p.ld, 0, (size_t)n * sizeof *p.x);
}

static int64_t k_at(const head_run *h)
{
    return ps_cpu_key_at(h->b->forward, h->batch, 0, h->kv_head, h->b->forward->ld_k);
}

static int64_t v_at(const head_run *h)
{
    return ps_cpu_key_at(h->b->forward, h->batch, 0, h->kv_head, h->b->forward->ld_v);
}

static head_run open_head(const backward_run *r, int64_t unit, float *scratch)
{
    const ps_attention *a = r->b->forward;
    size_t d = ps_cpu_padded(a->head_dim), tile = PS_CPU_QUERIES * d, whole = (size_t)a->keys * d;
    head_run h = {.b = r->b, .batch = unit / a->kv_heads, .kv_head = unit % a->kv_heads};
    h.p = scratch;
    h.ds = h.p + PS_CPU_QUERIES * PS_CPU_KEYS;
    h.q = h.ds + PS_CPU_QUERIES * PS_CPU_KEYS;
    h.y = h.q + tile;
    h.dy = h.y + tile;
    h.dq = h.dy + tile;
    float *rest = h.dq + tile;
    bool converts = a->q.dtype == PS_DTYPE_BF16;
    h.k_all = rest;
    h.v_all = converts ? h.k_all + whole : rest;
    h.dk_all = converts ? h.v_all + whole : rest;
    h.dv_all = converts ? h.dk_all + whole : rest;
    h.k = ps_cpu_part_load(a->k, k_at(&h), a->ld_k, a->keys, a->head_dim, h.k_all);
    h.v = ps_cpu_part_load(a->v, v_at(&h), a->ld_v, a->keys, a->head_dim, h.v_all);
    h.dk = ps_cpu_part_place(r->b->dk, k_at(&h), a->ld_k, a->head_dim, h.dk_all);
    h.dv = ps_cpu_part_place(r->b->dv, v_at(&h), a->ld_v, a->head_dim, h.dv_all);
    set_zero(h.dk, a->keys, a->head_dim);
    set_zero(h.dv, a->keys, a->head_dim);
    return h;
}

static void store_head(const head_run *h)
{
    const ps_attention *a = h->b->forward;
    ps_cpu_part_store(h->b->dk, k_at(h), a->ld_k, a->keys, a->head_dim, h->dk);
    ps_cpu_part_store(h->b->dv, v_at(h), a->ld_v, a->keys, a->head_dim, h->dv);
}

/* p: scores to probabilities; ds: dP to dS */
PS_VECTOR
static void row_gradient(float *restrict p, float *restrict ds, int64_t n, float lse, float delta,
                         float scale)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        p[i] = ps_vector_exp(p[i] - lse);
        ds[i] = scale * p[i] * (ds[i] - delta);
    }
}

/* The same of scores cap·t, t = tanh(score/cap), whose slope is 1 - t². */
PS_VECTOR
static void capped_gradient(float *restrict p, float *restrict ds, int64_t n, float lse,
                            float delta, float scale, float cap)
{
    float inverse = 1.0f / cap;
    PS_SIMD
    for (int64_t i = 0; i < n; i++) {
        float t = ps_vector_tanh(p[i] * inverse);
        p[i] = ps_vector_exp(cap * t - lse);
        ds[i] = scale * p[i] * (ds[i] - delta) * (1.0f - t * t);
    }
}

PS_VECTOR
static float dot(const float *restrict a, const float *restrict b, int64_t n)
{
    float sum = 0;
    PS_SIMD_SUM(sum)
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static ps_cpu_part below(ps_cpu_part p, int64_t rows)
{
    return (ps_cpu_part){.x = p.x + rows * p.ld, .ld = p.ld};
}

/* c[m,head_dim] += op(s)·x, s a tile */
static void add_product(ps_cpu_part c, int64_t m, const float *s, bool transpose, ps_cpu_part x,
                        int64_t k, int64_t head_dim)
{
    ps_cpu_product_run(&(ps_cpu_product){.transpose_a = transpose,
                                         .m = m,
                                         .n = head_dim,
                                         .k = k,
                                         .alpha = 1,
                                         .beta = 1,
                                         .a = s,
                                         .ld_a = PS_CPU_KEYS,
                                         .b = x.x,
                                         .ld_b = x.ld,
                                         .c = c.x,
                                         .ld_c = c.ld});
}

typedef struct query_tile {
    int64_t first, rows;
    ps_cpu_part q, dy, dq;
    const float *lse, *delta;
} query_tile;

/* Row i of the tiles p and ds, for `keys` keys from number `first` on. */
static void query_gradient(const head_run *h, const query_tile *t, int64_t i, int64_t first,
                           int64_t keys)
{
    const ps_attention *a = h->b->forward;
    float *p = h->p + i * PS_CPU_KEYS, *ds = h->ds + i * PS_CPU_KEYS;
    ps_cpu_seen seen = ps_cpu_seen_by(a, h->batch, t->first + i);
    seen = ps_cpu_seen_of(seen, first, keys);
    for (int64_t k = 0; k < seen.begin; k++)
        p[k] = ds[k] = 0;
    for (int64_t k = seen.end; k < keys; k++)
        p[k] = ds[k] = 0;
    int64_t n = seen.end - seen.begin;
    ps_cpu_query query = {h->batch, h->head, t->first + i};
    p += seen.begin;
    ds += seen.begin;
    ps_cpu_drop_weights(a, ds, n, query, first + seen.begin);
    if (a->softcap > 0)
        capped_gradient(p, ds, n, t->lse[i], t->delta[i], a->scale, a->softcap);
    else
        row_gradient(p, ds, n, t->lse[i], t->delta[i], a->scale);
    ps_cpu_drop_weights(a, p, n, query, first + seen.begin);
}

static void add_keys(const head_run *h, const query_tile *t, int64_t first, int64_t keys)
{
    const ps_attention *a = h->b->forward;
    int64_t d = a->head_dim;
    ps_cpu_part k = below(h->k, first), v = below(h->v, first);
    ps_cpu_scores(h->p, PS_CPU_KEYS, t->q, k, t->rows, keys, d, a->scale);
    ps_cpu_scores(h->ds, PS_CPU_KEYS, t->dy, v, t->rows, keys, d, 1);
    for (int64_t i = 0; i < t->rows; i++)
        query_gradient(h, t, i, first, keys);
    add_product(below(h->dv, first), keys, h->p, true, t->dy, t->rows, d);
    add_product(below(h->dk, first), keys, h->ds, true, t->q, t->rows, d);
    add_product(t->dq, t->rows, h->ds, false, k, keys, d);
}

static void query_tile_run(const head_run *h, int64_t first)
{
    const ps_attention *a = h->b->forward;
    int64_t d = a->head_dim, left = a->queries - first;
    query_tile t = {.first = first, .rows = left < PS_CPU_QUERIES ? left : PS_CPU_QUERIES};
    int64_t q_at = ps_cpu_query_at(a, h->batch, first, h->head, a->ld_q);
    int64_t y_at = ps_cpu_query_at(a, h->batch, first, h->head, a->ld_y);
    t.q = ps_cpu_part_load(a->q, q_at, a->ld_q, t.rows, d, h->q);
    t.dy = ps_cpu_part_load(h->b->dy, y_at, a->ld_y, t.rows, d, h->dy);
    t.dq = ps_cpu_part_place(h->b->dq, q_at, a->ld_q, d, h->dq);
    set_zero(t.dq, t.rows, d);
    ps_cpu_part y = ps_cpu_part_load(a->y, y_at, a->ld_y, t.rows, d, h->y);
    int64_t statistics = (h->batch * a->heads + h->head) * a->queries + first;
    float *delta = (float *)ps_tensor_address(h->b->delta) + statistics;
    for (int64_t i = 0; i < t.rows; i++)
        delta[i] = dot(t.dy.x + i * t.dy.ld, y.x + i * y.ld, d);
    t.delta = delta;
    t.lse = (const float *)ps_tensor_address(a->lse) + statistics;
    ps_cpu_seen seen = ps_cpu_seen_by_some(a, h->batch, first, t.rows);
    for (int64_t k = seen.begin; k < seen.end; k += PS_CPU_KEYS)
        add_keys(h, &t, k, seen.end - k < PS_CPU_KEYS ? seen.end - k : PS_CPU_KEYS);
    ps_cpu_part_store(h->b->dq, q_at, a->ld_q, t.rows, d, t.dq);
}

static void head_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)end; /* one head a piece */
    const backward_run *r = context;
    const ps_attention *a = r->b->forward;
    head_run h = open_head(r, begin, r->scratch + r->scratch_floats * (size_t)slot);
    int64_t group = a->heads / a->kv_heads;
    for (int64_t g = 0; g < group; g++) {
        h.head = h.kv_head * group + g;
        for (int64_t first = 0; first < a->queries; first += PS_CPU_QUERIES)
            query_tile_run(&h, first);
    }
    store_head(&h);
}

void ps_cpu_attention_backward(ps_stream *s, const ps_attention_backward *b)
{
    const ps_attention *a = b->forward;
    backward_run r = {.b = b, .scratch_floats = scratch_floats(a)};
    r.scratch = ps_cpu_scratch(s, r.scratch_floats * (size_t)ps_cpu_threads(s));
    if (r.scratch)
        ps_cpu_for(s, a->batch * a->kv_heads, 1, head_cb, &r);
}
