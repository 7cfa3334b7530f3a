/* Flash-Decoding (Dao, Haziza, Massa, Sizov 2023): a thread takes a piece of the keys, for all
 * heads, so that what it reads lies in one row after the other; a head's share of a row alone is a
 * few cache lines, from memory three times as slow. Within a piece each head keeps its largest
 * score and its sums as in attention.c; at the end the pieces' sums are added, in their order, each
 * scaled to the largest score of all.
 *
 * Pieces do not depend on the number of threads, and neither do results. */
#include "gpu/cpu/attention_few.h"

#include "gpu/cpu/attention.h"
#include "gpu/cpu/attention_rows.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

enum {
    FEW = 4,     /* queries */
    KEYS = 64,   /* at a time: their scores stay in the first cache */
    PIECES = 32, /* of a sequence at most */
};

/* A piece's results: of each query and head, the largest score, the sum of e^(score - max) and the
 * same sum of values. */
typedef struct part {
    float *max, *total; /* [queries, heads] */
    float *sum;         /* [queries, heads, head_dim] */
} part;

typedef struct few_run {
    const ps_attention *a;
    const ps_cpu_row_kernels *kernels;
    int64_t begin;         /* the first key that is seen */
    int64_t piece, pieces; /* keys a piece; pieces a sequence */
    float *parts;          /* [batch, pieces] */
    size_t part_floats;
    float *scratch; /* of all threads */
    size_t scratch_floats;
} few_run;

/* What a thread works in. */
typedef struct work {
    float *scores; /* [queries, heads, KEYS] */
    float *zeros;  /* a row of k or v */
    float *q;      /* for BF16: [queries, heads·head_dim] */
    float *y;      /* for BF16: of y */
} work;

/* KEYS keys at most, in quarters; the last may be shorter. */
typedef struct keys {
    const ps_attention *a;
    const ps_cpu_row_kernels *kernels;
    int64_t batch, first, count, quarter;
} keys;

bool ps_cpu_attention_is_few(const ps_attention *a)
{
    return a->queries <= FEW;
}

static int64_t width_of(const ps_attention *a)
{
    return a->heads * a->head_dim;
}

static part part_at(const few_run *r, int64_t unit)
{
    const ps_attention *a = r->a;
    float *x = r->parts + r->part_floats * (size_t)unit;
    size_t lines = ps_cpu_padded(a->queries * a->heads);
    return (part){.max = x, .total = x + lines, .sum = x + 2 * lines};
}

static work open_work(const few_run *r, int slot)
{
    const ps_attention *a = r->a;
    size_t width = ps_cpu_padded(width_of(a));
    float *x = r->scratch + r->scratch_floats * (size_t)slot;
    float *q = x + ps_cpu_padded(a->queries * a->heads * KEYS);
    float *y = q + (size_t)a->queries * width;
    return (work){.scores = x, .zeros = y + width, .q = q, .y = y};
}

/* ---- a piece ---- */

/* Key number j of each quarter; behind the last of them, zeros. */
static ps_cpu_key_rows take_rows(const keys *k, ps_tensor t, ps_tensor scales, int64_t ld,
                                 int64_t j, const work *w)
{
    const ps_attention *a = k->a;
    ps_cpu_key_rows r = {.heads = a->heads,
                         .kv_heads = a->kv_heads,
                         .head_dim = a->head_dim,
                         .ld = KEYS,
                         .apart = k->quarter};
    size_t size = ps_dtype_bytes(t.dtype);
    for (int i = 0; i < PS_CPU_QUARTERS; i++, j += k->quarter) {
        r.x[i] = r.scales[i] = w->zeros;
        if (j >= k->count)
            continue;
        int64_t row = k->first + j, at = ps_cpu_key_at(a, k->batch, row, 0, ld);
        r.x[i] = (const char *)ps_tensor_address(t) + (size_t)at * size;
        if (ps_tensor_present(scales))
            r.scales[i] = (const float *)ps_tensor_address(scales) +
                          (k->batch * a->key_rows + row) * a->kv_heads;
    }
    return r;
}

static void score_keys(const keys *k, const work *w, const float *const *q)
{
    const ps_attention *a = k->a;
    for (int64_t j = 0; j < k->quarter; j++) {
        ps_cpu_key_rows r = take_rows(k, a->k, a->k_scales, a->ld_k, j, w);
        for (int64_t i = 0; i < a->queries; i++)
            k->kernels->score[a->k.dtype](&r, w->scores + i * a->heads * KEYS + j, q[i], a->scale);
    }
}

static void add_values(const keys *k, const work *w, const part *p)
{
    const ps_attention *a = k->a;
    for (int64_t j = 0; j < k->quarter; j++) {
        ps_cpu_key_rows r = take_rows(k, a->v, a->v_scales, a->ld_v, j, w);
        for (int64_t i = 0; i < a->queries; i++)
            k->kernels->add[a->v.dtype](&r, p->sum + i * width_of(a),
                                        w->scores + i * a->heads * KEYS + j);
    }
}

/* A query that sees none of the keys has no largest score yet. */
static void soften(const keys *k, const work *w, const part *p)
{
    const ps_attention *a = k->a;
    for (int64_t i = 0; i < a->queries; i++) {
        ps_cpu_seen seen = ps_cpu_seen_of(ps_cpu_seen_by(a, k->batch, i), k->first, k->count);
        for (int64_t h = i * a->heads; h < (i + 1) * a->heads; h++) {
            float *s = w->scores + h * KEYS;
            ps_cpu_soften(a, s, seen, k->quarter * PS_CPU_QUARTERS, p->sum + h * a->head_dim,
                          p->max + h, p->total + h);
            ps_cpu_drop_weights(a, s + seen.begin, seen.end - seen.begin,
                                (ps_cpu_query){k->batch, h - i * a->heads, i},
                                k->first + seen.begin);
        }
    }
}

