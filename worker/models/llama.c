/* llama (Touvron 2023), with the names and layouts of Hugging Face's LlamaForCausalLM: rotary
 * positions, RMSNorm before each half of a block, grouped queries, SwiGLU, no biases.
 *
 *     a = x + o_proj(attention(q_proj(x'), k_proj(x'), v_proj(x')))    x' = input_layernorm(x)
 *     y = a + down_proj(silu(gate_proj(a')) · up_proj(a'))             a' =
 * post_attention_layernorm(a)
 */
#include "common/base/mem.h"
#include "worker/models/transformer.h"

#include <stdio.h>

/* Parameters of a block, in the order of the forward pass. */
enum {
    INPUT_LAYERNORM,
    Q_PROJ,
    K_PROJ,
    V_PROJ,
    O_PROJ,
    POST_ATTENTION_LAYERNORM,
    GATE_PROJ,
    UP_PROJ,
    DOWN_PROJ,
    BLOCK_PARAMETERS,
};

typedef struct llama_block {
    ps_norm_layer input_layernorm, post_attention_layernorm;
    ps_linear q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj;
} llama_block;

typedef struct llama {
    ps_transformer t;
    llama_block *blocks; /* [L] */
} llama;

static const ps_block_row block_row;

static llama_block *block_of(ps_transformer *t, int64_t l)
{
    return &((llama *)t)->blocks[l];
}

/* ---- parameters ---- */

static void add(ps_model_layout *out, int64_t l, const char *name, int64_t rows, int64_t columns)
{
    ps_model_parameter_spec spec = {
        .rank = 2, .shape = {rows, columns}, .init = PS_INIT_NORMAL, .scale = 0.02f};
    if (!columns)
        spec = (ps_model_parameter_spec){
            .rank = 1, .shape = {rows}, .init = PS_INIT_ONES, .role = PS_ROLE_NORM};
    (void)snprintf(spec.name, sizeof spec.name, "model.layers.%lld.%s.weight", (long long)l, name);
    ps_model_layout_add(out, &spec);
}

static void describe_block(const ps_model_language *size, int64_t l, ps_model_layout *out)
{
    int64_t c = size->hidden_size, f = size->intermediate_size;
    int64_t kv = c / size->num_heads * size->num_kv_heads;
    add(out, l, "input_layernorm", c, 0);
    add(out, l, "self_attn.q_proj", c, c);
    add(out, l, "self_attn.k_proj", kv, c);
    add(out, l, "self_attn.v_proj", kv, c);
    add(out, l, "self_attn.o_proj", c, c);
    add(out, l, "post_attention_layernorm", c, 0);
    add(out, l, "mlp.gate_proj", f, c);
    add(out, l, "mlp.up_proj", f, c);
    add(out, l, "mlp.down_proj", c, f);
}

static void bind(ps_transformer *t, int64_t l)
{
    *block_of(t, l) = (llama_block){
        .input_layernorm = ps_transformer_norm(t, l, INPUT_LAYERNORM, false),
        .q_proj = ps_transformer_linear(t, l, Q_PROJ, false),
        .k_proj = ps_transformer_linear(t, l, K_PROJ, false),
        .v_proj = ps_transformer_linear(t, l, V_PROJ, false),
        .o_proj = ps_transformer_linear(t, l, O_PROJ, false),
        .post_attention_layernorm = ps_transformer_norm(t, l, POST_ATTENTION_LAYERNORM, false),
        .gate_proj = ps_transformer_linear(t, l, GATE_PROJ, false),
        .up_proj = ps_transformer_linear(t, l, UP_PROJ, false),
        .down_proj = ps_transformer_linear(t, l, DOWN_PROJ, false),
    };
}

/* ---- forward ---- */

/* packed[n,Q] = q_proj(x) | k_proj(x) | v_proj(x) */
static void project(ps_transformer *t, int64_t l, ps_tensor x)
{
    ps_stream *s = t->base.stream;
    llama_block *b = block_of(t, l);
    ps_tensor packed = ps_transformer_packed(t, l);
    int64_t ld = packed.shape[1];
    const ps_attention_layer *a = &t->attention;
    ps_linear_forward(s, &b->q_proj, ps_attention_layer_part(a, packed, PS_ATTENTION_QUERIES), ld,
                      x);
    ps_linear_forward(s, &b->k_proj, ps_attention_layer_part(a, packed, PS_ATTENTION_KEYS), ld, x);
    ps_linear_forward(s, &b->v_proj, ps_attention_layer_part(a, packed, PS_ATTENTION_VALUES), ld,
                      x);
}

