/* Two tables, one an architecture: what stands before the blocks, a block, and what stands behind.
 * %d is the block. Cannot fail. */
#include "common/model/lm_layout.h"

#include "common/base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Sides of a shape; NO: there is none. */
typedef enum side { NO, VOCAB, CONTEXT, HIDDEN, HIDDEN3, INNER, KV } side;
/* Where a row stands. */
typedef enum place { BEFORE, BLOCK, AFTER } place;

typedef struct row {
    place place;
    const char *name, *gguf; /* without "blk.%d." */
    side sides[2];
    ps_lm_change change;
} row;

static const row gpt2[] = {
    {BEFORE, "wte.weight", "token_embd.weight", {VOCAB, HIDDEN}, PS_LM_SAME},
    {BEFORE, "wpe.weight", "position_embd.weight", {CONTEXT, HIDDEN}, PS_LM_SAME},
    {BLOCK, "ln_1.weight", "attn_norm.weight", {HIDDEN, NO}, PS_LM_SAME},
    {BLOCK, "ln_1.bias", "attn_norm.bias", {HIDDEN, NO}, PS_LM_SAME},
    {BLOCK, "attn.c_attn.weight", "attn_qkv.weight", {HIDDEN, HIDDEN3}, PS_LM_TRANSPOSE},
    {BLOCK, "attn.c_attn.bias", "attn_qkv.bias", {HIDDEN3, NO}, PS_LM_SAME},
    {BLOCK, "attn.c_proj.weight", "attn_output.weight", {HIDDEN, HIDDEN}, PS_LM_TRANSPOSE},
    {BLOCK, "attn.c_proj.bias", "attn_output.bias", {HIDDEN, NO}, PS_LM_SAME},
    {BLOCK, "ln_2.weight", "ffn_norm.weight", {HIDDEN, NO}, PS_LM_SAME},
    {BLOCK, "ln_2.bias", "ffn_norm.bias", {HIDDEN, NO}, PS_LM_SAME},
    {BLOCK, "mlp.c_fc.weight", "ffn_up.weight", {HIDDEN, INNER}, PS_LM_TRANSPOSE},
    {BLOCK, "mlp.c_fc.bias", "ffn_up.bias", {INNER, NO}, PS_LM_SAME},
    {BLOCK, "mlp.c_proj.weight", "ffn_down.weight", {INNER, HIDDEN}, PS_LM_TRANSPOSE},
    {BLOCK, "mlp.c_proj.bias", "ffn_down.bias", {HIDDEN, NO}, PS_LM_SAME},
    {AFTER, "ln_f.weight", "output_norm.weight", {HIDDEN, NO}, PS_LM_SAME},
    {AFTER, "ln_f.bias", "output_norm.bias", {HIDDEN, NO}, PS_LM_SAME},
};

static const row llama[] = {
    {BEFORE, "model.embed_tokens.weight", "token_embd.weight", {VOCAB, HIDDEN}, PS_LM_SAME},
    {BLOCK, "input_layernorm.weight", "attn_norm.weight", {HIDDEN, NO}, PS_LM_SAME},
    {BLOCK, "self_attn.q_proj.weight", "attn_q.weight", {HIDDEN, HIDDEN}, PS_LM_ROPE_PAIRS},
    {BLOCK, "self_attn.k_proj.weight", "attn_k.weight", {KV, HIDDEN}, PS_LM_ROPE_PAIRS},
    {BLOCK, "self_attn.v_proj.weight", "attn_v.weight", {KV, HIDDEN}, PS_LM_SAME},
    {BLOCK, "self_attn.o_proj.weight", "attn_output.weight", {HIDDEN, HIDDEN}, PS_LM_SAME},
    {BLOCK, "post_attention_layernorm.weight", "ffn_norm.weight", {HIDDEN, NO}, PS_LM_SAME},
    {BLOCK, "mlp.gate_proj.weight", "ffn_gate.weight", {INNER, HIDDEN}, PS_LM_SAME},
    {BLOCK, "mlp.up_proj.weight", "ffn_up.weight", {INNER, HIDDEN}, PS_LM_SAME},
    {BLOCK, "mlp.down_proj.weight", "ffn_down.weight", {HIDDEN, INNER}, PS_LM_SAME},
    {AFTER, "model.norm.weight", "output_norm.weight", {HIDDEN, NO}, PS_LM_SAME},
    {AFTER, "lm_head.weight", "output.weight", {VOCAB, HIDDEN}, PS_LM_SAME}, /* unless tied */
};

static uint64_t length(const ps_spec_model *m, side which)
{
    uint64_t hidden = (uint64_t)m->hidden_size;
    switch (which) {
    case VOCAB:
        return (uint64_t)m->vocab_size;
    case CONTEXT:
        return (uint64_t)m->context_length;
    case HIDDEN:
        return hidden;
    case HIDDEN3:
        return 3 * hidden;
    case INNER:
        return (uint64_t)m->intermediate_size;
    case KV:
        return hidden / (uint64_t)m->num_heads * (uint64_t)m->num_kv_heads;
    case NO:
        break;
    }
    return 0;
}

static void fill(const ps_spec_model *m, const row *r, int64_t block, ps_lm_tensor *t)
{
    bool is_llama = !strcmp(m->architecture, "llama");
    if (r->place == BLOCK) {
        (void)snprintf(t->name, sizeof t->name, "%s.%" PRId64 ".%s",
                       is_llama ? "model.layers" : "h", block, r->name);
        (void)snprintf(t->gguf, sizeof t->gguf, "blk.%" PRId64 ".%s", block, r->gguf);
    } else {
        (void)snprintf(t->name, sizeof t->name, "%s", r->name);
        (void)snprintf(t->gguf, sizeof t->gguf, "%s", r->gguf);
    }
    for (t->n_dims = 0; t->n_dims < 2 && r->sides[t->n_dims] != NO; t->n_dims++)
        t->shape[t->n_dims] = length(m, r->sides[t->n_dims]);
    t->change = r->change;
    if (r->change == PS_LM_ROPE_PAIRS)
        t->heads = (uint64_t)(r->sides[0] == KV ? m->num_kv_heads : m->num_heads);
}

void ps_lm_layout(const ps_spec_model *m, ps_lm_tensor **out, size_t *n)
{
    bool is_llama = !strcmp(m->architecture, "llama");
    const row *rows = is_llama ? llama : gpt2;
    size_t n_rows = is_llama ? sizeof llama / sizeof *llama : sizeof gpt2 / sizeof *gpt2;
    if (is_llama && m->tie_embeddings)
        n_rows--;
    ps_lm_tensor *t = ps_alloc_array(n_rows * (size_t)m->num_layers, sizeof *t);
    size_t at = 0;
    for (place where = BEFORE; where <= AFTER; where++) {
        int64_t times = where == BLOCK ? m->num_layers : 1;
        for (int64_t block = 0; block < times; block++)
            for (size_t i = 0; i < n_rows; i++)
                if (rows[i].place == where)
                    fill(m, &rows[i], block, &t[at++]);
    }
    *out = t;
    *n = at;
}
