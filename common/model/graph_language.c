/* A decoder of blocks. Its tensors come in the order of the forward pass (common/arch), and what
 * each belongs to says what is computed, so that an architecture is a row there and no line here.
 * It fails as ps_graph_tensor_add does.
 *
 *     tokens → embedding (+ positions) → L × [x + attention(norm x), then x + mlp(norm x)]
 *            → norm → head → logits
 *
 * An encoder has its norms behind what is added, and begins a half with its products; what it says
 * is made of a text's first token, or is its embedding.
 */
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/model/graph_build.h"
#include "common/model/lm_layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SIDE_BY_SIDE = 8 }; /* products of one norm */

typedef struct pass {
    ps_graph_builder *b;
    const ps_arch *arch;
    const ps_lm_tensor *tensors;
    size_t n, at;
    uint32_t input;  /* the tokens */
    uint32_t stream; /* whose output is the residual stream, */
    uint32_t before; /* and what it was before the block */
    uint32_t last;
    uint32_t beside[SIDE_BY_SIDE]; /* products that wait for what takes all of them */
    size_t n_beside;
    bool half; /* of a block is open */
} pass;

static uint64_t sized(int64_t n)
{
    return (uint64_t)n;
}

/* "model.layers.3.self_attn.q_proj.weight": q_proj */
static void short_name(const char *name, char out[PS_LM_NAME])
{
    const char *end = strrchr(name, '.'), *start = end;
    while (start && start > name && start[-1] != '.')
        start--;
    (void)snprintf(out, PS_LM_NAME, "%.*s", end ? (int)(end - start) : PS_LM_NAME - 1,
                   end ? start : name);
}

static ps_status take(pass *p, const ps_lm_tensor *t)
{
    return ps_graph_tensor_add(p->b,
                               &(ps_graph_wanted){.name = t->name,
                                                  .n_dims = t->n_dims,
                                                  .shape = {t->shape[0], t->shape[1]},
                                                  .outputs_last = t->change == PS_LM_TRANSPOSE});
}

static uint32_t add(pass *p, ps_graph_op op, const char *name, uint64_t width, uint32_t from)
{
    p->last = ps_graph_node_add(p->b, op, name, width);
    ps_graph_edge_add(p->b, from, p->last, false);
    return p->last;
}

/* What a half of a block made is added to the stream. */
static void close_half(pass *p)
{
    if (!p->half)
        return;
    uint32_t made = p->last, stream = p->stream;
    uint64_t width = sized(p->b->model->hidden_size);
    p->stream = add(p, PS_GRAPH_ADD, "residual", width, made);
    ps_graph_edge_add(p->b, stream, p->stream, true);
    p->b->graph->nodes[p->stream].flops = (double)width;
    ps_graph_group_close(p->b);
    p->half = false;
}

static void open_half(pass *p, const char *name)
{
    const ps_graph_group *now = &p->b->graph->groups[p->b->group];
    ps_graph_group_open(p->b, name, now->block);
    p->half = true;
}

static void close_block(pass *p)
{
    close_half(p);
    if (p->b->group)
        ps_graph_group_close(p->b);
}

static void open_block(pass *p)
{
    ps_graph *g = p->b->graph;
    close_block(p);
    if (g->n_blocks == 0)
        g->block_first = (uint32_t)g->n_nodes;
    else if (g->n_blocks == 1)
        g->block_nodes = (uint32_t)g->n_nodes - g->block_first;
    ps_graph_group_open(p->b, "block", g->n_blocks++);
}

static ps_status embed(pass *p, const ps_lm_tensor *t)
{
    uint64_t hidden = t->shape[1];
    char name[PS_LM_NAME];
    short_name(t->name, name);
    if (t->part == PS_PART_TOKENS) {
        p->input = ps_graph_node_add(p->b, PS_GRAPH_INPUT, "tokens", 1);
        p->stream = add(p, PS_GRAPH_EMBEDDING, name, hidden, p->input);
        return take(p, t);
    }
    uint32_t tokens = p->stream;
    p->last = ps_graph_node_beside(p->b, PS_GRAPH_EMBEDDING, name, hidden);
    ps_graph_edge_add(p->b, p->input, p->last, false);
    ps_status st = take(p, t);
    if (st)
        return st;
    p->stream =
        add(p, PS_GRAPH_ADD, t->part == PS_PART_TYPES ? "types" : "positions", hidden, tokens);
    ps_graph_edge_add(p->b, p->last - 1, p->stream, false);
    p->b->graph->nodes[p->stream].flops = (double)hidden;
    return PS_OK;
}