/* middle[n,C] = input + o_proj(attention(…)) */
static ps_status forward_attention(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    llama_block *b = block_of(t, l);
    ps_block_state *state = &t->states[l];
    ps_tensor x = ps_transformer_rows(t, state->input);
    ps_tensor normed = ps_transformer_rows(t, state->normed_attention);
    ps_tensor middle = ps_transformer_rows(t, state->middle);

    ps_status st = ps_transformer_use(t, l, INPUT_LAYERNORM, 4, hooks); /* to v_proj */
    if (st)
        return st;
    ps_norm_layer_forward(s, &b->input_layernorm, state->norm_attention, normed, x);
    project(t, l, normed);
    ps_transformer_attend(t, l);
    st = ps_transformer_use(t, l, O_PROJ, 1, hooks);
    if (st)
        return st;
    ps_linear_forward(s, &b->o_proj, middle, 0, ps_transformer_rows(t, state->mixed));
    ps_transformer_drop(t, middle, 1 + 2 * l);
    ps_op_add(s, middle, middle, x);
    return PS_OK;
}

/* out[n,C] = middle + down_proj(silu(gate)·up) */
static ps_status forward_mlp(ps_transformer *t, int64_t l, ps_tensor out,
                             const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    llama_block *b = block_of(t, l);
    ps_block_state *state = &t->states[l];
    ps_tensor middle = ps_transformer_rows(t, state->middle);
    ps_tensor normed = ps_transformer_rows(t, state->normed_mlp);
    ps_tensor gate = ps_transformer_rows(t, state->hidden);
    ps_tensor up = ps_transformer_rows(t, state->up);
    ps_tensor active = ps_transformer_rows(t, state->active);

    ps_status st = ps_transformer_use(t, l, POST_ATTENTION_LAYERNORM, 3, hooks); /* to up_proj */
    if (st)
        return st;
    ps_norm_layer_forward(s, &b->post_attention_layernorm, state->norm_mlp, normed, middle);
    ps_linear_forward(s, &b->gate_proj, gate, 0, normed);
    ps_linear_forward(s, &b->up_proj, up, 0, normed);
    ps_op_swiglu(s, active, gate, up);
    if (!ps_tensor_present(out))
        return PS_OK;
    st = ps_transformer_use(t, l, DOWN_PROJ, 1, hooks);
    if (st)
        return st;
    ps_linear_forward(s, &b->down_proj, out, 0, active);
    ps_transformer_drop(t, out, 2 + 2 * l);
    ps_op_add(s, out, out, middle);
    return PS_OK;
}

static ps_status forward(ps_transformer *t, int64_t l, ps_tensor out, const ps_model_hooks *hooks)
{
    ps_status st = forward_attention(t, l, hooks);
    return st ? st : forward_mlp(t, l, out, hooks);
}

/* ---- backward ---- */

/* The weight's gradient of one linear layer, parameter i; dy's rows are ld elements apart. */
static ps_status backward_weight(ps_transformer *t, int64_t l, size_t i, const ps_linear *linear,
                                 ps_tensor dy, int64_t ld, ps_tensor x, const ps_model_hooks *hooks)
{
    ps_linear_backward_weight(t->base.stream, linear, dy, ld, x, t->beta);
    return ps_transformer_ready(t, l, i, 1, hooks);
}

/* dx: out's gradient -> middle's. The gradients of gate and up replace them. */
static ps_status backward_mlp(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    llama_block *b = block_of(t, l);
    ps_block_state *state = &t->states[l];
    ps_tensor gate = ps_transformer_rows(t, state->hidden);
    ps_tensor up = ps_transformer_rows(t, state->up);
    ps_tensor normed = ps_transformer_rows(t, state->normed_mlp);
    ps_tensor dactive = ps_transformer_rows(t, t->dactive);
    ps_tensor dnormed = ps_transformer_rows(t, t->dbranch);

    ps_tensor dadded = ps_transformer_drop_backward(t, t->dmixed, 2 + 2 * l);
    ps_linear_backward_input(s, &b->down_proj, dactive, dadded, 0, 0);
    ps_status st = backward_weight(t, l, DOWN_PROJ, &b->down_proj, dadded, 0,
                                   ps_transformer_rows(t, state->active), hooks);
    ps_op_swiglu_backward(s, gate, up, dactive, gate, up);
    ps_linear_backward_input(s, &b->up_proj, dnormed, up, 0, 0);
    ps_linear_backward_input(s, &b->gate_proj, dnormed, gate, 0, 1);
    if (!st)
        st = backward_weight(t, l, UP_PROJ, &b->up_proj, up, 0, normed, hooks);
    if (!st)
        st = backward_weight(t, l, GATE_PROJ, &b->gate_proj, gate, 0, normed, hooks);
    if (st)
        return st;
    ps_norm_layer_backward(s, &b->post_attention_layernorm, state->norm_mlp,
                           ps_transformer_rows(t, t->dx), dnormed,
                           ps_transformer_rows(t, state->middle), t->beta);
    return ps_transformer_ready(t, l, POST_ATTENTION_LAYERNORM, 1, hooks);
}

