/* Attention (Dao, Fu, Ermon, Rudra, Ré 2022; Milakov, Gimelshein 2018): a thread takes a tile of
 * queries of one head and goes over the keys, a tile at a time. It keeps each query's largest score
 * so far, the sum of e^(score - largest) and the same sum of values; a larger score scales both
 * sums down. The scores are one tile, never a matrix.
 *
 * Tiles do not depend on the number of threads, and neither do results. */
#include "gpu/cpu/attention.h"

#include "gpu/cpu/attention_few.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/gemm.h"
#include "gpu/cpu/quantise.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

int64_t ps_cpu_query_at(const ps_attention *a, int64_t batch, int64_t row, int64_t head, int64_t ld)
{
    return (batch * a->queries + row) * ld + head * a->head_dim;
}

int64_t ps_cpu_key_at(const ps_attention *a, int64_t batch, int64_t row, int64_t head, int64_t ld)
{
    return (batch * a->key_rows + row) * ld + head * a->head_dim;
}

ps_cpu_part ps_cpu_part_load(ps_tensor t, int64_t at, int64_t ld, int64_t rows, int64_t head_dim,
                             float *scratch)
{
    ps_cpu_part p = ps_cpu_part_place(t, at, ld, head_dim, scratch);
    for (int64_t r = 0; r < rows && p.x == scratch; r++)
        (void)ps_cpu_load(t, at + r * ld, head_dim, scratch + r * head_dim);
    return p;
}

ps_cpu_part ps_cpu_part_place(ps_tensor t, int64_t at, int64_t ld, int64_t head_dim, float *scratch)
{
    float *x = ps_cpu_place(t, at, scratch);
    return (ps_cpu_part){.x = x, .ld = x == scratch ? head_dim : ld};
}

void ps_cpu_part_store(ps_tensor t, int64_t at, int64_t ld, int64_t rows, int64_t head_dim,
                       ps_cpu_part from)
{
    for (int64_t r = 0; r < rows; r++)
        ps_cpu_store(t, at + r * ld, head_dim, from.x + r * from.ld);
}

void ps_cpu_scores(float *s, int64_t ld, ps_cpu_part q, ps_cpu_part k, int64_t rows, int64_t keys,
                   int64_t head_dim, float scale)
{
    ps_cpu_product_run(&(ps_cpu_product){.transpose_b = true,
                                         .m = rows,
                                         .n = keys,
                                         .k = head_dim,
                                         .alpha = scale,
                                         .a = q.x,
                                         .ld_a = q.ld,
                                         .b = k.x,
                                         .ld_b = k.ld,
                                         .c = s,
                                         .ld_c = ld});
}

static const int32_t *of_queries(const ps_attention *a, ps_tensor t, int64_t batch)
{
    return (const int32_t *)ps_tensor_address(t) + batch * a->queries;
}

ps_cpu_seen ps_cpu_seen_by(const ps_attention *a, int64_t batch, int64_t t)
{
    int64_t upto = a->keys - a->queries + t + 1, begin = 0, end = a->causal ? upto : a->keys;
    if (a->window > 0 && upto > a->window)
        begin = upto - a->window;
    if (ps_tensor_present(a->starts) && of_queries(a, a->starts, batch)[t] > begin)
        begin = of_queries(a, a->starts, batch)[t];
    if (ps_tensor_present(a->ends) && of_queries(a, a->ends, batch)[t] < end)
        end = of_queries(a, a->ends, batch)[t];
    return begin < end ? (ps_cpu_seen){begin, end} : (ps_cpu_seen){0, 0};
}

ps_cpu_seen ps_cpu_seen_by_some(const ps_attention *a, int64_t batch, int64_t t, int64_t queries)
{
    ps_cpu_seen all = ps_cpu_seen_by(a, batch, t);
    for (int64_t i = 1; i < queries; i++) {
        ps_cpu_seen one = ps_cpu_seen_by(a, batch, t + i);
        if (one.end == 0)
            continue;
        all.begin = all.end == 0 || one.begin < all.begin ? one.begin : all.begin;
        all.end = one.end > all.end ? one.end : all.end;
    }
    return all;
}

ps_cpu_seen ps_cpu_seen_of(ps_cpu_seen seen, int64_t first, int64_t keys)
{
    seen.begin = seen.begin > first ? seen.begin - first : 0;
    seen.end = seen.end < first + keys ? seen.end - first : keys;
    return seen.begin < seen.end ? seen : (ps_cpu_seen){0, 0};
}

typedef struct attention_run {
    const ps_attention *a;
    int64_t tiles;         /* a head */
    float *scratch;        /* of all threads */
    size_t scratch_floats; /* of one */
} attention_run;

