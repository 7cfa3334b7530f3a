/* A model of layers: numbers, a product and an activation in turn. It fails as
 * ps_graph_tensor_add does. */
#include "common/base/require.h"
#include "common/model/graph_build.h"

#include <stdio.h>

static const char *const activations[] = {
    [PS_SPEC_RELU] = "relu", [PS_SPEC_GELU] = "gelu", [PS_SPEC_TANH] = "tanh"};

const char *ps_graph_activation(const ps_graph_builder *b)
{
    return activations[b->model->activation];
}

ps_status ps_graph_linear_add(ps_graph_builder *b, const char *what, uint64_t in, uint64_t out,
                              bool turned, uint32_t *last)
{
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

void ps_graph_plain_add(ps_graph_builder *b, ps_graph_op op, const char *name, uint64_t width,
                        double flops, uint32_t *last)
{
    uint32_t node = ps_graph_node_add(b, op, name, width);
    b->graph->nodes[node].flops = flops;
    ps_graph_edge_add(b, *last, node, false);
    *last = node;
}

uint32_t ps_graph_inputs_add(ps_graph_builder *b)
{
    const ps_spec_model *m = b->model;
    uint64_t width = (uint64_t)ps_spec_model_inputs(m);
    uint32_t last = ps_graph_node_add(b, PS_GRAPH_INPUT, "inputs", width);
    if (m->n_input_mean)
        ps_graph_plain_add(b, PS_GRAPH_NORM,
                           m->n_input_std ? "less mean, by deviation" : "less mean", width,
                           (double)width * (m->n_input_std ? 2 : 1), &last);
    return last;
}

/* The encoder's product is of what is left of the inputs without the decoder's bias. */
ps_status ps_graph_coder(ps_graph_builder *b)
{
    const ps_spec_model *m = b->model;
    PS_REQUIRE(m->n_layers == 3);
    uint64_t width = (uint64_t)m->layers[0], latents = (uint64_t)m->layers[1];
    uint32_t last = ps_graph_inputs_add(b);
    ps_graph_plain_add(b, PS_GRAPH_NORM, "less the decoder's bias", width, (double)width, &last);
    ps_status st = ps_graph_linear_add(b, "encoder", width, latents, false, &last);
    if (st)
        return st;
    ps_graph_plain_add(b, PS_GRAPH_ACTIVATION, m->top_k ? "the largest" : "relu", latents,
                       (double)latents, &last);
    st = ps_graph_linear_add(b, "decoder", latents, width, true, &last);
    if (!st)
        ps_graph_plain_add(b, PS_GRAPH_OUTPUT, "the inputs again", width, 0, &last);
    return st;
}

ps_status ps_graph_linears_add(ps_graph_builder *b, uint32_t *last)
{
    const ps_spec_model *m = b->model;
    size_t n = ps_spec_model_linears(m);
    uint64_t width = (uint64_t)ps_spec_model_width(m, 0);
    for (size_t i = 0; i < n; i++) {
        uint64_t in = width;
        char name[PS_LM_NAME];
        width = (uint64_t)ps_spec_model_width(m, i + 1);
        (void)snprintf(name, sizeof name, "layers.%zu", i);
        ps_status st = ps_graph_linear_add(b, name, in, width, false, last);
        if (st)
            return st;
        if (i + 1 < n)
            ps_graph_plain_add(b, PS_GRAPH_ACTIVATION, ps_graph_activation(b), width, (double)width,
                               last);
    }
    ps_graph_plain_add(b, PS_GRAPH_OUTPUT, m->loss == PS_SPEC_CROSS_ENTROPY ? "logits" : "outputs",
                       width, 0, last);
    return PS_OK;
}

ps_status ps_graph_layers(ps_graph_builder *b)
{
    uint32_t last = ps_graph_inputs_add(b);
    return ps_graph_linears_add(b, &last);
}
