/* graph_build: the graph while it is made: nodes, edges and groups are appended. Private to the
 * files graph*.c of this folder. Pure; any thread. */
#ifndef PS_MODEL_GRAPH_BUILD_H
#define PS_MODEL_GRAPH_BUILD_H

#include "common/model/graph.h"

/* What a tensor of the model must be. */
typedef struct ps_graph_wanted {
    const char *name;
    uint32_t n_dims;
    uint64_t shape[PS_GRAPH_DIMS];
    bool outputs_last; /* a matrix [inputs, outputs] */
} ps_graph_wanted;

typedef struct ps_graph_builder {
    ps_graph *graph;
    const ps_spec_model *model;
    ps_graph_cuts cuts;
    const ps_graph_given *given;
    size_t *by_name; /* of the given */
    bool *used;
    size_t n_given;
    uint32_t group;     /* that nodes go into */
    uint32_t next_rank; /* of the next node that stands below all that are there */
} ps_graph_builder;

/* Behind all others, in the group and on the next rank; its number. name: what stands before
 * ".weight", or a name. */
uint32_t ps_graph_node_add(ps_graph_builder *b, ps_graph_op op, const char *name, uint64_t width);
/* Beside the node before it. */
uint32_t ps_graph_node_beside(ps_graph_builder *b, ps_graph_op op, const char *name,
                              uint64_t width);
void ps_graph_edge_add(ps_graph_builder *b, uint32_t from, uint32_t to, bool skip);
/* In the group of the builder; it becomes that. */
void ps_graph_group_open(ps_graph_builder *b, const char *name, uint32_t block);
void ps_graph_group_close(ps_graph_builder *b);

/* The tensor of the list becomes the last node's, with the FLOPs of its product or sum. */
PS_MUST_CHECK ps_status ps_graph_tensor_add(ps_graph_builder *b, const ps_graph_wanted *wanted);

/* Of a product with the tensor. */
double ps_graph_product(const ps_graph_tensor *tensor, ps_form form);

/* A product that is called `what`, a matrix [out, in] or, turned, [in, out], and its bias; a node
 * without tensors; the inputs, as the model makes them even: behind *last, which each becomes. */
PS_MUST_CHECK ps_status ps_graph_linear_add(ps_graph_builder *b, const char *what, uint64_t in,
                                            uint64_t out, bool turned, uint32_t *last);
void ps_graph_plain_add(ps_graph_builder *b, ps_graph_op op, const char *name, uint64_t width,
                        double flops, uint32_t *last);
uint32_t ps_graph_inputs_add(ps_graph_builder *b);
/* The linear layers of a model, with activations between them, and its outputs. */
PS_MUST_CHECK ps_status ps_graph_linears_add(ps_graph_builder *b, uint32_t *last);
/* "relu" */
const char *ps_graph_activation(const ps_graph_builder *b);

/* One for each family. */
PS_MUST_CHECK ps_status ps_graph_language(ps_graph_builder *b);
PS_MUST_CHECK ps_status ps_graph_layers(ps_graph_builder *b);
PS_MUST_CHECK ps_status ps_graph_images(ps_graph_builder *b);
PS_MUST_CHECK ps_status ps_graph_coder(ps_graph_builder *b);
PS_MUST_CHECK ps_status ps_graph_lens(ps_graph_builder *b);

#endif
