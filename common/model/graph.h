/* graph: a model as the operations of its forward pass, from its configuration and the list of its
 * tensors alone. Nodes stand in the order of the pass; every block is there, and all blocks have
 * the same nodes in the same order, so that who draws may draw one for all (client/report).
 *
 * Each matrix N×M is cut into column blocks N×Mi, G = G1 + … + Gk, as psd shards it
 * (server/params/placement.h). What is stored as [outputs, inputs] is cut along the inputs of its
 * product, and the products of the parts are added; what is stored as [inputs, outputs], as GPT-2
 * has it, along the outputs, which then stand side by side.
 *
 * FLOPs are those of one row, or of the last token of a full context: two for a multiplication and
 * an addition of a product, one for each number that anything else makes. Pure; any thread.
 */
#ifndef PS_MODEL_GRAPH_H
#define PS_MODEL_GRAPH_H

#include "common/arch/layout.h"
#include "common/conf/job_spec.h"
#include "common/form/form.h"

/* Operations, and what they are called in JSON. */
#define PS_GRAPH_OPS(X)           \
    X(INPUT, "input")             \
    X(EMBEDDING, "embedding")     \
    X(ADD, "add")                 \
    X(NORM, "norm")               \
    X(LINEAR, "linear")           \
    X(CONVOLUTION, "convolution") \
    X(POOL, "pool")               \
    X(ATTENTION, "attention")     \
    X(ACTIVATION, "activation")   \
    X(OUTPUT, "output")

#define PS_GRAPH_OP_ENUM(name, text) PS_GRAPH_##name,
typedef enum ps_graph_op { PS_GRAPH_OPS(PS_GRAPH_OP_ENUM) PS_GRAPH_N_OPS } ps_graph_op;
#undef PS_GRAPH_OP_ENUM

const char *ps_graph_op_name(ps_graph_op op);

enum { PS_GRAPH_DIMS = 4 };

/* What its column blocks are slices of. */
typedef enum ps_graph_slice {
    PS_GRAPH_SLICE_INPUTS,  /* their products are added */
    PS_GRAPH_SLICE_OUTPUTS, /* stand side by side */
} ps_graph_slice;

typedef struct ps_graph_tensor {
    char name[PS_LM_NAME];
    char form[PS_FORM_TEXT];
    uint32_t n_dims;               /* from 1 */
    uint64_t shape[PS_GRAPH_DIMS]; /* of the model's tensor */
    uint64_t numbers;
    uint64_t bytes;         /* as stored */
    uint64_t rows, columns; /* N×M as psd cuts it; a vector is 1×M, and of more
                               sides the last is M */
    uint32_t column_blocks; /* k, at most M */
    ps_graph_slice slice;
} ps_graph_tensor;

/* Column i of a cut into k begins at i·M/k. */
static inline uint64_t ps_graph_cut(const ps_graph_tensor *t, uint32_t i)
{
    return t->columns * i / t->column_blocks;
}

#define PS_GRAPH_NONE UINT32_MAX

enum {
    PS_GRAPH_ABOUT = 96,
    PS_GRAPH_CUTS_MAX = 64, /* column blocks of a job file */
};

typedef struct ps_graph_node {
    ps_graph_op op;
    char name[PS_LM_NAME];      /* within its group: "q_proj" */
    char about[PS_GRAPH_ABOUT]; /* what shape and name do not say: "9 heads of 64"; "" */
    uint32_t group;
    uint32_t rank;     /* nodes of one rank stand side by side */
    uint64_t width;    /* numbers that leave it, for a row or token; of INPUT tokens 1 */
    uint32_t first, n; /* of the tensors: its own, the weight first */
    uint32_t shared;   /* the tensor of another node that it has as its own; PS_GRAPH_NONE */
    double flops;
} ps_graph_node;

typedef struct ps_graph_edge {
    uint32_t from, to; /* nodes */
    bool skip;         /* the residual stream, past what is added to it */
} ps_graph_edge;

/* Group 0 is the model; then each block, with its halves behind it. */
typedef struct ps_graph_group {
    char name[PS_LM_NAME]; /* "block", "attention", "mlp" */
    uint32_t parent;
    uint32_t block; /* PS_GRAPH_NONE: of none */
} ps_graph_group;

typedef struct ps_graph {
    char *architecture;
    bool language;
    ps_graph_node *nodes;
    ps_graph_edge *edges;
    ps_graph_group *groups;
    ps_graph_tensor *tensors;
    size_t n_nodes, n_edges, n_groups, n_tensors;
    uint32_t n_blocks, block_first,
        block_nodes;  /* node i of block b: block_first + b·block_nodes + i */
    uint32_t context; /* tokens that attention's FLOPs are of; 0: none */
    uint32_t column_blocks;
    uint64_t numbers, bytes; /* of all tensors */
    double flops;
} ps_graph;

/* A tensor as the model's file has it, whatever it says; borrowed. */
typedef struct ps_graph_given {
    const char *name;
    const uint64_t *shape;
    size_t n_dims;
    const char *form; /* "float32", "q4_0", "factors/64" */
} ps_graph_given;

typedef struct ps_graph_cuts {
    uint32_t column_blocks; /* of the job file: 1..64 */
    bool turned; /* blocks' matrices were trained in a form: [inputs, outputs] lay transposed */
} ps_graph_cuts;

/* *out is freed with ps_graph_free. PS_CORRUPT names the tensor: it is not there, or not of the
 * shape or in a form that the configuration allows; a tensor that belongs nowhere. */
PS_MUST_CHECK ps_status ps_graph_create(const ps_spec_model *model, const ps_graph_given *tensors,
                                        size_t n, ps_graph_cuts cuts, ps_graph **out);
void ps_graph_free(ps_graph **graph);

#endif
