/* A block: attention, then the MLP, each behind a norm and added to the residual stream.
 *
 *     a = x + o(attention(q(x'), k(x'), v(x')))    x' = norm_attention(x); q, k and v: one or three
 *     y = a + down(silu(gate(a')) · up(a'))        a' = norm_mlp(a)
 *     y = a + down(gelu(up(a')))                   without a gate
 *
 * Dropout where the papers have it but for the attention's weights, which are never in memory.
 * Fails with what a hook says. */
#include "worker/layers/activation.h"
#include "worker/models/transformer.h"

/* ---- one linear layer ---- */

/* x[n,in] -> y[n,out], whose rows are ld elements apart; 0: dense */
static void product(ps_transformer *t, int64_t l, ps_arch_part part, ps_tensor y, int64_t ld,
                    ps_tensor x)
{
    ps_linear linear = ps_transformer_linear(t, l, part);
    ps_linear_forward(t->base.stream, &linear, y, ld, x);
    ps_transformer_lora_forward(t, l, part, y, ld, x);
}

/* dx[n,in] = dy's + beta · dx */
static void product_backward(ps_transformer *t, int64_t l, ps_arch_part part, ps_tensor dx,
                             ps_tensor dy, int64_t ld, float beta)
{
    ps_linear linear = ps_transformer_linear(t, l, part);
    ps_linear_backward_input(t->base.stream, &linear, dx, dy, ld, beta);
    ps_transformer_lora_backward_input(t, l, part, dx, dy, ld);
}

/* The parameters' gradients, which are ready then. */
static ps_status weights_backward(ps_transformer *t, int64_t l, ps_arch_part part, ps_tensor dy,
                                  int64_t ld, ps_tensor x, const ps_model_hooks *hooks)
{
    if (!t->base.gradients)
        return PS_OK;
    ps_linear linear = ps_transformer_linear(t, l, part);
    if (ps_tensor_present(linear.weight_gradient))
        ps_linear_backward_weight(t->base.stream, &linear, dy, ld, x, t->beta);
    if (ps_tensor_present(linear.bias_gradient))
        ps_linear_backward_bias(t->base.stream, &linear, dy, ld, t->beta);
    ps_status st = ps_transformer_lora_backward(t, l, part, dy, ld, x, hooks);
    return st ? st : ps_transformer_ready(t, l, part, hooks);
}

/* t->dx += the gradient of the norm's input */
static ps_status norm_backward(ps_transformer *t, int64_t l, ps_arch_part part, ps_norm_state state,
                               ps_tensor x, const ps_model_hooks *hooks)
{
    ps_norm_layer norm = ps_transformer_norm(t, l, part);
    ps_norm_layer_backward(t->base.stream, &norm, state, ps_transformer_rows(t, t->dx),
                           ps_transformer_rows(t, t->dbranch), ps_transformer_rows(t, x), t->beta);
    return ps_transformer_ready(t, l, part, hooks);
}

/* ---- queries, keys and values ---- */

/* What makes the packed rows: one layer all of them, or three their columns. */
static size_t projections(const ps_transformer *t)
{
    return ps_transformer_has(t, PS_PART_QKV) ? 1 : 3;
}

static ps_arch_part projection(const ps_transformer *t, size_t i)
{
    return ps_transformer_has(t, PS_PART_QKV) ? PS_PART_QKV : (ps_arch_part)(PS_PART_Q + i);
}

static ps_tensor columns(const ps_transformer *t, ps_tensor packed, size_t i)
{
    return ps_transformer_has(t, PS_PART_QKV)
               ? packed
               : ps_attention_layer_part(&t->attention, packed, (ps_attention_part)i);
}

static const ps_tap_kind packed_taps[] = {[PS_ATTENTION_QUERIES] = PS_TAP_Q,
                                          [PS_ATTENTION_KEYS] = PS_TAP_K,
                                          [PS_ATTENTION_VALUES] = PS_TAP_V};
