/* A tuned lens: of each layer of its base's residual stream a product, side by side, and what was
 * there. It fails as ps_graph_tensor_add does. */
#include "common/model/graph_build.h"

#include <stdio.h>

static ps_status add_translator(ps_graph_builder *b, int64_t layer, uint32_t from, uint32_t *out)
{
    uint64_t width = (uint64_t)b->model->hidden_size;
    char name[PS_LM_NAME], tensor[PS_LM_NAME + 8];
    (void)snprintf(name, sizeof name, "translators.%lld", (long long)layer);
    *out = layer ? ps_graph_node_beside(b, PS_GRAPH_LINEAR, name, width)
                 : ps_graph_node_add(b, PS_GRAPH_LINEAR, name, width);
    ps_graph_edge_add(b, from, *out, false);
    (void)snprintf(tensor, sizeof tensor, "%s.weight", name);
    ps_status st = ps_graph_tensor_add(
        b, &(ps_graph_wanted){.name = tensor, .n_dims = 2, .shape = {width, width}});
    (void)snprintf(tensor, sizeof tensor, "%s.bias", name);
    return st ? st
              : ps_graph_tensor_add(
                    b, &(ps_graph_wanted){.name = tensor, .n_dims = 1, .shape = {width}});
}

ps_status ps_graph_lens(ps_graph_builder *b)
{
    const ps_spec_model *m = b->model;
    uint64_t width = (uint64_t)(m->num_layers * m->hidden_size);
    uint32_t stream =
        ps_graph_node_add(b, PS_GRAPH_INPUT, "residual stream", (uint64_t)ps_spec_model_inputs(m));
    uint32_t first = 0, last = 0;
    for (int64_t l = 0; l < m->num_layers; l++) {
        ps_status st = add_translator(b, l, stream, &last);
        if (st)
            return st;
        first = l ? first : last;
    }
    uint32_t sum = ps_graph_node_add(b, PS_GRAPH_ADD, "add", width);
    b->graph->nodes[sum].flops = (double)width;
    for (uint32_t node = first; node <= last; node++)
        ps_graph_edge_add(b, node, sum, false);
    ps_graph_edge_add(b, stream, sum, true);
    uint32_t out = ps_graph_node_add(b, PS_GRAPH_OUTPUT, "stream for the base's head", width);
    ps_graph_edge_add(b, sum, out, false);
    return PS_OK;
}
