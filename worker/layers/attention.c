/* Views into the packed rows, then rope and attention over them. */
#include "worker/layers/attention.h"

#include "common/base/require.h"

#include <math.h>

int64_t ps_attention_layer_width(const ps_attention_layer *l)
{
    return (l->heads + 2 * l->kv_heads) * l->head_dim;
}

ps_tensor ps_attention_layer_part(const ps_attention_layer *l, ps_tensor packed,
                                  ps_attention_part part)
{
    PS_REQUIRE(packed.shape[1] == ps_attention_layer_width(l));
    const int64_t begin[] = {0, l->heads, l->heads + l->kv_heads};
    packed.offset += (size_t)(begin[part] * l->head_dim) * ps_dtype_bytes(packed.dtype);
    packed.shape[1] = (part == PS_ATTENTION_QUERIES ? l->heads : l->kv_heads) * l->head_dim;
    return packed;
}

/* Queries and keys lie side by side, so one call turns both. */
static void turn(ps_stream *s, const ps_attention_layer *l, ps_tensor rows, bool inverse)
{
    if (!ps_tensor_present(l->rope))
        return;
    ps_op_rope(s, &(ps_rope){.x = rows,
                             .positions = ps_tensor_head(l->positions, rows.shape[0]),
                             .table = l->rope,
                             .rows = rows.shape[0],
                             .heads = l->heads + l->kv_heads,
                             .head_dim = l->head_dim,
                             .rotary_dim = 2 * l->rope.shape[1],
                             .ld = ps_attention_layer_width(l),
                             .inverse = inverse});
}

static ps_attention describe(const ps_attention_layer *l, ps_tensor y, ps_tensor packed)
{
    int64_t width = ps_attention_layer_width(l);
    return (ps_attention){.heads = l->heads,
                          .kv_heads = l->kv_heads,
                          .head_dim = l->head_dim,
                          .ld_q = width,
                          .ld_k = width,
                          .ld_v = width,
                          .ld_y = l->heads * l->head_dim,
                          .y = y,
                          .q = ps_attention_layer_part(l, packed, PS_ATTENTION_QUERIES),
                          .k = ps_attention_layer_part(l, packed, PS_ATTENTION_KEYS),
                          .v = ps_attention_layer_part(l, packed, PS_ATTENTION_VALUES),
                          .scale = l->scale > 0 ? l->scale : 1.0f / sqrtf((float)l->head_dim),
                          .softcap = l->softcap,
                          .window = l->window,
                          .starts = l->starts,
                          .ends = l->ends,
                          .dropout = l->dropout,
                          .dropout_seed = l->dropout_seed,
                          .dropout_offset = l->dropout_offset,
                          .causal = !l->all};
}

static ps_attention whole(const ps_attention_layer *l, ps_tensor y, ps_tensor packed, int64_t batch)
{
    PS_REQUIRE(batch > 0 && packed.shape[0] % batch == 0);
    ps_attention a = describe(l, y, packed);
    a.batch = batch;
    a.queries = a.keys = a.key_rows = packed.shape[0] / batch;
    return a;
}

void ps_attention_layer_forward(ps_stream *s, const ps_attention_layer *l, ps_tensor y,
                                ps_tensor lse, ps_tensor packed, int64_t batch)
{
    turn(s, l, packed, false);
    ps_attention a = whole(l, y, packed, batch);
    a.lse = lse;
    ps_op_attention(s, &a);
}

void ps_attention_layer_backward(ps_stream *s, const ps_attention_layer *l,
                                 const ps_attention_layer_gradient *g)
{
    ps_attention a = whole(l, g->y, g->packed, g->batch);
    a.lse = g->lse;
    ps_op_attention_backward(
        s,
        &(ps_attention_backward){.forward = &a,
                                 .dq = ps_attention_layer_part(l, g->dpacked, PS_ATTENTION_QUERIES),
                                 .dk = ps_attention_layer_part(l, g->dpacked, PS_ATTENTION_KEYS),
                                 .dv = ps_attention_layer_part(l, g->dpacked, PS_ATTENTION_VALUES),
                                 .dy = g->dy,
                                 .delta = g->delta});
    turn(s, l, g->dpacked, true);
}