/* dpacked[n,Q] -> the gradients of the three projections, and dnormed[n,C] */
static ps_status backward_projections(ps_transformer *t, int64_t l, ps_tensor dnormed,
                                      const ps_model_hooks *hooks)
{
    llama_block *b = block_of(t, l);
    const ps_linear *const linears[] = {&b->q_proj, &b->k_proj, &b->v_proj};
    ps_tensor dpacked = ps_transformer_rows(t, t->dpacked);
    ps_tensor x = ps_transformer_rows(t, t->states[l].normed_attention);
    for (size_t i = 3; i-- > 0;) {
        ps_tensor dy = ps_attention_layer_part(&t->attention, dpacked, (ps_attention_part)i);
        ps_linear_backward_input(t->base.stream, linears[i], dnormed, dy, dpacked.shape[1],
                                 i == 2 ? 0 : 1);
        ps_status st =
            backward_weight(t, l, Q_PROJ + i, linears[i], dy, dpacked.shape[1], x, hooks);
        if (st)
            return st;
    }
    return PS_OK;
}

/* dx: middle's gradient -> the input's */
static ps_status backward_attention(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    llama_block *b = block_of(t, l);
    ps_block_state *state = &t->states[l];
    ps_tensor dnormed = ps_transformer_rows(t, t->dbranch);

    ps_tensor dadded = ps_transformer_drop_backward(t, t->dbranch, 1 + 2 * l);
    ps_linear_backward_input(s, &b->o_proj, ps_transformer_rows(t, t->dmixed), dadded, 0, 0);
    ps_status st = backward_weight(t, l, O_PROJ, &b->o_proj, dadded, 0,
                                   ps_transformer_rows(t, state->mixed), hooks);
    if (st)
        return st;
    ps_transformer_attend_backward(t, l);
    st = backward_projections(t, l, dnormed, hooks);
    if (st)
        return st;
    ps_norm_layer_backward(s, &b->input_layernorm, state->norm_attention,
                           ps_transformer_rows(t, t->dx), dnormed,
                           ps_transformer_rows(t, state->input), t->beta);
    return ps_transformer_ready(t, l, INPUT_LAYERNORM, 1, hooks);
}

static ps_status backward(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_status st = backward_mlp(t, l, hooks);
    return st ? st : backward_attention(t, l, hooks);
}

/* ---- the rows ---- */

static ps_status describe(const ps_model_config *config, ps_model_layout *out)
{
    return ps_transformer_describe(&block_row, config, out);
}

static void free_llama(ps_model *m)
{
    llama *g = (llama *)m;
    ps_transformer_fini(&g->t);
    ps_free(&g->blocks);
    ps_free(&g);
}

static ps_status create(ps_backend *backend, const ps_model_config *config,
                        const ps_model_options *options, ps_model **out)
{
    ps_status st = ps_transformer_check(config);
    if (st)
        return st;
    llama *g = ps_new(llama);
    g->blocks = ps_alloc_array((size_t)config->language.num_layers, sizeof *g->blocks);
    st = ps_transformer_init(&g->t, &block_row, backend, config, options);
    if (st) {
        ps_free(&g->blocks);
        ps_free(&g);
        return st;
    }
    *out = &g->t.base;
    return PS_OK;
}

static const ps_block_row block_row = {
    .model = &ps_model_llama,
    .names = {.tokens = "model.embed_tokens.weight",
              .norm_gain = "model.norm.weight",
              .head = "lm_head.weight"},
    .gated = true,
    .parameters = BLOCK_PARAMETERS,
    .describe = describe_block,
    .bind = bind,
    .forward = forward,
    .backward = backward,
};

const ps_model_row ps_model_llama = {
    .architecture = "llama",
    .describe = describe,
    .create = create,
    .free = free_llama,
    .forward = ps_transformer_forward,
    .loss = ps_transformer_loss,
    .backward = ps_transformer_backward,
    .answer = ps_transformer_answer,
    .extend = ps_transformer_extend,
    .takes_tokens = true,
};
