/* Attention as blocks see it: what the layer of a block is in the current pass, and its passes. */
#include "common/base/require.h"
#include "worker/models/transformer.h"

ps_attention_layer ps_transformer_attention_of(const ps_transformer *t, int64_t l)
{
    ps_attention_layer layer = t->attention;
    int64_t blocks = t->size.num_layers;
    if (t->several)
        layer.starts = ps_transformer_rows(t, t->starts);
    if (t->texts.there)
        layer.ends = ps_transformer_rows(t, t->texts.ends);
    layer.dropout = t->dropping ? t->attention_dropout : 0;
    ps_transformer_drop_bits(t, 1 + 2 * blocks + blocks * PS_PARTS + l, &layer.dropout_seed,
                             &layer.dropout_offset);
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