enum { PACKED = sizeof packed_taps / sizeof *packed_taps };

/* x[n,C] -> packed[n,Q] */
static void project(ps_transformer *t, int64_t l, ps_tensor x)
{
    ps_tensor packed = ps_transformer_rows(t, t->states[l].packed);
    for (size_t i = 0; i < projections(t); i++)
        product(t, l, projection(t, i), columns(t, packed, i), packed.shape[1], x);
    for (size_t i = 0; i < PACKED; i++)
        ps_model_at(&t->base, packed_taps[i], l,
                    ps_attention_layer_part(&t->attention, packed, (ps_attention_part)i),
                    packed.shape[1]);
}

/* dpacked[n,Q] -> the gradients of the projections, and dnormed[n,C] */
static ps_status project_backward(ps_transformer *t, int64_t l, ps_tensor dnormed,
                                  const ps_model_hooks *hooks)
{
    ps_tensor dpacked = ps_transformer_rows(t, t->dpacked);
    ps_tensor x = ps_transformer_rows(t, t->states[l].normed_attention);
    int64_t ld = dpacked.shape[1];
    for (size_t i = PACKED; i-- > 0;)
        ps_model_gradient_at(&t->base, packed_taps[i], l,
                             ps_attention_layer_part(&t->attention, dpacked, (ps_attention_part)i),
                             ld);
    for (size_t n = projections(t), i = n; i-- > 0;) {
        ps_tensor dy = columns(t, dpacked, i);
        product_backward(t, l, projection(t, i), dnormed, dy, ld, i + 1 == n ? 0 : 1);
        ps_status st = weights_backward(t, l, projection(t, i), dy, ld, x, hooks);
        if (st)
            return st;
    }
    return PS_OK;
}

/* ---- forward ---- */

/* middle[n,C] = input + o(attention(…)) */
static ps_status forward_attention(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    ps_block_state *state = &t->states[l];
    ps_tensor x = ps_transformer_rows(t, state->input);
    ps_tensor normed = ps_transformer_rows(t, state->normed_attention);
    ps_tensor middle = ps_transformer_rows(t, state->middle);

    ps_status st = ps_transformer_use(t, l, PS_PART_NORM_ATTENTION, PS_PART_V, hooks);
    if (st)
        return st;
    ps_norm_layer norm = ps_transformer_norm(t, l, PS_PART_NORM_ATTENTION);
    ps_model_at(&t->base, PS_TAP_RESID_PRE, l, x, 0);
    ps_norm_layer_forward(s, &norm, state->norm_attention, normed, x);
    ps_model_at(&t->base, PS_TAP_LN1, l, normed, 0);
    project(t, l, normed);
    ps_transformer_attend(t, l);
    st = ps_transformer_show_pattern(t, l);
    if (st)
        return st;
    ps_tensor mixed = ps_transformer_rows(t, state->mixed);
    ps_model_at(&t->base, PS_TAP_Z, l, mixed, 0);
    st = ps_transformer_use(t, l, PS_PART_O, PS_PART_O, hooks);
    if (st)
        return st;
    product(t, l, PS_PART_O, middle, 0, mixed);
    ps_transformer_drop(t, middle, 1 + 2 * l);
    ps_model_at(&t->base, PS_TAP_ATTN_OUT, l, middle, 0);
    ps_op_add(s, middle, middle, x);
    ps_model_at(&t->base, PS_TAP_RESID_MID, l, middle, 0);
    return PS_OK;
}

