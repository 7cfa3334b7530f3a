/* attention: self-attention over one packed projection, causal or of all, with grouped queries, and
 * rotary positions where the layer has them.
 *
 *     packed[rows, width]   width = (heads + 2·kv_heads)·head_dim: queries | keys | values
 *     y[rows, heads·head_dim]
 *
 * Rows are `batch` sequences of `length` tokens. Only enqueues. */
#ifndef PS_LAYERS_ATTENTION_H
#define PS_LAYERS_ATTENTION_H

#include "gpu/op.h"

typedef struct ps_attention_layer {
    int64_t heads, kv_heads, head_dim;
    ps_tensor rope;      /* F32 [positions, turned/2, 2], see ps_attention_rope_table: of the first
                            `turned` numbers of a head; not there: positions come otherwise */
    ps_tensor positions; /* I32 [rows]: of each row in its sequence; read with rope alone */
    float scale;         /* of scores; 0: 1/√head_dim */
    float softcap;       /* of scores, and */
    int64_t window;      /* how many keys a query sees (gpu/ops.h); 0: not, and all */
    ps_tensor starts;    /* I32 [rows]: the first key that a query may see; may be not there. Not of
                            a cache */
    float dropout;       /* of weights, in this pass; not of a cache */
    uint64_t dropout_seed, dropout_offset;
    bool all;       /* it sees what comes behind it, too: no causal mask */
    ps_tensor ends; /* I32 [rows]: behind the last key that it may see; likewise */
} ps_attention_layer;

int64_t ps_attention_layer_width(const ps_attention_layer *l);
/* The packed rows' columns of queries, keys or values. */
typedef enum ps_attention_part {
    PS_ATTENTION_QUERIES,
    PS_ATTENTION_KEYS,
    PS_ATTENTION_VALUES
} ps_attention_part;
ps_tensor ps_attention_layer_part(const ps_attention_layer *l, ps_tensor packed,
                                  ps_attention_part part);

/* Queries and keys of packed are turned in place; y and lse [batch,heads,length] (may be not there)
 * are written. */
void ps_attention_layer_forward(ps_stream *s, const ps_attention_layer *l, ps_tensor y,
                                ps_tensor lse, ps_tensor packed, int64_t batch);

typedef struct ps_attention_layer_gradient {
    ps_tensor dpacked;    /* written */
    ps_tensor dy, y, lse; /* y, lse and packed as forward left them */
    ps_tensor packed;
    ps_tensor delta; /* as lse; memory to work in */
    int64_t batch;
} ps_attention_layer_gradient;
void ps_attention_layer_backward(ps_stream *s, const ps_attention_layer *l,
                                 const ps_attention_layer_gradient *g);

/* Without starts: the weights of one head of one sequence, p F32 [queries,length], of its queries
 * from number `first` on: packed[length,width] and lse[heads,length] of the sequence as forward
 * left them. */
void ps_attention_layer_weights(ps_stream *s, const ps_attention_layer *l, ps_tensor p,
                                ps_tensor packed, ps_tensor lse, int64_t head, int64_t first);

/* The keys, turned, and the values of one sequence's tokens so far. Narrower than the packed rows
 * they cost less memory, and less time to read: all of them are read for each token. */
typedef struct ps_attention_cache {
    ps_tensor k, v; /* [positions, kv_heads·head_dim]: of the packed rows' type; where
                       that is F32 also BF16, or I8 with a scale a head */
    ps_tensor k_scales, v_scales; /* with I8: F32 [positions, kv_heads]; else not there */
} ps_attention_cache;

/* One sequence goes on: packed[new, width] are turned in place, their keys and values go into the
 * cache behind those of `before` tokens, and y[new, heads·head_dim] is written. */
void ps_attention_layer_extend(ps_stream *s, const ps_attention_layer *l, ps_tensor y,
                               ps_tensor packed, const ps_attention_cache *cache, int64_t before);

/* cos and sin of p·frequencies[i], times scale, into table[positions, pairs, 2]; of rope.h. Host;
 * in float64. */
void ps_attention_rope_table(float *table, int64_t positions, const double *frequencies,
                             int64_t pairs, double scale);

#endif
