/* The matrix of weights, for who asks for it: a thread takes a tile of queries of one head and
 * makes their scores where the weights are to be. */
#include "gpu/cpu/attention.h"
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/run.h"
#include "gpu/cpu/vector.h"

typedef struct weights_run {
    const ps_attention *a;
    float *p;
    int64_t columns, tiles; /* tiles: a head */
    float *scratch;         /* of all threads */
    size_t scratch_floats;  /* of one */
} weights_run;

PS_VECTOR
static void weigh(float *s, float lse, int64_t n)
{
    PS_SIMD
    for (int64_t i = 0; i < n; i++)
        s[i] = ps_vector_exp(s[i] - lse);
}

/* A row of scores of the keys that are seen becomes one of weights. */
static void weigh_row(const weights_run *r, float *s, float lse, ps_cpu_seen seen)
{
    memset(s, 0, (size_t)seen.begin * sizeof *s);
    memset(s + seen.end, 0, (size_t)(r->columns - seen.end) * sizeof *s);
    s += seen.begin;
    if (r->a->softcap > 0)
        ps_cpu_cap(s, s, r->a->softcap, seen.end - seen.begin);
    weigh(s, lse, seen.end - seen.begin);
}

static void tile_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)end; /* one tile a piece */
    const weights_run *r = context;
    const ps_attention *a = r->a;
    int64_t unit = begin / r->tiles, batch = unit / a->heads, head = unit % a->heads;
    int64_t first = begin % r->tiles * PS_CPU_QUERIES, rows = a->queries - first, d = a->head_dim;
    rows = rows < PS_CPU_QUERIES ? rows : PS_CPU_QUERIES;
    float *scratch = r->scratch + r->scratch_floats * (size_t)slot;
    float *p = r->p + (unit * a->queries + first) * r->columns;
    const float *lse = (const float *)ps_tensor_address(a->lse) + unit * a->queries + first;
    ps_cpu_part q = ps_cpu_part_load(a->q, ps_cpu_query_at(a, batch, first, head, a->ld_q), a->ld_q,
                                     rows, d, scratch);
    scratch += PS_CPU_QUERIES * ps_cpu_padded(d);
    ps_cpu_seen seen = ps_cpu_seen_by_some(a, batch, first, rows);
    for (int64_t key = seen.begin; key < seen.end; key += PS_CPU_KEYS) {
        int64_t keys = seen.end - key < PS_CPU_KEYS ? seen.end - key : PS_CPU_KEYS;
        int64_t at = ps_cpu_key_at(a, batch, key, head / (a->heads / a->kv_heads), a->ld_k);
        ps_cpu_part k = ps_cpu_part_load(a->k, at, a->ld_k, keys, d, scratch);
        ps_cpu_scores(p + key, r->columns, q, k, rows, keys, d, a->scale);
    }
    for (int64_t i = 0; i < rows; i++)
        weigh_row(r, p + i * r->columns, lse[i], ps_cpu_seen_by(a, batch, first + i));
}

void ps_cpu_attention_weights(ps_stream *s, const ps_attention_weights *w)
{
    const ps_attention *a = w->forward;
    weights_run r = {.a = a,
                     .p = ps_tensor_address(w->p),
                     .columns = w->p.shape[w->p.rank - 1],
                     .tiles = (a->queries + PS_CPU_QUERIES - 1) / PS_CPU_QUERIES,
                     .scratch_floats = (PS_CPU_QUERIES + PS_CPU_KEYS) * ps_cpu_padded(a->head_dim)};
    r.scratch = ps_cpu_scratch(s, r.scratch_floats * (size_t)ps_cpu_threads(s));
    if (r.scratch)
        ps_cpu_for(s, a->batch * a->heads * r.tiles, 1, tile_cb, &r);
}
