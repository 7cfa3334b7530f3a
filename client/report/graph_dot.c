/* One node a box, blocks and their halves as clusters, the residual stream as thick lines. Names
 * are quoted, and what a string of DOT obeys is escaped. Cannot fail. */
#include "client/report/graph_view.h"
#include "client/report/palette.h"
#include "common/base/text.h"

#include <math.h>
#include <string.h>

static void put_quoted(ps_buf *out, const char *text)
{
    size_t len = strlen(text);
    bool fit;
    for (size_t at = 0, n; at < len; at += n) {
        n = ps_text_character(text + at, len - at, &fit);
        if (!fit)
            ps_buf_putc(out, '?');
        else if (text[at] == '"' || text[at] == '\\')
            ps_buf_printf(out, "\\%c", text[at]);
        else
            ps_buf_append(out, text + at, n);
    }
}

static void put_node(ps_buf *out, const ps_fold *f, uint32_t i, const ps_scale *scale)
{
    const ps_fold_node *node = &f->nodes[i];
    const ps_graph_tensor *t = node->whole ? NULL : ps_weight_of(f->graph, node->node);
    ps_buf_printf(out, "  n%u [label=\"", i);
    put_quoted(out, node->name);
    if (node->whole && node->times > 1)
        ps_buf_printf(out, " ×%u", node->times);
    if (!node->whole && *node->node->about) {
        ps_buf_puts(out, "\\n");
        put_quoted(out, node->node->about);
    }
    if (t)
        ps_buf_printf(out, "\\n%s", ps_shape_of(t, true).text);
    if (node->one.bytes) {
        ps_buf_puts(out, t ? " · " : "\\n");
        put_quoted(out, node->forms);
        ps_buf_printf(out, " · %s", ps_human_bytes((double)node->one.bytes).text);
    }
    if (node->one.flops > 0)
        ps_buf_printf(out, "\\n%s", ps_flops_text(node->one.flops).text);
    if (t && node->node->n && *ps_cut_of(t, true).text)
        ps_buf_printf(out, "\\n%s", ps_cut_of(t, true).text);
    ps_buf_puts(out, "\"");
    double place = ps_scale_place(scale, scale->quantity->of(&node->one));
    if (isfinite(place)) {
        ps_rgb fill = ps_palette_sequential(place);
        ps_buf_printf(out, ", fillcolor=\"%s\", fontcolor=\"%s\"", ps_rgb_hex(fill).text,
                      ps_rgb_hex(ps_palette_on(fill)).text);
    }
    if (node->node->op == PS_GRAPH_ADD && !node->whole)
        ps_buf_puts(out, ", shape=ellipse");
    ps_buf_puts(out, "];\n");
}

static void open_cluster(ps_buf *out, const ps_fold *f, const ps_fold_node *node, uint32_t group)
{
    const ps_graph_group *g = &f->graph->groups[group];
    ps_buf_printf(out, "  subgraph cluster_%u {\n  label=\"%s", group, g->name);
    if (!strcmp(g->name, "block") && node->times > 1)
        ps_buf_printf(out, " ×%u", node->times);
    else if (!strcmp(g->name, "block"))
        ps_buf_printf(out, " %u", g->block);
    ps_buf_puts(out, "\"; style=rounded; color=\"#999999\"; fontcolor=\"#666666\";\n");
}

/* From the group that is open to the node's: at most a block and a half of it. */
static void put_clusters(ps_buf *out, const ps_fold *f, const ps_fold_node *node, uint32_t *open)
{
    const ps_graph_group *groups = f->graph->groups;
    uint32_t to = node->group;
    if (*open == to)
        return;
    uint32_t block = to && groups[to].parent ? groups[to].parent : to;
    while (*open && *open != block) {
        ps_buf_puts(out, "  }\n");
        *open = groups[*open].parent;
    }
    if (block && *open != block)
        open_cluster(out, f, node, block);
    if (to != block)
        open_cluster(out, f, node, to);
    *open = to;
}

void ps_graph_dot(ps_buf *out, const char *name, const ps_fold *f, const ps_quantity *quantity)
{
    ps_scale scale = ps_scale_of(quantity, f);
    ps_buf_puts(out, "digraph \"");
    put_quoted(out, name);
    ps_buf_puts(out, "\" {\n"
                     "  graph [fontname=\"sans-serif\", labeljust=l, nodesep=0.2, ranksep=0.3];\n"
                     "  node [shape=box, style=\"filled,rounded\", fillcolor=\"#f4f4f2\", "
                     "color=\"#999999\", fontname=\"sans-serif\", fontsize=11];\n"
                     "  edge [color=\"#666666\", arrowsize=0.6];\n");
    uint32_t open = 0;
    for (uint32_t i = 0; i < f->n_nodes; i++) {
        put_clusters(out, f, &f->nodes[i], &open);
        put_node(out, f, i, &scale);
    }
    for (; open; open = f->graph->groups[open].parent)
        ps_buf_puts(out, "  }\n");
    for (size_t i = 0; i < f->n_edges; i++)
        ps_buf_printf(out, "  n%u -> n%u%s;\n", f->edges[i].from, f->edges[i].to,
                      f->edges[i].skip ? " [penwidth=3, color=\"#0072b2\", weight=8]" : "");
    ps_buf_puts(out, "}\n");
}