static void describe_norm(pass *p, uint64_t numbers)
{
    bool bias = p->at + 1 < p->n && p->tensors[p->at + 1].bias;
    ps_graph_node *node = &p->b->graph->nodes[p->last];
    (void)snprintf(node->about, sizeof node->about, "%s", bias ? "LayerNorm" : "RMSNorm");
    node->flops = (double)numbers;
}

static ps_status norm(pass *p, const ps_lm_tensor *t)
{
    uint32_t from = PS_GRAPH_NONE;
    if (t->part == PS_PART_NORM_ATTENTION) {
        open_block(p);
        p->before = p->stream;
        open_half(p, "attention");
    } else if (t->part == PS_PART_NORM_MLP) {
        close_half(p);
        open_half(p, "mlp");
        from = p->b->model->choices.parallel_residual ? p->before : from;
    } else {
        close_block(p);
    }
    char name[PS_LM_NAME];
    short_name(t->name, name);
    add(p, PS_GRAPH_NORM, name, t->shape[0], from == PS_GRAPH_NONE ? p->stream : from);
    describe_norm(p, t->shape[0]);
    p->n_beside = 0;
    return take(p, t);
}

/* Of what a half gives, before it is added. */
static ps_status norm_after(pass *p, const ps_lm_tensor *t)
{
    char name[PS_LM_NAME];
    short_name(t->name, name);
    add(p, PS_GRAPH_NORM, name, t->shape[0], p->last);
    describe_norm(p, t->shape[0]);
    return take(p, t);
}

/* Of what has been added up, which is the stream from there on. */
static ps_status norm_added(pass *p, const ps_lm_tensor *t)
{
    close_half(p);
    char name[PS_LM_NAME];
    short_name(t->name, name);
    p->stream = add(p, PS_GRAPH_NORM, name, t->shape[0], p->stream);
    describe_norm(p, t->shape[0]);
    p->n_beside = 0;
    return take(p, t);
}

/* A half that begins without a norm. */
static void begin_half(pass *p, const ps_lm_tensor *t)
{
    bool attention = t->part != PS_PART_GATE && t->part != PS_PART_UP;
    if (p->n_beside || ps_arch_has(p->arch, attention ? PS_PART_NORM_ATTENTION : PS_PART_NORM_MLP))
        return;
    if (attention)
        open_block(p);
    open_half(p, attention ? "attention" : "mlp");
    p->last = p->stream;
}

/* Of queries or keys, which are products that wait beside each other. */
static ps_status norm_heads(pass *p, const ps_lm_tensor *t)
{
    size_t i = t->part == PS_PART_NORM_Q ? 0 : 1;
    PS_REQUIRE(p->n_beside > i);
    uint32_t from = p->beside[i];
    uint64_t width = p->b->graph->nodes[from].width;
    char name[PS_LM_NAME];
    short_name(t->name, name);
    if (i == 0) {
        add(p, PS_GRAPH_NORM, name, width, from);
    } else {
        p->last = ps_graph_node_beside(p->b, PS_GRAPH_NORM, name, width);
        ps_graph_edge_add(p->b, from, p->last, false);
    }
    describe_norm(p, width);
    p->beside[i] = p->last;
    return take(p, t);
}

