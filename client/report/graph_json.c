/* Nodes, edges, groups and tensors by their numbers. Names do not change. Cannot fail. */
#include "client/report/graph_view.h"

#include <inttypes.h>

static void put_tensor(ps_json_writer *w, const ps_graph_tensor *t)
{
    ps_json_object(w);
    ps_json_put_string(w, "name", t->name);
    ps_json_key(w, "shape");
    ps_json_array(w);
    for (uint32_t d = 0; d < t->n_dims; d++)
        ps_json_uint(w, t->shape[d]);
    ps_json_array_end(w);
    ps_json_put_string(w, "form", t->form);
    ps_json_put_uint(w, "bytes", t->bytes);
    ps_json_put_string(w, "slices", t->slice == PS_GRAPH_SLICE_INPUTS ? "inputs" : "outputs");
    ps_json_key(w, "column_blocks");
    ps_json_array(w);
    for (uint32_t i = 0; i < t->column_blocks; i++) {
        ps_json_array(w);
        ps_json_uint(w, ps_graph_cut(t, i));
        ps_json_uint(w, ps_graph_cut(t, i + 1));
        ps_json_array_end(w);
    }
    ps_json_array_end(w);
    ps_json_object_end(w);
}

static void put_node(ps_json_writer *w, const ps_graph *g, const ps_graph_node *node)
{
    ps_json_object(w);
    ps_json_put_string(w, "name", node->name);
    ps_json_put_string(w, "op", ps_graph_op_name(node->op));
    if (*node->about)
        ps_json_put_string(w, "about", node->about);
    ps_json_put_uint(w, "group", node->group);
    ps_json_put_uint(w, "width", node->width);
    ps_json_put_double(w, "flops", node->flops);
    ps_json_key(w, "tensors");
    ps_json_array(w);
    for (uint32_t i = 0; i < node->n; i++)
        put_tensor(w, &g->tensors[node->first + i]);
    ps_json_array_end(w);
    if (node->shared != PS_GRAPH_NONE)
        ps_json_put_string(w, "shares", g->tensors[node->shared].name);
    ps_json_object_end(w);
}

static void put_groups(ps_json_writer *w, const ps_graph *g)
{
    ps_json_key(w, "groups");
    ps_json_array(w);
    for (size_t i = 0; i < g->n_groups; i++) {
        ps_json_object(w);
        ps_json_put_string(w, "name", g->groups[i].name);
        if (i)
            ps_json_put_uint(w, "parent", g->groups[i].parent);
        if (g->groups[i].block != PS_GRAPH_NONE)
            ps_json_put_uint(w, "block", g->groups[i].block);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
}

void ps_graph_json(ps_json_writer *w, const char *name, const ps_graph *g)
{
    ps_json_object(w);
    ps_json_put_int(w, "psd_graph", 1);
    ps_json_put_string(w, "model", name);
    ps_json_put_string(w, "architecture", g->architecture);
    ps_json_put_uint(w, "blocks", g->n_blocks);
    ps_json_put_uint(w, "column_blocks", g->column_blocks);
    ps_json_put_uint(w, "context", g->context);
    ps_json_put_uint(w, "parameters", g->numbers);
    ps_json_put_uint(w, "tensor_bytes", g->bytes);
    ps_json_put_double(w, "flops", g->flops);
    put_groups(w, g);
    ps_json_key(w, "nodes");
    ps_json_array(w);
    for (size_t i = 0; i < g->n_nodes; i++)
        put_node(w, g, &g->nodes[i]);
    ps_json_array_end(w);
    ps_json_key(w, "edges");
    ps_json_array(w);
    for (size_t i = 0; i < g->n_edges; i++) {
        ps_json_object(w);
        ps_json_put_uint(w, "from", g->edges[i].from);
        ps_json_put_uint(w, "to", g->edges[i].to);
        if (g->edges[i].skip)
            ps_json_put_bool(w, "skip", true);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
    ps_json_object_end(w);
}
