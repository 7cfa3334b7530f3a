/* attention: what its forward and its backward share: parts of q, k, v as float32 matrices. */
#ifndef PS_CPU_ATTENTION_H
#define PS_CPU_ATTENTION_H

#include "gpu/ops.h"

/* Queries a tile, and keys: a tile of scores stays in the caches. */
enum { PS_CPU_QUERIES = 128, PS_CPU_KEYS = 128 };

/* [rows, head_dim] of one head, ld floats apart. */
typedef struct ps_cpu_part {
    float *x;
    int64_t ld;
} ps_cpu_part;

/* Where a head's rows begin, in elements. */
int64_t ps_cpu_query_at(const ps_attention *a, int64_t batch, int64_t row, int64_t head,
                        int64_t ld);
int64_t ps_cpu_key_at(const ps_attention *a, int64_t batch, int64_t row, int64_t head, int64_t ld);

/* In place, or for BF16 converted into scratch [rows, head_dim]. Not to be written to but through
 * ps_cpu_part_place, which does not read, and ps_cpu_part_store. */
ps_cpu_part ps_cpu_part_load(ps_tensor t, int64_t at, int64_t ld, int64_t rows, int64_t head_dim,
                             float *scratch);
ps_cpu_part ps_cpu_part_place(ps_tensor t, int64_t at, int64_t ld, int64_t head_dim,
                              float *scratch);
void ps_cpu_part_store(ps_tensor t, int64_t at, int64_t ld, int64_t rows, int64_t head_dim,
                       ps_cpu_part from);

/* s[rows,keys] = scale · q·kᵀ, rows ld apart */
void ps_cpu_scores(float *s, int64_t ld, ps_cpu_part q, ps_cpu_part k, int64_t rows, int64_t keys,
                   int64_t head_dim, float scale);

/* Keys from `begin` to before `end`; none: both 0. */
typedef struct ps_cpu_seen {
    int64_t begin, end;
} ps_cpu_seen;

/* What query number t of a sequence sees. */
ps_cpu_seen ps_cpu_seen_by(const ps_attention *a, int64_t batch, int64_t t);
/* From the first key that one of these queries sees to the last one. */
ps_cpu_seen ps_cpu_seen_by_some(const ps_attention *a, int64_t batch, int64_t t, int64_t queries);
/* Which of `keys` keys from number `first` on, counted from there. */
ps_cpu_seen ps_cpu_seen_of(ps_cpu_seen seen, int64_t first, int64_t keys);

/* Turns a row of `keys` scores, of which those that are seen count, into e^(score - max), the
 * others into 0. max, the sum total of these and sum[head_dim], the same sum of values, are those
 * so far: they follow a larger score. */
void ps_cpu_soften(const ps_attention *a, float *s, ps_cpu_seen seen, int64_t keys, float *sum,
                   float *max, float *total);

/* A query of a head. */
typedef struct ps_cpu_query {
    int64_t batch, head, t;
} ps_cpu_query;

/* Dropout of n weights of a query, those of the keys from number `key` on. */
void ps_cpu_drop_weights(const ps_attention *a, float *w, int64_t n, ps_cpu_query q, int64_t key);

#endif