/* One of several products of the norm. */
static ps_status product(pass *p, const ps_lm_tensor *t)
{
    PS_REQUIRE(p->n_beside < SIDE_BY_SIDE);
    uint64_t width = t->shape[t->change == PS_LM_TRANSPOSE];
    char name[PS_LM_NAME];
    begin_half(p, t);
    short_name(t->name, name);
    if (!p->n_beside) {
        add(p, PS_GRAPH_LINEAR, name, width, p->last);
    } else {
        uint32_t from = p->beside[0] - 1; /* the norm */
        p->last = ps_graph_node_beside(p->b, PS_GRAPH_LINEAR, name, width);
        ps_graph_edge_add(p->b, from, p->last, false);
    }
    p->beside[p->n_beside++] = p->last;
    return take(p, t);
}

/* What takes all of these. */
static ps_graph_node *join(pass *p, ps_graph_op op, const char *name, uint64_t width)
{
    p->last = ps_graph_node_add(p->b, op, name, width);
    for (size_t i = 0; i < p->n_beside; i++)
        ps_graph_edge_add(p->b, p->beside[i], p->last, false);
    p->n_beside = 0;
    return &p->b->graph->nodes[p->last];
}

static void attend(pass *p)
{
    const ps_spec_model *m = p->b->model;
    uint64_t width = sized(m->num_heads * m->head_dim);
    ps_graph_node *node = join(p, PS_GRAPH_ATTENTION, "attention", width);
    int n = snprintf(node->about, sizeof node->about, "%" PRId64 " heads of %" PRId64, m->num_heads,
                     m->head_dim);
    if (m->num_kv_heads != m->num_heads)
        n += snprintf(node->about + n, sizeof node->about - (size_t)n, ", %" PRId64 " of keys",
                      m->num_kv_heads);
    if (!ps_arch_has(p->arch, PS_PART_POSITIONS))
        n += snprintf(node->about + n, sizeof node->about - (size_t)n, ", rotary");
    int64_t every = m->choices.full_attention_every;
    if (m->choices.sliding_window && every)
        (void)snprintf(node->about + n, sizeof node->about - (size_t)n,
                       ", a window of %" PRId64 " in all but every %" PRId64 "th block",
                       m->choices.sliding_window, every);
    else if (m->choices.full_attention_first)
        (void)snprintf(node->about + n, sizeof node->about - (size_t)n,
                       ", a window of %" PRId64 " behind %" PRId64 " blocks",
                       m->choices.sliding_window, m->choices.full_attention_first);
    else if (m->choices.sliding_window)
        (void)snprintf(node->about + n, sizeof node->about - (size_t)n, ", a window of %" PRId64,
                       m->choices.sliding_window);
    /* q·k and p·v of every token, and the softmax between them */
    node->flops = (double)m->context_length * (4.0 * (double)width + (double)m->num_heads);
}

/* The product behind attention or the activation. */
static ps_status product_back(pass *p, const ps_lm_tensor *t)
{
    if (t->part == PS_PART_O) {
        attend(p);
    } else {
        bool gate = ps_arch_has(p->arch, PS_PART_GATE);
        uint64_t inner = sized(p->b->model->intermediate_size);
        static const char *const acts[PS_ACTS] = {[PS_ACT_GELU_TANH] = "gelu",
                                                  [PS_ACT_GELU] = "gelu",
                                                  [PS_ACT_RELU] = "relu",
                                                  [PS_ACT_SILU] = "silu"};
        char act[PS_LM_NAME];
        (void)snprintf(act, sizeof act, gate ? "%s(gate) × up" : "%s",
                       acts[ps_arch_act_of(p->arch, &p->b->model->choices)]);
        join(p, PS_GRAPH_ACTIVATION, act, inner)->flops = (double)inner * (gate ? 2 : 1);
    }
    char name[PS_LM_NAME];
    short_name(t->name, name);
    add(p, PS_GRAPH_LINEAR, name, t->shape[t->change == PS_LM_TRANSPOSE], p->last);
    return take(p, t);
}