/* One thread's tile of queries, and what it works in. */
typedef struct tile {
    int64_t batch, head, first, rows;
    float *scores;        /* [rows, PS_CPU_KEYS] */
    float *sum;           /* [rows, head_dim] of e^(score - max)·v */
    float *max, *total;   /* [rows]: the largest score; sum of e^(score - max) */
    float *q, *k, *v, *y; /* for what is not F32 */
} tile;

static size_t scratch_floats(int64_t head_dim)
{
    return PS_CPU_QUERIES * PS_CPU_KEYS + 2 * PS_CPU_QUERIES +
           (3 * PS_CPU_QUERIES + 2 * PS_CPU_KEYS) * ps_cpu_padded(head_dim);
}

static tile open_tile(const attention_run *r, int64_t unit, float *scratch)
{
    const ps_attention *a = r->a;
    size_t d = ps_cpu_padded(a->head_dim);
    /* of a causal head, the last tiles see the most keys: they go first */
    tile t = {.batch = unit / (a->heads * r->tiles),
              .head = unit / r->tiles % a->heads,
              .first = (r->tiles - 1 - unit % r->tiles) * PS_CPU_QUERIES};
    t.rows = a->queries - t.first < PS_CPU_QUERIES ? a->queries - t.first : PS_CPU_QUERIES;
    t.scores = scratch;
    t.max = t.scores + PS_CPU_QUERIES * PS_CPU_KEYS;
    t.total = t.max + PS_CPU_QUERIES;
    t.sum = t.total + PS_CPU_QUERIES;
    t.q = t.sum + PS_CPU_QUERIES * d;
    t.y = t.q + PS_CPU_QUERIES * d;
    t.k = t.y + PS_CPU_QUERIES * d;
    t.v = t.k + PS_CPU_KEYS * d;
    return t;
}

PS_VECTOR
static void soften(float *restrict s, int64_t n, float *restrict sum, int64_t head_dim, float *max,
                   float *total)
{
    float m = *max, added = 0;
    PS_SIMD_MAX(m)
    for (int64_t i = 0; i < n; i++)
        m = s[i] > m ? s[i] : m;
    PS_SIMD_SUM(added)
    for (int64_t i = 0; i < n; i++) {
        s[i] = ps_vector_exp(s[i] - m);
        added += s[i];
    }
    float kept = ps_vector_exp(*max - m);
    *total = *total * kept + added;
    *max = m;
    if (kept == 1.0f)
        return;
    PS_SIMD
    for (int64_t i = 0; i < head_dim; i++)
        sum[i] *= kept;
}

void ps_cpu_soften(const ps_attention *a, float *s, ps_cpu_seen seen, int64_t keys, float *sum,
                   float *max, float *total)
{
    memset(s, 0, (size_t)seen.begin * sizeof *s);
    memset(s + seen.end, 0, (size_t)(keys - seen.end) * sizeof *s);
    if (seen.end == 0)
        return;
    s += seen.begin;
    int64_t n = seen.end - seen.begin;
    if (a->softcap > 0)
        ps_cpu_cap(s, s, a->softcap, n);
    soften(s, n, sum, a->head_dim, max, total);
}

void ps_cpu_drop_weights(const ps_attention *a, float *w, int64_t n, ps_cpu_query q, int64_t key)
{
    if (a->dropout == 0)
        return;
    int64_t number = ((q.batch * a->heads + q.head) * a->queries + q.t) * a->keys + key;
    ps_cpu_drop(w, w, n, a->dropout, a->dropout_seed, a->dropout_offset + (uint64_t)number);
}

static void add_values(const tile *t, ps_cpu_part v, int64_t keys, int64_t d)
{
    ps_cpu_product_run(&(ps_cpu_product){.m = t->rows,
                                         .n = d,
                                         .k = keys,
                                         .alpha = 1,
                                         .beta = 1,
                                         .a = t->scores,
                                         .ld_a = PS_CPU_KEYS,
                                         .b = v.x,
                                         .ld_b = v.ld,
                                         .c = t->sum,
                                         .ld_c = d});
}