/* active[n,F] = silu(gate)·up, or gelu(up) */
static void activate(ps_transformer *t, int64_t l, ps_tensor normed)
{
    ps_block_state *state = &t->states[l];
    ps_tensor hidden = ps_transformer_rows(t, state->hidden);
    ps_tensor active = ps_transformer_rows(t, state->active);
    if (!ps_transformer_has(t, PS_PART_GATE)) {
        product(t, l, PS_PART_UP, hidden, 0, normed);
        ps_model_at(&t->base, PS_TAP_MLP_PRE, l, hidden, 0);
        ps_activation_forward(t->base.stream, PS_ACTIVATION_GELU_TANH, active, hidden);
        return;
    }
    ps_tensor up = ps_transformer_rows(t, state->up);
    product(t, l, PS_PART_GATE, hidden, 0, normed);
    product(t, l, PS_PART_UP, up, 0, normed);
    ps_model_at(&t->base, PS_TAP_MLP_PRE, l, hidden, 0);
    ps_model_at(&t->base, PS_TAP_MLP_PRE_LINEAR, l, up, 0);
    ps_op_gated(t->base.stream, PS_ACTIVATION_SILU, active, hidden, up);
}

/* out[n,C] = middle + down(…) */
static ps_status forward_mlp(ps_transformer *t, int64_t l, ps_tensor out,
                             const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    ps_block_state *state = &t->states[l];
    ps_tensor middle = ps_transformer_rows(t, state->middle);
    ps_tensor normed = ps_transformer_rows(t, state->normed_mlp);

    ps_status st = ps_transformer_use(t, l, PS_PART_NORM_MLP, PS_PART_UP, hooks);
    if (st)
        return st;
    ps_norm_layer norm = ps_transformer_norm(t, l, PS_PART_NORM_MLP);
    ps_norm_layer_forward(s, &norm, state->norm_mlp, normed, middle);
    ps_model_at(&t->base, PS_TAP_LN2, l, normed, 0);
    activate(t, l, normed);
    ps_tensor active = ps_transformer_rows(t, state->active);
    ps_model_at(&t->base, PS_TAP_MLP_POST, l, active, 0);
    if (!ps_tensor_present(out))
        return PS_OK;
    st = ps_transformer_use(t, l, PS_PART_DOWN, PS_PART_DOWN, hooks);
    if (st)
        return st;
    product(t, l, PS_PART_DOWN, out, 0, active);
    ps_transformer_drop(t, out, 2 + 2 * l);
    ps_model_at(&t->base, PS_TAP_MLP_OUT, l, out, 0);
    ps_op_add(s, out, out, middle);
    ps_model_at(&t->base, PS_TAP_RESID_POST, l, out, 0);
    return PS_OK;
}

ps_status ps_transformer_block_forward(ps_transformer *t, int64_t l, ps_tensor out,
                                       const ps_model_hooks *hooks)
{
    ps_status st = forward_attention(t, l, hooks);
    return st ? st : forward_mlp(t, l, out, hooks);
}

/* ---- backward ---- */

/* dactive[n,F] -> dnormed[n,C]; the gradients of gate and up replace them, but to explain. */
static ps_status gated_backward(ps_transformer *t, int64_t l, ps_tensor dnormed,
                                const ps_model_hooks *hooks)
{
    ps_block_state *state = &t->states[l];
    ps_tensor gate = ps_transformer_rows(t, state->hidden);
    ps_tensor up = ps_transformer_rows(t, state->up);
    ps_tensor normed = ps_transformer_rows(t, state->normed_mlp);
    bool explain = t->base.options.explain;
    ps_tensor dgate = explain ? ps_transformer_rows(t, t->dgate) : gate;
    ps_tensor dup = explain ? ps_transformer_rows(t, t->dup) : up;
    ps_op_gated_backward(t->base.stream, PS_ACTIVATION_SILU, dgate, dup,
                         ps_transformer_rows(t, t->dactive), gate, up);
    ps_model_gradient_at(&t->base, PS_TAP_MLP_PRE_LINEAR, l, dup, 0);
    ps_model_gradient_at(&t->base, PS_TAP_MLP_PRE, l, dgate, 0);
    product_backward(t, l, PS_PART_UP, dnormed, dup, 0, 0);
    product_backward(t, l, PS_PART_GATE, dnormed, dgate, 0, 1);
    ps_status st = weights_backward(t, l, PS_PART_UP, dup, 0, normed, hooks);
    return st ? st : weights_backward(t, l, PS_PART_GATE, dgate, 0, normed, hooks);
}