/* `count` rows from number `first` on. */
static ps_tensor rows_of(ps_tensor t, int64_t first, int64_t count)
{
    if (!ps_tensor_present(t))
        return t;
    t.offset += (size_t)(first * t.shape[1]) * ps_dtype_bytes(t.dtype);
    return ps_tensor_head(t, count);
}

void ps_attention_layer_weights(ps_stream *s, const ps_attention_layer *l, ps_tensor p,
                                ps_tensor packed, ps_tensor lse, int64_t head, int64_t first)
{
    int64_t length = packed.shape[0], queries = p.shape[0], group = l->heads / l->kv_heads;
    size_t size = ps_dtype_bytes(packed.dtype);
    PS_REQUIRE(!ps_tensor_present(l->starts));
    PS_REQUIRE(head >= 0 && head < l->heads && first >= 0 && first + queries <= length);
    ps_attention a = describe(l, (ps_tensor){0}, packed);
    a.heads = a.kv_heads = a.batch = 1;
    a.queries = queries;
    a.keys = first + queries;
    a.key_rows = length;
    a.q.offset += (size_t)(first * a.ld_q + head * l->head_dim) * size;
    a.k.offset += (size_t)(head / group * l->head_dim) * size;
    a.lse = ps_tensor_1d(lse.buffer, lse.offset + (size_t)(head * length + first) * sizeof(float),
                         PS_DTYPE_F32, queries);
    ps_op_attention_weights(s, &(ps_attention_weights){.forward = &a, .p = p});
}

/* Columns of packed become rows of the cache, from number `before` on. */
static void keep(ps_stream *s, const ps_attention_layer *l, ps_tensor cache, ps_tensor scales,
                 ps_tensor columns, int64_t before)
{
    int64_t added = columns.shape[0];
    ps_op_cache_rows(s, &(ps_cache_rows){.y = rows_of(cache, before, added),
                                         .scales = rows_of(scales, before, added),
                                         .x = columns,
                                         .rows = added,
                                         .columns = columns.shape[1],
                                         .ld_x = ps_attention_layer_width(l),
                                         .block = l->head_dim});
}

void ps_attention_layer_extend(ps_stream *s, const ps_attention_layer *l, ps_tensor y,
                               ps_tensor packed, const ps_attention_cache *cache, int64_t before)
{
    int64_t added = y.shape[0];
    PS_REQUIRE(l->dropout == 0 && !ps_tensor_present(l->starts));
    PS_REQUIRE(before >= 0 && before + added <= cache->k.shape[0] && packed.shape[0] == added);
    turn(s, l, packed, false);
    ps_attention a = describe(l, y, packed);
    keep(s, l, cache->k, cache->k_scales, a.k, before);
    keep(s, l, cache->v, cache->v_scales, a.v, before);
    a.k = cache->k;
    a.v = cache->v;
    a.k_scales = cache->k_scales;
    a.v_scales = cache->v_scales;
    a.ld_k = a.ld_v = l->kv_heads * l->head_dim;
    a.batch = 1;
    a.queries = added;
    a.keys = before + added;
    a.key_rows = cache->k.shape[0];
    ps_op_attention(s, &a);
}

void ps_attention_rope_table(float *table, int64_t positions, const double *frequencies,
                             int64_t pairs, double scale)
{
    for (int64_t p = 0; p < positions; p++) {
        for (int64_t i = 0; i < pairs; i++) {
            double angle = (double)p * frequencies[i];
            *table++ = (float)(cos(angle) * scale);
            *table++ = (float)(sin(angle) * scale);
        }
    }
}