/* A head's keys or values from number `first` on, as float32. */
static ps_cpu_part load_kept(const attention_run *r, const tile *t, ps_tensor kept,
                             ps_tensor scales, int64_t ld, int64_t first, int64_t keys,
                             float *scratch)
{
    const ps_attention *a = r->a;
    int64_t head = t->head / (a->heads / a->kv_heads);
    int64_t at = ps_cpu_key_at(a, t->batch, first, head, ld);
    if (kept.dtype != PS_DTYPE_I8)
        return ps_cpu_part_load(kept, at, ld, keys, a->head_dim, scratch);
    const int8_t *x = (const int8_t *)ps_tensor_address(kept) + at;
    const float *scale = (const float *)ps_tensor_address(scales) +
                         (t->batch * a->key_rows + first) * a->kv_heads + head;
    for (int64_t i = 0; i < keys; i++)
        ps_cpu_block_from_bytes(scratch + i * a->head_dim, x + i * ld, scale[i * a->kv_heads],
                                a->head_dim);
    return (ps_cpu_part){.x = scratch, .ld = a->head_dim};
}

static void add_keys(const attention_run *r, const tile *t, ps_cpu_part q, int64_t first,
                     int64_t keys)
{
    const ps_attention *a = r->a;
    int64_t d = a->head_dim;
    ps_cpu_part k = load_kept(r, t, a->k, a->k_scales, a->ld_k, first, keys, t->k);
    ps_cpu_part v = load_kept(r, t, a->v, a->v_scales, a->ld_v, first, keys, t->v);
    ps_cpu_scores(t->scores, PS_CPU_KEYS, q, k, t->rows, keys, d, a->scale);
    for (int64_t i = 0; i < t->rows; i++) {
        float *s = t->scores + i * PS_CPU_KEYS;
        ps_cpu_query query = {t->batch, t->head, t->first + i};
        ps_cpu_seen seen = ps_cpu_seen_of(ps_cpu_seen_by(a, t->batch, query.t), first, keys);
        ps_cpu_soften(a, s, seen, keys, t->sum + i * d, t->max + i, t->total + i);
        ps_cpu_drop_weights(a, s + seen.begin, seen.end - seen.begin, query, first + seen.begin);
    }
    add_values(t, v, keys, d);
}

PS_VECTOR
static void divide(float *restrict y, const float *restrict sum, float total, int64_t n)
{
    float scale = total == 0 ? 0 : 1.0f / total;
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        y[i] = sum[i] * scale;
}

static void finish(const attention_run *r, const tile *t)
{
    const ps_attention *a = r->a;
    int64_t d = a->head_dim, at = ps_cpu_query_at(a, t->batch, t->first, t->head, a->ld_y);
    ps_cpu_part y = ps_cpu_part_place(a->y, at, a->ld_y, d, t->y);
    for (int64_t i = 0; i < t->rows; i++)
        divide(y.x + i * y.ld, t->sum + i * d, t->total[i], d);
    ps_cpu_part_store(a->y, at, a->ld_y, t->rows, d, y);
    if (!ps_tensor_present(a->lse))
        return;
    float *lse = (float *)ps_tensor_address(a->lse) + (t->batch * a->heads + t->head) * a->queries +
                 t->first;
    for (int64_t i = 0; i < t->rows; i++)
        lse[i] = t->max[i] + logf(t->total[i]);
}

static void tile_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)end; /* one tile a piece */
    const attention_run *r = context;
    const ps_attention *a = r->a;
    tile t = open_tile(r, begin, r->scratch + r->scratch_floats * (size_t)slot);
    memset(t.sum, 0, (size_t)(t.rows * a->head_dim) * sizeof *t.sum);
    for (int64_t i = 0; i < t.rows; i++) {
        t.max[i] = -INFINITY;
        t.total[i] = 0;
    }
    ps_cpu_part q = ps_cpu_part_load(a->q, ps_cpu_query_at(a, t.batch, t.first, t.head, a->ld_q),
                                     a->ld_q, t.rows, a->head_dim, t.q);
    ps_cpu_seen seen = ps_cpu_seen_by_some(a, t.batch, t.first, t.rows);
    for (int64_t first = seen.begin; first < seen.end; first += PS_CPU_KEYS)
        add_keys(r, &t, q, first, seen.end - first < PS_CPU_KEYS ? seen.end - first : PS_CPU_KEYS);
    finish(r, &t);
}

void ps_cpu_attention(ps_stream *s, const ps_attention *a)
{
    if (ps_cpu_attention_is_few(a)) {
        ps_cpu_attention_few(s, a);
        return;
    }
    attention_run r = {.a = a,
                       .tiles = (a->queries + PS_CPU_QUERIES - 1) / PS_CPU_QUERIES,
                       .scratch_floats = scratch_floats(a->head_dim)};
    r.scratch = ps_cpu_scratch(s, r.scratch_floats * (size_t)ps_cpu_threads(s));
    if (r.scratch)
        ps_cpu_for(s, a->batch * a->heads * r.tiles, 1, tile_cb, &r);
}
