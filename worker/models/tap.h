/* tap: the places of a pass where a hook may see what has been computed, and put something else in
 * its place (ps_model_hooks.at and .gradient_at). Their names are those of TransformerLens, so that
 * what is written about one model can be asked of another; of models of layers, their own.
 *
 * In shapes: n rows or tokens, C hidden, H heads, K key-value heads, D head size, F intermediate.
 */
#ifndef PS_MODELS_TAP_H
#define PS_MODELS_TAP_H

#include "gpu/backend.h"

/* X(kind, short name, name, what stands before the name): in the order of a forward pass.
 *
 * q, k and v are as they are before they are turned, heads one behind the other. q[n,H·D], k and
 * v[n,K·D], z[n,H·D], pre, pre_linear and post [n,F], else [n,C]. pre is the gate's product and
 * pre_linear the other one where an mlp has two. normalized is what a norm gives, gain and bias
 * included. attn_out and mlp_out are what is added to the stream. Weights of attention are in no
 * pass's memory: a hook sees hook_pattern where it asks for it (ps_model_hooks.patterns), and else
 * ps_model_attention has its values.
 * layers.I.pre is what linear layer I gives, .post what its activation makes of it, which may be
 * the same memory; the last has none. */
#define PS_TAPS(X)                                                              \
    X(INPUT, "input", "input", PS_TAP_ONCE)                                     \
    X(LAYER_PRE, "pre", "pre", PS_TAP_IN_LAYER)                                 \
    X(LAYER_POST, "post", "post", PS_TAP_IN_LAYER)                              \
    X(EMBED, "embed", "hook_embed", PS_TAP_ONCE)                                \
    X(POS_EMBED, "pos_embed", "hook_pos_embed", PS_TAP_ONCE)                    \
    X(RESID_PRE, "resid_pre", "hook_resid_pre", PS_TAP_IN_BLOCK)                \
    X(LN1, "ln1", "ln1.hook_normalized", PS_TAP_IN_BLOCK)                       \
    X(Q, "q", "attn.hook_q", PS_TAP_IN_BLOCK)                                   \
    X(K, "k", "attn.hook_k", PS_TAP_IN_BLOCK)                                   \
    X(V, "v", "attn.hook_v", PS_TAP_IN_BLOCK)                                   \
    X(PATTERN, "pattern", "attn.hook_pattern", PS_TAP_IN_BLOCK)                 \
    X(Z, "z", "attn.hook_z", PS_TAP_IN_BLOCK)                                   \
    X(ATTN_OUT, "attn_out", "hook_attn_out", PS_TAP_IN_BLOCK)                   \
    X(RESID_MID, "resid_mid", "hook_resid_mid", PS_TAP_IN_BLOCK)                \
    X(LN2, "ln2", "ln2.hook_normalized", PS_TAP_IN_BLOCK)                       \
    X(MLP_PRE, "mlp_pre", "mlp.hook_pre", PS_TAP_IN_BLOCK)                      \
    X(MLP_PRE_LINEAR, "mlp_pre_linear", "mlp.hook_pre_linear", PS_TAP_IN_BLOCK) \
    X(MLP_POST, "mlp_post", "mlp.hook_post", PS_TAP_IN_BLOCK)                   \
    X(MLP_OUT, "mlp_out", "hook_mlp_out", PS_TAP_IN_BLOCK)                      \
    X(RESID_POST, "resid_post", "hook_resid_post", PS_TAP_IN_BLOCK)             \
    X(LN_FINAL, "ln_final", "ln_final.hook_normalized", PS_TAP_ONCE)

typedef enum ps_tap_kind {
#define X(kind, short_name, name, place) PS_TAP_##kind,
    PS_TAPS(X)
#undef X
        PS_TAP_KINDS
} ps_tap_kind;

typedef enum ps_tap_place {
    PS_TAP_ONCE,     /* "hook_embed" */
    PS_TAP_IN_BLOCK, /* "blocks.3.hook_resid_pre", of language models */
    PS_TAP_IN_LAYER, /* "layers.3.pre" */
} ps_tap_place;

typedef struct ps_tap {
    ps_tap_kind kind;
    int64_t layer; /* from 0; 0 where it is there once */
} ps_tap;

static inline bool ps_tap_equal(ps_tap a, ps_tap b)
{
    return a.kind == b.kind && a.layer == b.layer;
}

#define PS_TAP_NAME 64
/* "blocks.3.attn.hook_z"; returns out. */
const char *ps_tap_name(ps_tap tap, char out[PS_TAP_NAME]);
/* The reverse. PS_INVALID_ARGUMENT names what there is. */
PS_MUST_CHECK ps_status ps_tap_parse(const char *name, ps_tap *out);
/* A kind by its short name ("z", "resid_pre"): in all layers. Likewise. */
PS_MUST_CHECK ps_status ps_tap_kind_parse(const char *name, ps_tap_kind *out);
const char *ps_tap_kind_name(ps_tap_kind kind);
ps_tap_place ps_tap_place_of(ps_tap_kind kind);

/* For hooks: x[n,columns] F32, whose rows are ld elements apart, into dense rows of the host, and
 * from there in its place. Both wait for the device. */
PS_MUST_CHECK ps_status ps_tap_read(ps_stream *s, ps_tensor x, int64_t ld, float *out);
PS_MUST_CHECK ps_status ps_tap_write(ps_stream *s, ps_tensor x, int64_t ld, const float *values);

#endif
