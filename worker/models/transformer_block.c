/* A block: attention, then the MLP, each behind a norm and added to the residual stream.
 *
 *     a = x + o(attention(q(x'), k(x'), v(x')))    x' = norm_attention(x); q, k and v: one or three
 *     y = a + down(f(gate(a')) · up(a'))           a' = norm_mlp(a)
 *     y = a + down(f(up(a')))                      without a gate
 *
 * Where the architecture has them, each head of q and k goes through a norm, and so does what a
 * half gives, before it is added, or what they add up to; and with a parallel residual
 * a' = norm_mlp(x). Without norm_attention or norm_mlp x' is x and a' is a.
 *
 * Dropout where the papers have it; attention drops its weights itself, as they are never in
 * memory. Fails with what a hook says. */
#include "worker/layers/activation.h"
#include "worker/models/transformer.h"

/* ---- norms ---- */

/* Through the norm behind a half of the block, where there is one: from what the product gives,
 * into out. */
static void norm_after(ps_transformer *t, int64_t l, ps_arch_part part, ps_norm_state state,
                       ps_tensor out, ps_tensor said)
{
    if (!ps_transformer_has(t, part))
        return;
    ps_norm_layer norm = ps_transformer_norm(t, l, part);
    ps_norm_layer_forward(t->base.stream, &norm, state, out, ps_transformer_rows(t, said));
}

/* *dy, of what is added, becomes that of what the product gives. */
static ps_status norm_after_backward(ps_transformer *t, int64_t l, ps_arch_part part,
                                     ps_norm_state state, ps_tensor said, ps_tensor *dy,
                                     const ps_model_hooks *hooks)
{
    if (!ps_transformer_has(t, part))
        return PS_OK;
    ps_norm_layer norm = ps_transformer_norm(t, l, part);
    ps_tensor dsaid = ps_transformer_rows(t, t->dsaid);
    ps_norm_layer_backward_to(t->base.stream, &norm, state, dsaid, *dy,
                              ps_transformer_rows(t, said), t->beta);
    *dy = dsaid;
    return ps_transformer_ready(t, l, part, hooks);
}

/* added -> out, through the norm of what a half adds up to, where there is one. */
static void norm_added(ps_transformer *t, int64_t l, ps_arch_part part, ps_norm_state state,
                       ps_tensor out, ps_tensor added)
{
    if (!ps_transformer_has(t, part))
        return;
    ps_norm_layer norm = ps_transformer_norm(t, l, part);
    ps_norm_layer_forward(t->base.stream, &norm, state, out, added);
}

/* t->dx, of its output, becomes that of what a half adds up to. */
static ps_status norm_added_backward(ps_transformer *t, int64_t l, ps_arch_part part,
                                     ps_norm_state state, ps_tensor added,
                                     const ps_model_hooks *hooks)
{
    if (!ps_transformer_has(t, part))
        return PS_OK;
    ps_norm_layer norm = ps_transformer_norm(t, l, part);
    ps_norm_layer_backward_in_place(t->base.stream, &norm, state, ps_transformer_rows(t, t->dx),
                                    ps_transformer_rows(t, added), t->beta);
    return ps_transformer_ready(t, l, part, hooks);
}

/* x -> normed, through the norm that a half begins with; without one it is x that is read. */
static ps_tensor norm_before(ps_transformer *t, int64_t l, ps_arch_part part, ps_norm_state state,
                             ps_tensor normed, ps_tensor x)
{
    if (!ps_transformer_has(t, part))
        return x;
    ps_norm_layer norm = ps_transformer_norm(t, l, part);
    normed = ps_transformer_rows(t, normed);
    ps_norm_layer_forward(t->base.stream, &norm, state, normed, x);
    return normed;
}

/* What that has left. */
static ps_tensor read_by_attention(const ps_transformer *t, int64_t l)
{
    const ps_block_state *state = &t->states[l];
    bool norm = ps_transformer_has(t, PS_PART_NORM_ATTENTION);
    return ps_transformer_rows(t, norm ? state->normed_attention : state->input);
}

