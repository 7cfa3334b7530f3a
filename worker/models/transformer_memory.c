/* Where everything lies: one buffer, each tensor on a 256-byte border. The same walk first counts
 * the bytes (memory NULL) and then, when the buffer is there, sets the views. */
#include "worker/models/transformer.h"

typedef struct cursor {
    ps_buffer *memory;
    size_t end;
    ps_dtype type; /* of activations */
} cursor;

static ps_tensor take(cursor *c, ps_dtype dtype, int64_t rows, int64_t columns)
{
    size_t at = ps_model_place(&c->end, rows * columns, dtype);
    return ps_tensor_2d(c->memory, at, dtype, rows, columns);
}

static ps_norm_state take_norm(cursor *c, int64_t rows)
{
    return (ps_norm_state){.mean = take(c, PS_DTYPE_F32, rows, 1),
                           .rstd = take(c, PS_DTYPE_F32, rows, 1)};
}

/* The longest pass: rows, and rows × heads. */
typedef struct extent {
    int64_t rows, lse;
} extent;

/* Norms that not every architecture has, and what they read. */
static void take_norms(cursor *c, const ps_transformer *t, extent e, ps_block_state *out)
{
    int64_t heads = t->attention.heads, kv = t->attention.kv_heads;
    if (ps_transformer_has(t, PS_PART_NORM_Q)) {
        out->raw = take(c, c->type, e.rows, (heads + kv) * t->attention.head_dim);
        out->norm_q = take_norm(c, e.rows * heads);
        out->norm_k = take_norm(c, e.rows * kv);
    }
    if (ps_transformer_has(t, PS_PART_NORM_AFTER_ATTENTION)) {
        out->said_attention = take(c, c->type, e.rows, t->size.hidden_size);
        out->said_mlp = take(c, c->type, e.rows, t->size.hidden_size);
        out->norm_after_attention = take_norm(c, e.rows);
        out->norm_after_mlp = take_norm(c, e.rows);
    }
    if (ps_transformer_has(t, PS_PART_NORM_ADDED_ATTENTION)) {
        out->added_attention = take(c, c->type, e.rows, t->size.hidden_size);
        out->added_mlp = take(c, c->type, e.rows, t->size.hidden_size);
        out->norm_added_attention = take_norm(c, e.rows);
        out->norm_added_mlp = take_norm(c, e.rows);
    }
}

static void take_state(cursor *c, const ps_transformer *t, extent e, ps_block_state *out)
{
    int64_t width = t->size.hidden_size, f = t->size.intermediate_size;
    if (ps_transformer_has(t, PS_PART_NORM_ATTENTION)) {
        out->normed_attention = take(c, c->type, e.rows, width);
        out->norm_attention = take_norm(c, e.rows);
    }
    out->packed = take(c, c->type, e.rows, ps_attention_layer_width(&t->attention));
    take_norms(c, t, e, out);
    out->lse = take(c, PS_DTYPE_F32, e.lse, 1);
    out->mixed = take(c, c->type, e.rows, t->attention.heads * t->attention.head_dim);
    out->middle = take(c, c->type, e.rows, width);
    if (ps_transformer_has(t, PS_PART_NORM_MLP)) {
        out->normed_mlp = take(c, c->type, e.rows, width);
        out->norm_mlp = take_norm(c, e.rows);
    }
    out->hidden = take(c, c->type, e.rows, f);
    if (ps_transformer_has(t, PS_PART_GATE))
        out->up = take(c, c->type, e.rows, f);
    out->active = take(c, c->type, e.rows, f);
}

/* Without gradients two inputs in turns are enough. */
static void take_states(cursor *c, ps_transformer *t, extent e)
{
    int64_t width = t->size.hidden_size;
    bool share = t->base.options.inference || t->base.options.recompute;
    ps_tensor turns[2] = {0};
    for (int i = 0; i < 2 && t->base.options.inference; i++)
        turns[i] = take(c, c->type, e.rows, width);
    ps_block_state shared = {0};
    if (share)
        take_state(c, t, e, &shared);
    for (int64_t l = 0; l < t->size.num_layers; l++) {
        t->states[l] = shared;
        if (!share)
            take_state(c, t, e, &t->states[l]);
        t->states[l].input =
            t->base.options.inference ? turns[l % 2] : take(c, c->type, e.rows, width);
    }
    t->last =
        t->base.options.inference ? turns[t->size.num_layers % 2] : take(c, c->type, e.rows, width);
}

static void take_gradients(cursor *c, ps_transformer *t, extent e)
{
    int64_t width = t->size.hidden_size;
    t->dx = take(c, c->type, e.rows, width);
    t->dbranch = take(c, c->type, e.rows, width);
    if (ps_transformer_has(t, PS_PART_NORM_AFTER_ATTENTION))
        t->dsaid = take(c, c->type, e.rows, width);
    if (t->size.choices.parallel_residual)
        t->dbeside = take(c, c->type, e.rows, width);
    t->dmixed = take(c, c->type, e.rows, t->attention.heads * t->attention.head_dim);
    t->dpacked = take(c, c->type, e.rows, ps_attention_layer_width(&t->attention));
    t->dactive = take(c, c->type, e.rows, t->size.intermediate_size);
    t->delta = take(c, PS_DTYPE_F32, e.lse, 1);
}

/* head has its logits: as many points at a time as these have rows. */
static void take_explained(cursor *c, ps_transformer *t, extent e)
{
    int64_t points = t->head.logits.shape[0];
    t->picked = take(c, c->type, points, t->size.hidden_size);
    t->apart = take_norm(c, points);
    t->base.points = take(c, PS_DTYPE_I32, points, 1);
    t->base.embeddings = t->states[0].input;
    t->base.input_gradient = t->dx;
    if (!ps_transformer_has(t, PS_PART_GATE))
        return;
    t->dgate = take(c, c->type, e.rows, t->size.intermediate_size);
    t->dup = take(c, c->type, e.rows, t->size.intermediate_size);
}

