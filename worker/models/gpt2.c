/* gpt2 (Radford 2019), with the names and layouts of Hugging Face's GPT2LMHeadModel: learnt
 * positions, LayerNorm before each half of a block, GELU by tanh, biases everywhere, weights stored
 * [in,out], and the token embedding as the head's weight.
 *
 *     a = x + c_proj(attention(c_attn(ln_1(x))))
 *     y = a + mlp.c_proj(gelu(mlp.c_fc(ln_2(a))))
 *
 * Dropout where the paper has it but for the attention's weights, which are never in memory.
 */
#include "common/base/mem.h"
#include "worker/layers/activation.h"
#include "worker/models/transformer.h"

#include <math.h>
#include <stdio.h>

/* Parameters of a block, in the order of the forward pass. */
enum {
    LN_1 = 0,
    C_ATTN = 2,
    C_PROJ = 4,
    LN_2 = 6,
    MLP_C_FC = 8,
    MLP_C_PROJ = 10,
    BLOCK_PARAMETERS = 12,
};

typedef struct gpt2_block {
    ps_norm_layer ln_1, ln_2;
    ps_linear c_attn, c_proj, mlp_c_fc, mlp_c_proj;
} gpt2_block;

typedef struct gpt2 {
    ps_transformer t;
    gpt2_block *blocks; /* [L] */
} gpt2;

static const ps_block_row block_row;

static gpt2_block *block_of(ps_transformer *t, int64_t l)
{
    return &((gpt2 *)t)->blocks[l];
}

/* ---- parameters ---- */

static void add(ps_model_layout *out, int64_t l, const char *name, ps_model_parameter_spec spec)
{
    (void)snprintf(spec.name, sizeof spec.name, "h.%lld.%s", (long long)l, name);
    ps_model_layout_add(out, &spec);
}

static void add_norm(ps_model_layout *out, int64_t l, const char *gain, const char *bias, int64_t n)
{
    ps_model_parameter_spec spec = {.rank = 1, .shape = {n}, .role = PS_ROLE_NORM};
    spec.init = PS_INIT_ONES;
    add(out, l, gain, spec);
    spec.init = PS_INIT_ZEROS;
    add(out, l, bias, spec);
}

static void add_linear(ps_model_layout *out, int64_t l, const char *weight, const char *bias,
                       ps_model_parameter_spec spec)
{
    spec.rank = 2;
    spec.init = PS_INIT_NORMAL;
    add(out, l, weight, spec);
    add(out, l, bias,
        (ps_model_parameter_spec){.rank = 1, .shape = {spec.shape[1]}, .role = PS_ROLE_BIAS});
}

/* Deviation 0.02; what adds to the residual stream less, by how often that happens. */
static void describe_block(const ps_model_language *size, int64_t l, ps_model_layout *out)
{
    int64_t c = size->hidden_size, f = size->intermediate_size;
    float plain = 0.02f, residual = 0.02f / sqrtf(2.0f * (float)size->num_layers);
    add_norm(out, l, "ln_1.weight", "ln_1.bias", c);
    add_linear(out, l, "attn.c_attn.weight", "attn.c_attn.bias",
               (ps_model_parameter_spec){.shape = {c, 3 * c}, .scale = plain});
    add_linear(out, l, "attn.c_proj.weight", "attn.c_proj.bias",
               (ps_model_parameter_spec){.shape = {c, c}, .scale = residual});
    add_norm(out, l, "ln_2.weight", "ln_2.bias", c);
    add_linear(out, l, "mlp.c_fc.weight", "mlp.c_fc.bias",
               (ps_model_parameter_spec){.shape = {c, f}, .scale = plain});
    add_linear(out, l, "mlp.c_proj.weight", "mlp.c_proj.bias",
               (ps_model_parameter_spec){.shape = {f, c}, .scale = residual});
}

static ps_linear conv1d(const ps_transformer *t, int64_t l, size_t i)
{
    ps_linear linear = ps_transformer_linear(t, l, i, true);
    linear.input_major = true;
    return linear;
}

static void bind(ps_transformer *t, int64_t l)
{
    *block_of(t, l) = (gpt2_block){
        .ln_1 = ps_transformer_norm(t, l, LN_1, true),
        .c_attn = conv1d(t, l, C_ATTN),
        .c_proj = conv1d(t, l, C_PROJ),
        .ln_2 = ps_transformer_norm(t, l, LN_2, true),
        .mlp_c_fc = conv1d(t, l, MLP_C_FC),
        .mlp_c_proj = conv1d(t, l, MLP_C_PROJ),
    };
}

/* ---- forward ---- */

/* middle[n,C] = input + c_proj(attention(c_attn(ln_1(input)))) */
static ps_status forward_attention(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    gpt2_block *b = block_of(t, l);
    ps_block_state *state = &t->states[l];
    ps_tensor x = ps_transformer_rows(t, state->input);
    ps_tensor normed = ps_transformer_rows(t, state->normed_attention);
    ps_tensor middle = ps_transformer_rows(t, state->middle);

    ps_status st = ps_transformer_use(t, l, LN_1, 4, hooks); /* and c_attn */
    if (st)
        return st;
    ps_norm_layer_forward(s, &b->ln_1, state->norm_attention, normed, x);
    ps_linear_forward(s, &b->c_attn, ps_transformer_packed(t, l), 0, normed);
    ps_transformer_attend(t, l);
    st = ps_transformer_use(t, l, C_PROJ, 2, hooks);
    if (st)
        return st;
    ps_linear_forward(s, &b->c_proj, middle, 0, ps_transformer_rows(t, state->mixed));
    ps_transformer_drop(t, middle, 1 + 2 * l);
    ps_op_add(s, middle, middle, x);
    return PS_OK;
}