static ps_tensor read_by_products(const ps_transformer *t, int64_t l)
{
    const ps_block_state *state = &t->states[l];
    bool norm = ps_transformer_has(t, PS_PART_NORM_MLP);
    return ps_transformer_rows(t, norm ? state->normed_mlp : state->middle);
}

/* t->dx += the gradient of the norm's input */
static ps_status norm_backward(ps_transformer *t, int64_t l, ps_arch_part part, ps_norm_state state,
                               ps_tensor x, const ps_model_hooks *hooks)
{
    ps_tensor dx = ps_transformer_rows(t, t->dx);
    if (!ps_transformer_has(t, part)) {
        ps_op_add(t->base.stream, dx, dx, ps_transformer_rows(t, t->dbranch));
        return PS_OK;
    }
    ps_norm_layer norm = ps_transformer_norm(t, l, part);
    ps_norm_layer_backward(t->base.stream, &norm, state, dx, ps_transformer_rows(t, t->dbranch),
                           ps_transformer_rows(t, x), t->beta);
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

/* Where projection i goes: queries and keys that have norms do so by way of raw rows. */
static ps_tensor projected(const ps_transformer *t, int64_t l, size_t i)
{
    ps_tensor raw = ps_transformer_rows(t, t->states[l].raw);
    const ps_attention_layer *a = &t->attention;
    if (!ps_transformer_has(t, PS_PART_NORM_Q) || i > PS_ATTENTION_KEYS)
        return columns(t, ps_transformer_rows(t, t->states[l].packed), i);
    raw.offset +=
        i == PS_ATTENTION_KEYS ? (size_t)(a->heads * a->head_dim) * ps_dtype_bytes(t->type) : 0;
    raw.shape[1] = (i == PS_ATTENTION_KEYS ? a->kv_heads : a->heads) * a->head_dim;
    return raw;
}

static int64_t projected_ld(const ps_transformer *t, int64_t l, size_t i)
{
    bool raw = ps_transformer_has(t, PS_PART_NORM_Q) && i <= PS_ATTENTION_KEYS;
    return raw ? t->states[l].raw.shape[1] : t->states[l].packed.shape[1];
}

/* y: columns of queries or keys that are to be, or of their gradients. */
static ps_norm_heads heads_of(const ps_transformer *t, int64_t l, ps_tensor y, size_t i)
{
    const ps_attention_layer *a = &t->attention;
    return (ps_norm_heads){.heads = i == PS_ATTENTION_KEYS ? a->kv_heads : a->heads,
                           .y = y,
                           .x = projected(t, l, i),
                           .ld_y = ps_attention_layer_width(a),
                           .ld_x = projected_ld(t, l, i)};
}

/* raw queries and keys -> packed ones */
static void norm_heads(ps_transformer *t, int64_t l)
{
    ps_tensor packed = ps_transformer_rows(t, t->states[l].packed);
    const ps_norm_state states[] = {t->states[l].norm_q, t->states[l].norm_k};
    for (size_t i = 0; i <= PS_ATTENTION_KEYS && ps_transformer_has(t, PS_PART_NORM_Q); i++) {
        ps_norm_layer norm = ps_transformer_norm(t, l, (ps_arch_part)(PS_PART_NORM_Q + i));
        ps_norm_heads heads = heads_of(t, l, columns(t, packed, i), i);
        ps_norm_layer_heads(t->base.stream, &norm, states[i], &heads);
    }
}

/* dpacked's queries and keys, in place */
static ps_status norm_heads_backward(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_tensor dpacked = ps_transformer_rows(t, t->dpacked);
    const ps_norm_state states[] = {t->states[l].norm_q, t->states[l].norm_k};
    ps_status st = PS_OK;
    for (size_t i = PS_ATTENTION_VALUES; !st && i-- > 0 && ps_transformer_has(t, PS_PART_NORM_Q);) {
        ps_arch_part part = (ps_arch_part)(PS_PART_NORM_Q + i);
        ps_norm_layer norm = ps_transformer_norm(t, l, part);
        ps_norm_heads heads = heads_of(t, l, columns(t, dpacked, i), i);
        ps_norm_layer_heads_backward(t->base.stream, &norm, states[i], &heads, t->beta);
        st = ps_transformer_ready(t, l, part, hooks);
    }
    return st;
}

static const ps_tap_kind packed_taps[] = {[PS_ATTENTION_QUERIES] = PS_TAP_Q,
                                          [PS_ATTENTION_KEYS] = PS_TAP_K,
                                          [PS_ATTENTION_VALUES] = PS_TAP_V};
enum { PACKED = sizeof packed_taps / sizeof *packed_taps };

/* What a hook sees of queries, keys or values: before norms, as TransformerLens has it. */
static ps_tensor shown(const ps_transformer *t, int64_t l, size_t i)
{
    ps_tensor packed = ps_transformer_rows(t, t->states[l].packed);
    return ps_transformer_has(t, PS_PART_QKV)
               ? ps_attention_layer_part(&t->attention, packed, (ps_attention_part)i)
               : projected(t, l, i);
}

/* x[n,C] -> packed[n,Q] */
static void project(ps_transformer *t, int64_t l, ps_tensor x)
{
    for (size_t i = 0; i < projections(t); i++)
        ps_transformer_product(t, l, projection(t, i), projected(t, l, i), projected_ld(t, l, i),
                               x);
    for (size_t i = 0; i < PACKED; i++)
        ps_model_at(&t->base, packed_taps[i], l, shown(t, l, i), projected_ld(t, l, i));
    norm_heads(t, l);
}

/* dpacked[n,Q] -> the gradients of the projections, and dnormed[n,C] */
static ps_status project_backward(ps_transformer *t, int64_t l, ps_tensor dnormed,
                                  const ps_model_hooks *hooks)
{
    ps_tensor dpacked = ps_transformer_rows(t, t->dpacked);
    ps_tensor x = read_by_attention(t, l);
    int64_t ld = dpacked.shape[1];
    ps_status st = norm_heads_backward(t, l, hooks);
    for (size_t i = PACKED; i-- > 0;)
        ps_model_gradient_at(&t->base, packed_taps[i], l,
                             ps_attention_layer_part(&t->attention, dpacked, (ps_attention_part)i),
                             ld);
    for (size_t n = projections(t), i = n; !st && i-- > 0;) {
        ps_tensor dy = columns(t, dpacked, i);
        ps_transformer_product_backward(t, l, projection(t, i), dnormed, dy, ld,
                                        i + 1 == n ? 0 : 1);
        st = ps_transformer_weights_backward(t, l, projection(t, i), dy, ld, x, hooks);
    }
    return st;
}

/* ---- forward ---- */

/* middle[n,C] = input + o(attention(…)) */
static ps_status forward_attention(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    ps_block_state *state = &t->states[l];
    ps_tensor x = ps_transformer_rows(t, state->input);
    ps_tensor middle = ps_transformer_rows(t, state->middle), added = middle;

    ps_status st = ps_transformer_use(t, l, PS_PART_NORM_ATTENTION, PS_PART_NORM_K, hooks);
    if (st)
        return st;
    ps_model_at(&t->base, PS_TAP_RESID_PRE, l, x, 0);
    ps_tensor normed = norm_before(t, l, PS_PART_NORM_ATTENTION, state->norm_attention,
                                   state->normed_attention, x);
    ps_model_at(&t->base, PS_TAP_LN1, l, normed, 0);
    project(t, l, normed);
    ps_transformer_attend(t, l);
    st = ps_transformer_show_pattern(t, l);
    if (st)
        return st;
    ps_tensor mixed = ps_transformer_rows(t, state->mixed);
    ps_model_at(&t->base, PS_TAP_Z, l, mixed, 0);
    st = ps_transformer_use(t, l, PS_PART_O, PS_PART_NORM_ADDED_ATTENTION, hooks);
    if (st)
        return st;
    bool after = ps_transformer_has(t, PS_PART_NORM_AFTER_ATTENTION);
    if (ps_transformer_has(t, PS_PART_NORM_ADDED_ATTENTION))
        added = ps_transformer_rows(t, state->added_attention);
    ps_transformer_product(t, l, PS_PART_O,
                           after ? ps_transformer_rows(t, state->said_attention) : added, 0, mixed);
    norm_after(t, l, PS_PART_NORM_AFTER_ATTENTION, state->norm_after_attention, added,
               state->said_attention);
    ps_transformer_drop(t, added, 1 + 2 * l);
    ps_model_at(&t->base, PS_TAP_ATTN_OUT, l, added, 0);
    ps_op_add(s, added, added, x);
    norm_added(t, l, PS_PART_NORM_ADDED_ATTENTION, state->norm_added_attention, middle, added);
    ps_model_at(&t->base, PS_TAP_RESID_MID, l, middle, 0);
    return PS_OK;
}

/* active[n,F] = f(gate)·up, or f(up) */
static void activate(ps_transformer *t, int64_t l, ps_tensor normed)
{
    ps_block_state *state = &t->states[l];
    ps_tensor hidden = ps_transformer_rows(t, state->hidden);
    ps_tensor active = ps_transformer_rows(t, state->active);
    if (!ps_transformer_has(t, PS_PART_GATE)) {
        ps_transformer_product(t, l, PS_PART_UP, hidden, 0, normed);
        ps_model_at(&t->base, PS_TAP_MLP_PRE, l, hidden, 0);
        ps_activation_forward(t->base.stream, t->act, active, hidden);
        return;
    }
    ps_tensor up = ps_transformer_rows(t, state->up);
    ps_transformer_product(t, l, PS_PART_GATE, hidden, 0, normed);
    ps_transformer_product(t, l, PS_PART_UP, up, 0, normed);
    ps_model_at(&t->base, PS_TAP_MLP_PRE, l, hidden, 0);
    ps_model_at(&t->base, PS_TAP_MLP_PRE_LINEAR, l, up, 0);
    ps_op_gated(t->base.stream, t->act, active, hidden, up);
}

/* What the MLP's norm reads. */
static ps_tensor read_by_mlp(const ps_transformer *t, int64_t l)
{
    const ps_block_state *state = &t->states[l];
    return ps_transformer_rows(t, t->size.choices.parallel_residual ? state->input : state->middle);
}

/* out[n,C] = middle + down(…) of the active numbers; out not there: what backward needs of it */
static ps_status forward_down(ps_transformer *t, int64_t l, ps_tensor out,
                              const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    ps_block_state *state = &t->states[l];
    bool after = ps_transformer_has(t, PS_PART_NORM_AFTER_MLP);
    bool behind = ps_transformer_has(t, PS_PART_NORM_ADDED_MLP);
    bool wanted = ps_tensor_present(out);
    if (!wanted && !after && !behind)
        return PS_OK;
    if (!wanted)
        out = ps_transformer_rows(t, t->dbranch); /* free while a block is computed again */
    ps_tensor added = behind ? ps_transformer_rows(t, state->added_mlp) : out;
    ps_status st = ps_transformer_use(t, l, PS_PART_DOWN, PS_PART_NORM_ADDED_MLP, hooks);
    if (st)
        return st;
    ps_transformer_product(t, l, PS_PART_DOWN,
                           after ? ps_transformer_rows(t, state->said_mlp) : added, 0,
                           ps_transformer_rows(t, state->active));
    norm_after(t, l, PS_PART_NORM_AFTER_MLP, state->norm_after_mlp, added, state->said_mlp);
    if (!wanted && !behind)
        return PS_OK;
    ps_transformer_drop(t, added, 2 + 2 * l);
    ps_model_at(&t->base, PS_TAP_MLP_OUT, l, added, 0);
    ps_op_add(s, added, added, ps_transformer_rows(t, state->middle));
    norm_added(t, l, PS_PART_NORM_ADDED_MLP, state->norm_added_mlp, out, added);
    ps_model_at(&t->base, PS_TAP_RESID_POST, l, out, 0);
    return PS_OK;
}

static ps_status forward_mlp(ps_transformer *t, int64_t l, ps_tensor out,
                             const ps_model_hooks *hooks)
{
    ps_block_state *state = &t->states[l];

    ps_status st = ps_transformer_use(t, l, PS_PART_NORM_MLP, PS_PART_UP, hooks);
    if (st)
        return st;
    ps_tensor normed =
        norm_before(t, l, PS_PART_NORM_MLP, state->norm_mlp, state->normed_mlp, read_by_mlp(t, l));
    ps_model_at(&t->base, PS_TAP_LN2, l, normed, 0);
    activate(t, l, normed);
    ps_tensor active = ps_transformer_rows(t, state->active);
    ps_model_at(&t->base, PS_TAP_MLP_POST, l, active, 0);
    return forward_down(t, l, out, hooks);
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
    ps_tensor normed = read_by_products(t, l);
    bool explain = t->base.options.explain;
    ps_tensor dgate = explain ? ps_transformer_rows(t, t->dgate) : gate;
    ps_tensor dup = explain ? ps_transformer_rows(t, t->dup) : up;
    ps_op_gated_backward(t->base.stream, t->act, dgate, dup, ps_transformer_rows(t, t->dactive),
                         gate, up);
    ps_model_gradient_at(&t->base, PS_TAP_MLP_PRE_LINEAR, l, dup, 0);
    ps_model_gradient_at(&t->base, PS_TAP_MLP_PRE, l, dgate, 0);
    ps_transformer_product_backward(t, l, PS_PART_UP, dnormed, dup, 0, 0);
    ps_transformer_product_backward(t, l, PS_PART_GATE, dnormed, dgate, 0, 1);
    ps_status st = ps_transformer_weights_backward(t, l, PS_PART_UP, dup, 0, normed, hooks);
    return st ? st : ps_transformer_weights_backward(t, l, PS_PART_GATE, dgate, 0, normed, hooks);
}

static ps_status activation_backward(ps_transformer *t, int64_t l, ps_tensor dnormed,
                                     const ps_model_hooks *hooks)
{
    ps_block_state *state = &t->states[l];
    ps_tensor dactive = ps_transformer_rows(t, t->dactive);
    ps_activation_backward(t->base.stream, t->act, dactive, ps_transformer_rows(t, state->hidden),
                           ps_transformer_rows(t, state->active));
    ps_model_gradient_at(&t->base, PS_TAP_MLP_PRE, l, dactive, 0);
    ps_transformer_product_backward(t, l, PS_PART_UP, dnormed, dactive, 0, 0);
    return ps_transformer_weights_backward(t, l, PS_PART_UP, dactive, 0, read_by_products(t, l),
                                           hooks);
}

/* Of a parallel residual the gradient waits beside dx, which is what attention adds to, too. */
static ps_status norm_mlp_backward(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    const ps_block_state *state = &t->states[l];
    if (!t->size.choices.parallel_residual)
        return norm_backward(t, l, PS_PART_NORM_MLP, state->norm_mlp, state->middle, hooks);
    ps_norm_layer norm = ps_transformer_norm(t, l, PS_PART_NORM_MLP);
    ps_norm_layer_backward_to(t->base.stream, &norm, state->norm_mlp,
                              ps_transformer_rows(t, t->dbeside),
                              ps_transformer_rows(t, t->dbranch), read_by_mlp(t, l), t->beta);
    return ps_transformer_ready(t, l, PS_PART_NORM_MLP, hooks);
}

/* dx: out's gradient -> middle's */
static ps_status backward_mlp(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_block_state *state = &t->states[l];
    ps_tensor dnormed = ps_transformer_rows(t, t->dbranch);
    ps_tensor dactive = ps_transformer_rows(t, t->dactive);
    ps_model_gradient_at(&t->base, PS_TAP_RESID_POST, l, ps_transformer_rows(t, t->dx), 0);
    ps_status st = norm_added_backward(t, l, PS_PART_NORM_ADDED_MLP, state->norm_added_mlp,
                                       state->added_mlp, hooks);
    if (st)
        return st;
    ps_tensor dadded = ps_transformer_drop_backward(t, t->dbranch, 2 + 2 * l);
    ps_model_gradient_at(&t->base, PS_TAP_MLP_OUT, l, dadded, 0);
    st = norm_after_backward(t, l, PS_PART_NORM_AFTER_MLP, state->norm_after_mlp, state->said_mlp,
                             &dadded, hooks);
    if (st)
        return st;
    ps_transformer_product_backward(t, l, PS_PART_DOWN, dactive, dadded, 0, 0);
    ps_model_gradient_at(&t->base, PS_TAP_MLP_POST, l, dactive, 0);
    st = ps_transformer_weights_backward(t, l, PS_PART_DOWN, dadded, 0,
                                         ps_transformer_rows(t, state->active), hooks);
    if (st)
        return st;
    st = ps_transformer_has(t, PS_PART_GATE) ? gated_backward(t, l, dnormed, hooks)
                                             : activation_backward(t, l, dnormed, hooks);
    ps_model_gradient_at(&t->base, PS_TAP_LN2, l, dnormed, 0);
    return st ? st : norm_mlp_backward(t, l, hooks);
}

/* dx: middle's gradient -> the input's */
static ps_status backward_attention(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_block_state *state = &t->states[l];
    ps_tensor dx = ps_transformer_rows(t, t->dx), dnormed = ps_transformer_rows(t, t->dbranch);
    ps_model_gradient_at(&t->base, PS_TAP_RESID_MID, l, dx, 0);
    ps_status st = norm_added_backward(t, l, PS_PART_NORM_ADDED_ATTENTION,
                                       state->norm_added_attention, state->added_attention, hooks);
    if (st)
        return st;
    ps_tensor dadded = ps_transformer_drop_backward(t, t->dbranch, 1 + 2 * l);
    ps_model_gradient_at(&t->base, PS_TAP_ATTN_OUT, l, dadded, 0);
    ps_tensor dmixed = ps_transformer_rows(t, t->dmixed);
    st = norm_after_backward(t, l, PS_PART_NORM_AFTER_ATTENTION, state->norm_after_attention,
                             state->said_attention, &dadded, hooks);
    if (st)
        return st;
    ps_transformer_product_backward(t, l, PS_PART_O, dmixed, dadded, 0, 0);
    ps_model_gradient_at(&t->base, PS_TAP_Z, l, dmixed, 0);
    st = ps_transformer_show_pattern_gradient(t, l);
    if (!st)
        st = ps_transformer_weights_backward(t, l, PS_PART_O, dadded, 0,
                                             ps_transformer_rows(t, state->mixed), hooks);
    if (st)
        return st;
    ps_transformer_attend_backward(t, l);
    st = project_backward(t, l, dnormed, hooks);
    ps_model_gradient_at(&t->base, PS_TAP_LN1, l, dnormed, 0);
    if (!st)
        st =
            norm_backward(t, l, PS_PART_NORM_ATTENTION, state->norm_attention, state->input, hooks);
    if (t->size.choices.parallel_residual)
        ps_op_add(t->base.stream, dx, dx, ps_transformer_rows(t, t->dbeside));
    ps_model_gradient_at(&t->base, PS_TAP_RESID_PRE, l, dx, 0);
    return st;
}

ps_status ps_transformer_block_backward(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_status st = backward_mlp(t, l, hooks);
    return st ? st : backward_attention(t, l, hooks);
}