/* What adapters have between their two products, one after the other. */
static void take_lora(cursor *c, ps_transformer *t, extent e)
{
    ps_transformer_lora *lora = &t->lora;
    lora->between = take(c, c->type, e.rows, lora->rank);
    lora->dbetween = take(c, c->type, e.rows, lora->rank);
    if (lora->rate > 0)
        lora->dropped = take(c, c->type, e.rows, lora->widest);
}

static void take_head(cursor *c, ps_transformer *t, extent e)
{
    int64_t v = t->size.vocab_size, batch = t->base.options.max_batch;
    int64_t rows = t->base.options.decode ? 1 : ps_head_rows(e.rows, v);
    rows = rows < batch ? batch : rows; /* answer wants the last token of each sequence at once */
    t->head.logits = take(c, PS_DTYPE_F32, rows, v);
    t->head.dlogits = t->head.logits;
    if (!t->base.options.inference && (c->type != PS_DTYPE_F32 || t->head.softcap > 0))
        t->head.dlogits = take(c, c->type, rows, v);
    t->base.output = ps_tensor_head(t->head.logits, batch);
}

/* Of each token of a pass, and of the first of each of its texts. */
static void take_texts(cursor *c, ps_transformer *t, extent e)
{
    ps_transformer_texts *texts = &t->texts;
    int64_t batch = t->base.options.max_batch, width = t->size.hidden_size;
    texts->types = take(c, PS_DTYPE_I32, e.rows, 1);
    texts->ends = take(c, PS_DTYPE_I32, e.rows, 1);
    texts->firsts = take(c, PS_DTYPE_I32, batch, 1);
    if (!texts->classes)
        return;
    texts->taken = take(c, c->type, batch + 1, width);
    texts->first = take(c, PS_DTYPE_F32, batch, width);
    texts->pooled = take(c, PS_DTYPE_F32, batch, width);
    texts->dropped = take(c, PS_DTYPE_F32, batch, width);
    t->base.output = take(c, PS_DTYPE_F32, batch, texts->classes);
    if (t->base.options.inference)
        return;
    texts->begins = take(c, PS_DTYPE_I32, e.rows, 1);
    texts->dpooled = take(c, PS_DTYPE_F32, batch, width);
    texts->dfirst = take(c, PS_DTYPE_F32, batch + 1, width);
}

static void take_cache(cursor *c, const ps_transformer *t, ps_attention_cache *out)
{
    int64_t positions = t->base.options.max_length, heads = t->attention.kv_heads;
    ps_dtype type = t->base.options.cache == PS_DTYPE_F32 ? c->type : t->base.options.cache;
    out->k = take(c, type, positions, heads * t->attention.head_dim);
    out->v = take(c, type, positions, heads * t->attention.head_dim);
    if (type != PS_DTYPE_I8)
        return;
    out->k_scales = take(c, PS_DTYPE_F32, positions, heads);
    out->v_scales = take(c, PS_DTYPE_F32, positions, heads);
}

static ps_tensor take_rope(cursor *c, const ps_transformer *t)
{
    int64_t half = ps_rope_turned(&t->size.rope, t->attention.head_dim) / 2;
    ps_tensor rope = take(c, PS_DTYPE_F32, t->base.options.max_length, half * 2);
    rope.rank = 3;
    rope.shape[1] = half;
    rope.shape[2] = 2;
    return rope;
}

size_t ps_transformer_place(ps_transformer *t, ps_buffer *memory)
{
    cursor c = {.memory = memory, .type = t->type};
    extent e = {.rows = ps_transformer_max_rows(t)};
    e.lse = e.rows * t->size.num_heads;
    t->base.input = take(&c, PS_DTYPE_I32, e.rows, 1);
    t->positions = take(&c, PS_DTYPE_I32, e.rows, 1);
    t->starts = take(&c, PS_DTYPE_I32, t->base.options.decode ? 1 : e.rows, 1);
    if (t->parts[PS_PART_Q].count > 1)
        t->ones = take(&c, t->type, e.rows, 1);
    if (!ps_transformer_has(t, PS_PART_POSITIONS)) {
        t->attention.rope = take_rope(&c, t);
        if (t->size.choices.sliding_window && t->size.rope.local_theta > 0)
            t->local_rope = take_rope(&c, t);
    }
    t->attention.positions = t->positions;
    take_states(&c, t, e);
    for (size_t i = 0; i < t->base.options.n_keep; i++)
        t->kept[i] = take(&c, c.type, e.rows, t->size.hidden_size);
    if (ps_transformer_has(t, PS_PART_NORM_EMBEDDING)) {
        t->summed = take(&c, c.type, e.rows, t->size.hidden_size);
        t->norm_embedding = take_norm(&c, e.rows);
    }
    if (t->texts.there) {
        take_texts(&c, t, e);
    } else {
        t->normed = take(&c, c.type, e.rows, t->size.hidden_size);
        t->norm_state = take_norm(&c, e.rows);
        take_head(&c, t, e);
    }
    if (!t->base.options.inference)
        take_gradients(&c, t, e);
    if (t->base.options.explain)
        take_explained(&c, t, e);
    if (t->lora.rank)
        take_lora(&c, t, e);
    for (int64_t l = 0; l < t->size.num_layers && t->base.options.decode; l++)
        take_cache(&c, t, &t->caches[l]);
    return c.end;
}
