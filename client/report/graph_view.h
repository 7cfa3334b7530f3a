/* graph_view: a model's graph for a terminal, for graphviz and for programs. What is drawn for
 * people to look at is in graph_svg.h. Pure. One thread (not asserted: psctl has no other). */
#ifndef PS_REPORT_GRAPH_VIEW_H
#define PS_REPORT_GRAPH_VIEW_H

#include "client/report/quantity.h"
#include "client/show/table.h"
#include "common/json/json.h"

/* A tree along the pass: the residual stream on the left, what is added to it beside it. */
void ps_graph_text(ps_buf *out, const ps_style *style, const char *name, const ps_fold *fold,
                   const ps_quantity *quantity);
/* A digraph in DOT; names are quoted. */
void ps_graph_dot(ps_buf *out, const char *name, const ps_fold *fold, const ps_quantity *quantity);
/* The whole graph, every block, with its tensors and their column blocks: an object. */
void ps_graph_json(ps_json_writer *w, const char *name, const ps_graph *graph);

/* "576×1536", "x" without utf8. */
typedef struct ps_shape_text {
    char text[96];
} ps_shape_text;
ps_shape_text ps_shape_of(const ps_graph_tensor *tensor, bool utf8);
/* How a matrix is cut, "4 of 576×144, inputs"; "" where it is not. */
ps_shape_text ps_cut_of(const ps_graph_tensor *tensor, bool utf8);
/* The weight that a node multiplies with, its own or another's; NULL: none. */
const ps_graph_tensor *ps_weight_of(const ps_graph *graph, const ps_graph_node *node);

#endif