/* out[n,C] = middle + mlp.c_proj(gelu(mlp.c_fc(ln_2(middle)))) */
static ps_status forward_mlp(ps_transformer *t, int64_t l, ps_tensor out,
                             const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    gpt2_block *b = block_of(t, l);
    ps_block_state *state = &t->states[l];
    ps_tensor middle = ps_transformer_rows(t, state->middle);
    ps_tensor normed = ps_transformer_rows(t, state->normed_mlp);
    ps_tensor hidden = ps_transformer_rows(t, state->hidden);
    ps_tensor active = ps_transformer_rows(t, state->active);

    ps_status st = ps_transformer_use(t, l, LN_2, 4, hooks); /* and mlp.c_fc */
    if (st)
        return st;
    ps_norm_layer_forward(s, &b->ln_2, state->norm_mlp, normed, middle);
    ps_linear_forward(s, &b->mlp_c_fc, hidden, 0, normed);
    ps_activation_forward(s, PS_ACTIVATION_GELU_TANH, active, hidden);
    if (!ps_tensor_present(out))
        return PS_OK;
    st = ps_transformer_use(t, l, MLP_C_PROJ, 2, hooks);
    if (st)
        return st;
    ps_linear_forward(s, &b->mlp_c_proj, out, 0, active);
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

/* The weight's and the bias's gradients of one linear layer, parameters i and i + 1. */
static ps_status backward_linear(ps_transformer *t, int64_t l, size_t i, const ps_linear *linear,
                                 ps_tensor dy, ps_tensor x, const ps_model_hooks *hooks)
{
    ps_linear_backward_weight(t->base.stream, linear, dy, 0, x, t->beta);
    ps_linear_backward_bias(t->base.stream, linear, dy, t->beta);
    return ps_transformer_ready(t, l, i, 2, hooks);
}

/* dx: out's gradient -> middle's */
static ps_status backward_mlp(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    gpt2_block *b = block_of(t, l);
    ps_block_state *state = &t->states[l];
    ps_tensor hidden = ps_transformer_rows(t, state->hidden);
    ps_tensor active = ps_transformer_rows(t, state->active);
    ps_tensor dactive = ps_transformer_rows(t, t->dactive);
    ps_tensor dnormed = ps_transformer_rows(t, t->dbranch);

    ps_tensor dadded = ps_transformer_drop_backward(t, t->dmixed, 2 + 2 * l);
    ps_linear_backward_input(s, &b->mlp_c_proj, dactive, dadded, 0, 0);
    ps_status st = backward_linear(t, l, MLP_C_PROJ, &b->mlp_c_proj, dadded, active, hooks);
    if (st)
        return st;
    ps_activation_backward(s, PS_ACTIVATION_GELU_TANH, dactive, hidden, active);
    ps_linear_backward_input(s, &b->mlp_c_fc, dnormed, dactive, 0, 0);
    st = backward_linear(t, l, MLP_C_FC, &b->mlp_c_fc, dactive,
                         ps_transformer_rows(t, state->normed_mlp), hooks);
    if (st)
        return st;
    ps_norm_layer_backward(s, &b->ln_2, state->norm_mlp, ps_transformer_rows(t, t->dx), dnormed,
                           ps_transformer_rows(t, state->middle), t->beta);
    return ps_transformer_ready(t, l, LN_2, 2, hooks);
}

/* dx: middle's gradient -> the input's */
static ps_status backward_attention(ps_transformer *t, int64_t l, const ps_model_hooks *hooks)
{
    ps_stream *s = t->base.stream;
    gpt2_block *b = block_of(t, l);
    ps_block_state *state = &t->states[l];
    ps_tensor dpacked = ps_transformer_rows(t, t->dpacked);
    ps_tensor dnormed = ps_transformer_rows(t, t->dbranch);

    ps_tensor dadded = ps_transformer_drop_backward(t, t->dbranch, 1 + 2 * l);
    ps_linear_backward_input(s, &b->c_proj, ps_transformer_rows(t, t->dmixed), dadded, 0, 0);
    ps_status st = backward_linear(t, l, C_PROJ, &b->c_proj, dadded,
                                   ps_transformer_rows(t, state->mixed), hooks);
    if (st)
        return st;
    ps_transformer_attend_backward(t, l);
    ps_linear_backward_input(s, &b->c_attn, dnormed, dpacked, 0, 0);
    st = backward_linear(t, l, C_ATTN, &b->c_attn, dpacked,
                         ps_transformer_rows(t, state->normed_attention), hooks);
    if (st)
        return st;
    ps_norm_layer_backward(s, &b->ln_1, state->norm_attention, ps_transformer_rows(t, t->dx),
                           dnormed, ps_transformer_rows(t, state->input), t->beta);
    return ps_transformer_ready(t, l, LN_1, 2, hooks);
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

static void free_gpt2(ps_model *m)
{
    gpt2 *g = (gpt2 *)m;
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
    gpt2 *g = ps_new(gpt2);
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
    .model = &ps_model_gpt2,
    .names = {.tokens = "wte.weight",
              .positions = "wpe.weight",
              .norm_gain = "ln_f.weight",
              .norm_bias = "ln_f.bias",
              .head = "lm_head.weight"},
    .parameters = BLOCK_PARAMETERS,
    .describe = describe_block,
    .bind = bind,
    .forward = forward,
    .backward = backward,
};

const ps_model_row ps_model_gpt2 = {
    .architecture = "gpt2",
    .describe = describe,
    .create = create,
    .free = free_gpt2,
    .forward = ps_transformer_forward,
    .loss = ps_transformer_loss,
    .backward = ps_transformer_backward,
    .answer = ps_transformer_answer,
    .extend = ps_transformer_extend,
    .takes_tokens = true,
};