/* Of the first token, behind the blocks. */
static ps_status pool(pass *p, const ps_lm_tensor *t)
{
    bool pooler = t->part == PS_PART_POOLER;
    char name[PS_LM_NAME];
    close_block(p);
    short_name(t->name, name);
    add(p, PS_GRAPH_LINEAR, pooler ? "pooler" : name, t->shape[0], pooler ? p->stream : p->last);
    ps_status st = take(p, t);
    if (!st && pooler)
        p->b->graph->nodes[add(p, PS_GRAPH_ACTIVATION, "tanh", t->shape[0], p->last)].flops =
            (double)t->shape[0];
    return st;
}

static ps_status step(pass *p, const ps_lm_tensor *t)
{
    if (t->bias)
        return take(p, t);
    switch (t->part) {
    case PS_PART_TOKENS:
    case PS_PART_POSITIONS:
    case PS_PART_TYPES:
        return embed(p, t);
    case PS_PART_NORM_EMBEDDING:
    case PS_PART_NORM_ADDED_ATTENTION:
    case PS_PART_NORM_ADDED_MLP:
        return norm_added(p, t);
    case PS_PART_POOLER:
    case PS_PART_CLASSES:
        return pool(p, t);
    case PS_PART_NORM_ATTENTION:
    case PS_PART_NORM_MLP:
    case PS_PART_NORM:
        return norm(p, t);
    case PS_PART_NORM_Q:
    case PS_PART_NORM_K:
        return norm_heads(p, t);
    case PS_PART_NORM_AFTER_ATTENTION:
    case PS_PART_NORM_AFTER_MLP:
        return norm_after(p, t);
    case PS_PART_QKV:
    case PS_PART_Q:
    case PS_PART_K:
    case PS_PART_V:
    case PS_PART_GATE:
    case PS_PART_UP:
        return product(p, t);
    case PS_PART_O:
    case PS_PART_DOWN:
        return product_back(p, t);
    case PS_PART_HEAD:
        add(p, PS_GRAPH_LINEAR, "lm_head", t->shape[0], p->last);
        return take(p, t);
    case PS_PARTS:
        break;
    }
    PS_REQUIRE(false);
    return PS_OK;
}

/* The embedding once more. */
static void tie_head(pass *p)
{
    ps_graph *g = p->b->graph;
    add(p, PS_GRAPH_LINEAR, "head", sized(p->b->model->vocab_size), p->last);
    ps_graph_node *head = &g->nodes[p->last];
    head->shared = 0; /* the tokens' is the first of all */
    ps_form form;
    if (ps_form_parse_stored(g->tensors[0].form, &form))
        head->flops = ps_graph_product(&g->tensors[0], form);
    (void)snprintf(head->about, sizeof head->about, "the embedding, transposed");
}

/* What comes out of an encoder. */
static void say(pass *p)
{
    const ps_spec_model *m = p->b->model;
    int64_t classes = m->choices.num_classes;
    close_block(p);
    if (classes)
        add(p, PS_GRAPH_OUTPUT, "classes", sized(classes), p->last);
    else
        add(p, PS_GRAPH_OUTPUT, "embedding", sized(m->hidden_size), p->stream);
}

ps_status ps_graph_language(ps_graph_builder *b)
{
    bool encoder = ps_spec_model_is_encoder(b->model);
    ps_lm_tensor *tensors;
    pass p = {.b = b, .arch = ps_arch_find(b->model->architecture)};
    ps_lm_layout(b->model, &tensors, &p.n);
    p.tensors = tensors;
    ps_status st = PS_OK;
    for (p.at = 0; !st && p.at < p.n; p.at++)
        st = step(&p, &tensors[p.at]);
    if (!st && !encoder && p.n && tensors[p.n - 1].part != PS_PART_HEAD)
        tie_head(&p);
    ps_free(&tensors);
    if (st)
        return st;
    ps_graph *g = b->graph;
    if (g->n_blocks == 1)
        for (size_t i = g->block_first; i < g->n_nodes && g->nodes[i].group; i++)
            g->block_nodes++;
    PS_REQUIRE(!g->n_blocks || g->block_nodes);
    g->context = (uint32_t)b->model->context_length;
    if (encoder)
        say(&p);
    else
        add(&p, PS_GRAPH_OUTPUT, "logits", sized(b->model->vocab_size), p.last);
    return PS_OK;
}