static void load_queries(const ps_attention *a, const work *w, int64_t batch, const float **q)
{
    for (int64_t i = 0; i < a->queries; i++)
        q[i] = ps_cpu_load(a->q, ps_cpu_query_at(a, batch, i, 0, a->ld_q), width_of(a),
                           w->q + (size_t)i * ps_cpu_padded(width_of(a)));
}

static void piece_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)end; /* one at a time */
    const few_run *r = context;
    const ps_attention *a = r->a;
    int64_t batch = begin / r->pieces, first = r->begin + begin % r->pieces * r->piece;
    ps_cpu_seen seen = ps_cpu_seen_by_some(a, batch, 0, a->queries);
    int64_t last = first + r->piece < seen.end ? first + r->piece : seen.end;
    first = first < seen.begin ? seen.begin : first;
    work w = open_work(r, slot);
    part p = part_at(r, begin);
    for (int64_t h = 0; h < a->queries * a->heads; h++) {
        p.max[h] = -INFINITY;
        p.total[h] = 0;
    }
    memset(p.sum, 0, (size_t)(a->queries * width_of(a)) * sizeof *p.sum);
    memset(w.zeros, 0, (size_t)(a->kv_heads * a->head_dim) * sizeof *w.zeros);
    const float *q[FEW];
    load_queries(a, &w, batch, q);
    for (; first < last; first += KEYS) {
        keys k = {.a = a, .kernels = r->kernels, .batch = batch, .first = first};
        k.count = last - first < KEYS ? last - first : KEYS;
        k.quarter = (k.count + PS_CPU_QUARTERS - 1) / PS_CPU_QUARTERS;
        score_keys(&k, &w, q);
        soften(&k, &w, &p);
        add_values(&k, &w, &p);
    }
}

/* ---- the pieces together ---- */

/* y[head_dim] of a head, h counted over queries; returns its log Σ e^score. */
static float join(const few_run *r, int64_t batch, int64_t h, float *y)
{
    int64_t d = r->a->head_dim;
    float max = -INFINITY, total = 0;
    for (int64_t p = 0; p < r->pieces; p++)
        max = fmaxf(max, part_at(r, batch * r->pieces + p).max[h]);
    memset(y, 0, (size_t)d * sizeof *y);
    for (int64_t p = 0; p < r->pieces; p++) {
        part from = part_at(r, batch * r->pieces + p);
        if (from.total[h] == 0)
            continue; /* it sees none of these */
        float scale = ps_vector_exp(from.max[h] - max);
        total += scale * from.total[h];
        ps_cpu_add_scaled(y, scale, from.sum + h * d, d);
    }
    for (int64_t i = 0; i < d && total != 0; i++)
        y[i] /= total;
    return max + logf(total);
}

static void join_cb(void *context, int64_t begin, int64_t end, int slot)
{
    const few_run *r = context;
    const ps_attention *a = r->a;
    work w = open_work(r, slot);
    float *lse = ps_tensor_present(a->lse) ? ps_tensor_address(a->lse) : NULL;
    for (int64_t row = begin; row < end; row++) {
        int64_t batch = row / a->queries, i = row % a->queries;
        int64_t at = ps_cpu_query_at(a, batch, i, 0, a->ld_y);
        float *y = ps_cpu_place(a->y, at, w.y);
        for (int64_t h = 0; h < a->heads; h++) {
            float sum = join(r, batch, i * a->heads + h, y + h * a->head_dim);
            if (lse)
                lse[(batch * a->heads + h) * a->queries + i] = sum;
        }
        ps_cpu_store(a->y, at, width_of(a), y);
    }
}

/* From the first key that a query of any sequence sees to the last one; at least one. */
static ps_cpu_seen seen_of_all(const ps_attention *a)
{
    ps_cpu_seen all = {a->keys, 0};
    for (int64_t b = 0; b < a->batch; b++) {
        ps_cpu_seen one = ps_cpu_seen_by_some(a, b, 0, a->queries);
        all.begin = one.end > 0 && one.begin < all.begin ? one.begin : all.begin;
        all.end = one.end > all.end ? one.end : all.end;
    }
    return all.end > 0 ? all : (ps_cpu_seen){0, 1};
}

void ps_cpu_attention_few(ps_stream *s, const ps_attention *a)
{
    ps_cpu_seen seen = seen_of_all(a);
    int64_t count = seen.end - seen.begin, piece = (count + PIECES - 1) / PIECES;
    piece = (piece + KEYS - 1) / KEYS * KEYS;
    int64_t heads = a->queries * a->heads, width = width_of(a);
    few_run r = {
        .a = a,
        .kernels = ps_cpu_row_kernels_of(s),
        .begin = seen.begin,
        .piece = piece,
        .pieces = (count + piece - 1) / piece,
        .part_floats = 2 * ps_cpu_padded(heads) + ps_cpu_padded(a->queries * width),
        .scratch_floats =
            ps_cpu_padded(heads * KEYS) + (size_t)(a->queries + 2) * ps_cpu_padded(width),
    };
    size_t parts = r.part_floats * (size_t)(a->batch * r.pieces);
    r.parts = ps_cpu_scratch(s, parts + r.scratch_floats * (size_t)ps_cpu_threads(s));
    if (!r.parts)
        return;
    r.scratch = r.parts + parts;
    ps_cpu_for(s, a->batch * r.pieces, 1, piece_cb, &r);
    ps_cpu_for(s, a->batch * a->queries, ps_cpu_grain(width * r.pieces), join_cb, &r);
}
