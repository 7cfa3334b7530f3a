/* A model of layers: numbers, a product and an activation in turn. It fails as
 * ps_graph_tensor_add does. */
#include "common/base/require.h"
#include "common/model/graph_build.h"

#include <stdio.h>

static const char *const activations[] = {
    [PS_SPEC_RELU] = "relu", [PS_SPEC_GELU] = "gelu", [PS_SPEC_TANH] = "tanh"};

static ps_status add_layer(ps_graph_builder *b, size_t i, uint32_t *last)
{
    const int64_t *widths = &b->model->layers[i];
    uint64_t in = (uint64_t)widths[0], out = (uint64_t)widths[1];
    char name[PS_LM_NAME];
    (void)snprintf(name, sizeof name, "layers.%zu", i);
    uint32_t node = ps_graph_node_add(b, PS_GRAPH_LINEAR, name, out);
    ps_graph_edge_add(b, *last, node, false);
    *last = node;
    (void)snprintf(name, sizeof name, "layers.%zu.weight", i);
    ps_status st =
        ps_graph_tensor_add(b, &(ps_graph_wanted){.name = name, .n_dims = 2, .shape = {out, in}});
    if (st)
        return st;
    (void)snprintf(name, sizeof name, "layers.%zu.bias", i);
    return ps_graph_tensor_add(b, &(ps_graph_wanted){.name = name, .n_dims = 1, .shape = {out}});
}

static void add_plain(ps_graph_builder *b, ps_graph_op op, const char *name, uint64_t width,
                      double flops, uint32_t *last)
{
    uint32_t node = ps_graph_node_add(b, op, name, width);
    b->graph->nodes[node].flops = flops;
    ps_graph_edge_add(b, *last, node, false);
    *last = node;
}

ps_status ps_graph_layers(ps_graph_builder *b)
{
    const ps_spec_model *m = b->model;
    PS_REQUIRE(m->n_layers >= 2);
    uint64_t width = (uint64_t)m->layers[0];
    uint32_t last = ps_graph_node_add(b, PS_GRAPH_INPUT, "inputs", width);
    if (m->n_input_mean)
        add_plain(b, PS_GRAPH_NORM, m->n_input_std ? "less mean, by deviation" : "less mean", width,
                  (double)width * (m->n_input_std ? 2 : 1), &last);
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
