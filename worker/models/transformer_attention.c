/* Attention as blocks see it: what the layer of a block is in the current pass, and its passes. */
#include "common/base/require.h"
#include "worker/models/transformer.h"

/* Where there are more weights than a branch has words, the words behind are those of the next
 * block, so that each has a seed of its own. */
static void take_words(const ps_transformer *t, int64_t l, ps_attention_layer *layer)
{
    int64_t blocks = t->size.num_layers;
    ps_transformer_drop_bits(t, 1 + 2 * blocks + blocks * PS_PARTS + l, &layer->dropout_seed,
                             &layer->dropout_offset);
    double keys = t->batch ? (double)t->n / (double)t->batch : 0;
    if ((double)t->n * (double)t->size.num_heads * keys > (double)PS_TRANSFORMER_WORDS)
        layer->dropout_seed += (uint64_t)(l + 1) * 0xBF58476D1CE4E5B9u;
}

ps_attention_layer ps_transformer_attention_of(const ps_transformer *t, int64_t l)
{
    ps_attention_layer layer = t->attention;
    if (t->several)
        layer.starts = ps_transformer_rows(t, t->starts);
    if (t->texts.there)
        layer.ends = ps_transformer_rows(t, t->texts.ends);
    layer.dropout = t->dropping ? t->attention_dropout : 0;
    take_words(t, l, &layer);
    if (!ps_arch_slides(&t->size.choices, l))
        return layer;
    layer.window = t->size.choices.sliding_window;
    if (ps_tensor_present(t->local_rope))
        layer.rope = t->local_rope;
    return layer;
}

static ps_tensor per_head(const ps_transformer *t, ps_tensor lse)
{
    return ps_tensor_head(lse, t->n * t->size.num_heads);
}

void ps_transformer_attend(ps_transformer *t, int64_t l)
{
    const ps_block_state *state = &t->states[l];
    const ps_attention_layer layer = ps_transformer_attention_of(t, l);
    ps_tensor mixed = ps_transformer_rows(t, state->mixed);
    ps_tensor packed = ps_transformer_rows(t, state->packed);
    if (t->before >= 0)
        ps_attention_layer_extend(t->base.stream, &layer, mixed, packed, &t->caches[l], t->before);
    else
        ps_attention_layer_forward(t->base.stream, &layer, mixed, per_head(t, state->lse), packed,
                                   t->batch);
}

void ps_transformer_attend_backward(ps_transformer *t, int64_t l)
{
    PS_REQUIRE(t->before < 0 && !t->base.options.inference);
    const ps_block_state *state = &t->states[l];
    const ps_attention_layer layer = ps_transformer_attention_of(t, l);
    ps_attention_layer_backward(
        t->base.stream, &layer,
        &(ps_attention_layer_gradient){.dpacked = ps_transformer_rows(t, t->dpacked),
                                       .dy = ps_transformer_rows(t, t->dmixed),
                                       .y = ps_transformer_rows(t, state->mixed),
                                       .lse = per_head(t, state->lse),
                                       .packed = ps_transformer_rows(t, state->packed),
                                       .delta = per_head(t, t->delta),
                                       .batch = t->batch});
}
