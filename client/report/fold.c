/* Happy path: each node of the graph has one that is drawn for it; those that are drawn for
 * themselves are listed, the others summed up into them, and edges between two of the list kept
 * once. Cannot fail. */
#include "client/report/fold.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <stdio.h>
#include <string.h>

/* A node's group that is of its block and nothing between; its half otherwise. */
static uint32_t block_of(const ps_graph *g, uint32_t group)
{
    while (g->groups[group].parent && g->groups[group].block != PS_GRAPH_NONE)
        group = g->groups[group].parent;
    return group;
}

/* The first node of the half, or the block, that it is in. */
static uint32_t first_alike(const ps_graph *g, uint32_t node, bool block)
{
    uint32_t group = g->nodes[node].group;
    while (node && (block ? block_of(g, g->nodes[node - 1].group) == block_of(g, group)
                          : g->nodes[node - 1].group == group))
        node--;
    return node;
}

static uint32_t drawn_for(const ps_graph *g, uint32_t node, ps_fold_depth depth)
{
    uint32_t group = g->nodes[node].group;
    if (!group || depth == PS_FOLD_ALL)
        return node;
    uint32_t of_first = g->block_first + (node - g->block_first) % g->block_nodes;
    return depth == PS_FOLD_OPS ? of_first : first_alike(g, of_first, depth == PS_FOLD_BLOCKS);
}

/* ---- sums ---- */

static void add_sums(const ps_graph *g, const ps_graph_node *from, ps_fold_sum *to)
{
    to->flops += from->flops;
    for (uint32_t i = 0; i < from->n; i++) {
        to->numbers += g->tensors[from->first + i].numbers;
        to->bytes += g->tensors[from->first + i].bytes;
    }
}

/* Forms of matrices, or of all where there is none, by how many tensors have each. */
static void list_forms(const ps_graph *g, const uint32_t *of, uint32_t drawn, uint32_t end,
                       ps_fold_node *out)
{
    enum { MOST = 6 };
    struct {
        const char *form;
        unsigned n;
    } forms[MOST];
    size_t n = 0;
    for (uint32_t dims = 2; dims && !n; dims--)
        for (uint32_t i = drawn; i < end; i++)
            for (uint32_t k = 0; of[i] == drawn && k < g->nodes[i].n; k++) {
                const ps_graph_tensor *t = &g->tensors[g->nodes[i].first + k];
                size_t at = 0;
                while (at < n && strcmp(forms[at].form, t->form) != 0)
                    at++;
                if (t->n_dims != dims || at == MOST)
                    continue;
                if (at == n)
                    forms[n++].form = t->form, forms[at].n = 0;
                forms[at].n++;
            }
    int len = 0;
    for (size_t i = 0; i < n && len < (int)sizeof out->forms; i++) {
        const char *comma = i ? ", " : "";
        len += n > 1 ? snprintf(out->forms + len, sizeof out->forms - (size_t)len, "%s%s ×%u",
                                comma, forms[i].form, forms[i].n)
                     : snprintf(out->forms, sizeof out->forms, "%s", forms[i].form);
    }
}

static void fill(ps_fold *f, const uint32_t *of, uint32_t drawn, ps_fold_node *out)
{
    const ps_graph *g = f->graph;
    const ps_graph_node *node = &g->nodes[drawn];
    const ps_graph_group *group = &g->groups[node->group];
    bool in_block = group->block != PS_GRAPH_NONE;
    out->node = node;
    out->whole = in_block && f->depth < PS_FOLD_OPS;
    out->name = !out->whole                  ? node->name
                : f->depth == PS_FOLD_HALVES ? group->name
                                             : g->groups[block_of(g, node->group)].name;
    out->group = !out->whole ? node->group : f->depth == PS_FOLD_HALVES ? group->parent : 0;
    out->times = in_block && f->depth != PS_FOLD_ALL ? g->n_blocks : 1;
    bool alone = !in_block || f->depth == PS_FOLD_ALL;
    uint32_t end_of_all = alone ? drawn + 1 : g->block_first + g->n_blocks * g->block_nodes;
    uint32_t end_of_one = alone ? drawn + 1 : g->block_first + g->block_nodes;
    for (uint32_t i = drawn; i < end_of_all; i++) {
        if (of[i] != drawn)
            continue;
        add_sums(g, &g->nodes[i], &out->all);
        if (i < end_of_one)
            add_sums(g, &g->nodes[i], &out->one);
    }
    list_forms(g, of, drawn, end_of_all, out);
}

/* ---- edges ---- */

static void add_edge(ps_fold *f, ps_fold_edge edge)
{
    if (edge.from >= edge.to) /* within one; from a block to the next */
        return;
    for (size_t i = 0; f->depth != PS_FOLD_ALL && i < f->n_edges; i++)
        if (f->edges[i].from == edge.from && f->edges[i].to == edge.to) {
            f->edges[i].skip &= edge.skip;
            return;
        }
    f->edges[f->n_edges++] = edge;
}

ps_fold *ps_fold_of(const ps_graph *g, ps_fold_depth depth)
{
    PS_REQUIRE(depth >= PS_FOLD_BLOCKS && depth <= PS_FOLD_ALL);
    ps_fold *f = ps_new(ps_fold);
    f->graph = g;
    f->depth = depth;
    f->nodes = ps_alloc_array(g->n_nodes + 1, sizeof *f->nodes);
    f->edges = ps_alloc_array(g->n_edges + 1, sizeof *f->edges);
    uint32_t *of = ps_alloc_array(g->n_nodes + 1, sizeof *of);
    f->drawn_by = ps_alloc_array(g->n_nodes + 1, sizeof *f->drawn_by);
    for (uint32_t i = 0; i < g->n_nodes; i++)
        of[i] = drawn_for(g, i, depth);
    for (uint32_t i = 0; i < g->n_nodes; i++) {
        f->drawn_by[i] = of[i] == i ? (uint32_t)f->n_nodes : f->drawn_by[of[i]];
        if (of[i] != i)
            continue;
        ps_fold_node *node = &f->nodes[f->n_nodes++];
        fill(f, of, i, node);
        bool beside = i && f->n_nodes > 1 && g->nodes[i].rank == node[-1].node->rank;
        node->rank = beside ? f->ranks - 1 : f->ranks++;
    }
    for (size_t i = 0; i < g->n_edges; i++)
        add_edge(f, (ps_fold_edge){f->drawn_by[g->edges[i].from], f->drawn_by[g->edges[i].to],
                                   g->edges[i].skip});
    ps_free(&of);
    return f;
}

void ps_fold_free(ps_fold **fold)
{
    if (!*fold)
        return;
    ps_free(&(*fold)->nodes);
    ps_free(&(*fold)->edges);
    ps_free(&(*fold)->drawn_by);
    ps_free(fold);
}