static ps_status activation_backward(ps_transformer *t, int64_t l, ps_tensor dnormed,
                                     const ps_model_hooks *hooks)
{
    ps_block_state *state = &t->states[l];
    ps_tensor dactive = ps_transformer_rows(t, t->dactive);
    ps_activation_backward(t->base.stream, PS_ACTIVATION_GELU_TANH, dactive,
                           ps_transformer_rows(t, state->hidden),
                           ps_transformer_rows(t, state->active));
    ps_model_gradient_at(&t->base, PS_TAP_MLP_PRE, l, dactive, 0);
    product_backward(t, l, PS_PART_UP, dnormed, dactive, 0, 0);
    return weights_backward(t, l, PS_PART_UP, dactive, 0, ps_transformer_rows(t, state->normed_mlp),
                            hooks);
}

/* dx: out's gradient -> middle's */
static ps_status backward_mlp(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_block_state *state = &t->states[l];
    ps_tensor dnormed = ps_transformer_rows(t, t->dbranch);
    ps_tensor dactive = ps_transformer_rows(t, t->dactive);
    ps_model_gradient_at(&t->base, PS_TAP_RESID_POST, l, ps_transformer_rows(t, t->dx), 0);
    ps_tensor dadded = ps_transformer_drop_backward(t, t->dbranch, 2 + 2 * l);
    ps_model_gradient_at(&t->base, PS_TAP_MLP_OUT, l, dadded, 0);
    product_backward(t, l, PS_PART_DOWN, dactive, dadded, 0, 0);
    ps_model_gradient_at(&t->base, PS_TAP_MLP_POST, l, dactive, 0);
    ps_status st = weights_backward(t, l, PS_PART_DOWN, dadded, 0,
                                    ps_transformer_rows(t, state->active), hooks);
    if (st)
        return st;
    st = ps_transformer_has(t, PS_PART_GATE) ? gated_backward(t, l, dnormed, hooks)
                                             : activation_backward(t, l, dnormed, hooks);
    ps_model_gradient_at(&t->base, PS_TAP_LN2, l, dnormed, 0);
    return st ? st : norm_backward(t, l, PS_PART_NORM_MLP, state->norm_mlp, state->middle, hooks);
}

/* dx: middle's gradient -> the input's */
static ps_status backward_attention(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_block_state *state = &t->states[l];
    ps_tensor dx = ps_transformer_rows(t, t->dx), dnormed = ps_transformer_rows(t, t->dbranch);
    ps_model_gradient_at(&t->base, PS_TAP_RESID_MID, l, dx, 0);
    ps_tensor dadded = ps_transformer_drop_backward(t, t->dbranch, 1 + 2 * l);
    ps_model_gradient_at(&t->base, PS_TAP_ATTN_OUT, l, dadded, 0);
    ps_tensor dmixed = ps_transformer_rows(t, t->dmixed);
    product_backward(t, l, PS_PART_O, dmixed, dadded, 0, 0);
    ps_model_gradient_at(&t->base, PS_TAP_Z, l, dmixed, 0);
    ps_status st = ps_transformer_show_pattern_gradient(t, l);
    if (!st)
        st = weights_backward(t, l, PS_PART_O, dadded, 0, ps_transformer_rows(t, state->mixed),
                              hooks);
    if (st)
        return st;
    ps_transformer_attend_backward(t, l);
    st = project_backward(t, l, dnormed, hooks);
    ps_model_gradient_at(&t->base, PS_TAP_LN1, l, dnormed, 0);
    if (!st)
        st =
            norm_backward(t, l, PS_PART_NORM_ATTENTION, state->norm_attention, state->input, hooks);
    ps_model_gradient_at(&t->base, PS_TAP_RESID_PRE, l, dx, 0);
    return st;
}

ps_status ps_transformer_block_backward(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_status st = backward_mlp(t, l, hooks);
    return st ? st : backward_attention(t, l, hooks);
}
