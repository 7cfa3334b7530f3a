/* A model of layers: numbers, a product and an activation in turn. It fails as
 * ps_graph_tensor_add does. */
#include "common/base/require.h"
#include "common/model/graph_build.h"

#include <stdio.h>

static const char *const activations[] = {
    [PS_SPEC_RELU] = "relu", [PS_SPEC_GELU] = "gelu", [PS_SPEC_TANH] = "tanh"};

/* A product that is called `what`, and its bias; turned: the matrix is stored [in, out]. */
static ps_status add_product(ps_graph_builder *b, const char *what, const int64_t *widths,
                             bool turned, uint32_t *last)
{
    uint64_t in = (uint64_t)widths[0], out = (uint64_t)widths[1];
    char name[PS_LM_NAME];
    uint32_t node = ps_graph_node_add(b, PS_GRAPH_LINEAR, what, out);
    ps_graph_edge_add(b, *last, node, false);
    *last = node;
    (void)snprintf(name, sizeof name, "%s.weight", what);
    ps_graph_wanted matrix = {.name = name, .n_dims = 2, .shape = {out, in}};
    if (turned)
        matrix =
            (ps_graph_wanted){.name = name, .n_dims = 2, .shape = {in, out}, .outputs_last = true};
    ps_status st = ps_graph_tensor_add(b, &matrix);
    if (st)
        return st;
    (void)snprintf(name, sizeof name, "%s.bias", what);
    return ps_graph_tensor_add(b, &(ps_graph_wanted){.name = name, .n_dims = 1, .shape = {out}});
}

static ps_status add_layer(ps_graph_builder *b, size_t i, uint32_t *last)
{
    char name[PS_LM_NAME];
    (void)snprintf(name, sizeof name, "layers.%zu", i);
    return add_product(b, name, &b->model->layers[i], false, last);
}

static void add_plain(ps_graph_builder *b, ps_graph_op op, const char *name, uint64_t width,
                      double flops, uint32_t *last)
{
    uint32_t node = ps_graph_node_add(b, op, name, width);
    b->graph->nodes[node].flops = flops;
    ps_graph_edge_add(b, *last, node, false);
    *last = node;
}

static uint32_t add_inputs(ps_graph_builder *b)
{
    const ps_spec_model *m = b->model;
    uint64_t width = (uint64_t)m->layers[0];
    uint32_t last = ps_graph_node_add(b, PS_GRAPH_INPUT, "inputs", width);
    if (m->n_input_mean)
        add_plain(b, PS_GRAPH_NORM, m->n_input_std ? "less mean, by deviation" : "less mean", width,
                  (double)width * (m->n_input_std ? 2 : 1), &last);
    return last;
}

/* The encoder's product is of what is left of the inputs without the decoder's bias. */
ps_status ps_graph_coder(ps_graph_builder *b)
{
    const ps_spec_model *m = b->model;
    PS_REQUIRE(m->n_layers == 3);
    uint64_t width = (uint64_t)m->layers[0], latents = (uint64_t)m->layers[1];
    uint32_t last = add_inputs(b);
    add_plain(b, PS_GRAPH_NORM, "less the decoder's bias", width, (double)width, &last);
    ps_status st = add_product(b, "encoder", m->layers, false, &last);
    if (st)
        return st;
    add_plain(b, PS_GRAPH_ACTIVATION, m->top_k ? "the largest" : "relu", latents, (double)latents,
              &last);
    st = add_product(b, "decoder", m->layers + 1, true, &last);
    if (!st)
        add_plain(b, PS_GRAPH_OUTPUT, "the inputs again", width, 0, &last);
    return st;
}

ps_status ps_graph_layers(ps_graph_builder *b)
{
    const ps_spec_model *m = b->model;
    PS_REQUIRE(m->n_layers >= 2);
    uint64_t width = 0;
    uint32_t last = add_inputs(b);
    for (size_t i = 0; i + 1 < m->n_layers; i++) {
        ps_status st = add_layer(b, i, &last);
        if (st)
            return st;
        width = (uint64_t)m->layers[i + 1];
        if (i + 2 < m->n_layers)
            add_plain(b, PS_GRAPH_ACTIVATION, activations[m->activation], width, (double)width,
                      &last);
    }
    add_plain(b, PS_GRAPH_OUTPUT, m->loss == PS_SPEC_CROSS_ENTROPY ? "logits" : "outputs", width, 0,
              &last);
    return PS_OK;
}
