/* fold: a graph with less of it to draw: all blocks as one, or halves of blocks, or blocks, as a
 * node. What is drawn as one sums up what is in it. Pure. One thread (not asserted: psctl has no
 * other). */
#ifndef PS_REPORT_FOLD_H
#define PS_REPORT_FOLD_H

#include "common/model/graph.h"

typedef enum ps_fold_depth {
    PS_FOLD_BLOCKS = 1, /* the blocks are a node */
    PS_FOLD_HALVES,     /* attention and MLP */
    PS_FOLD_OPS,        /* each operation, of all blocks at once */
    PS_FOLD_ALL,        /* each operation of each block */
} ps_fold_depth;

/* What it takes, of tensors that are its own. */
typedef struct ps_fold_sum {
    uint64_t numbers, bytes;
    double flops;
} ps_fold_sum;

typedef struct ps_fold_node {
    const ps_graph_node *node; /* the first of those that it is drawn for */
    const char *name;          /* "q_proj", "attention", "block" */
    bool whole;                /* a group, not an operation */
    uint32_t group, rank;      /* rank: from 0, none left out */
    uint32_t times;            /* for how many alike, one of each block */
    ps_fold_sum one, all;      /* of a block; of all */
    char forms[96];            /* of the numbers of all: "q4_0 ×20, q6_k ×12" */
} ps_fold_node;

typedef struct ps_fold_edge {
    uint32_t from, to;
    bool skip;
} ps_fold_edge;

typedef struct ps_fold {
    const ps_graph *graph; /* borrowed */
    ps_fold_depth depth;
    ps_fold_node *nodes;
    ps_fold_edge *edges;
    uint32_t *drawn_by; /* of each node of the graph, the place of the one that it is drawn as */
    size_t n_nodes, n_edges;
    uint32_t ranks;
} ps_fold;

/* Freed with ps_fold_free; the graph must outlive it. */
ps_fold *ps_fold_of(const ps_graph *graph, ps_fold_depth depth);
void ps_fold_free(ps_fold **fold);

#endif
