/* Happy path: a row a node, its name behind the lines of the stream, into a table that makes itself
 * fit the terminal. Cannot fail.
 *
 *     │
 *     ├─╮  block ×12
 *     │ ├ ln_1
 *     │ ├ c_attn
 *     ⊕─╯
 */
#include "client/report/graph_view.h"
#include "client/report/palette.h"
#include "common/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BAR = 12 }; /* cells */

typedef struct view {
    ps_table *table;
    const ps_style *style;
    const ps_fold *fold;
    const ps_quantity *quantity;
    ps_scale scale;
    double most; /* of the bars */
} view;

/* Lines: of a node on the stream, beside it, where the two part and join. */
typedef struct lines {
    const char *on, *begins, *beside, *ends;
} lines;
static const lines drawn = {"● ", "├─╮ ", "│ ├ ", "⊕─╯ "};
static const lines ascii = {"* ", "|-. ", "| | ", "+-' "};

ps_shape_text ps_shape_of(const ps_graph_tensor *t, bool utf8)
{
    ps_shape_text out;
    size_t at = 0;
    for (uint32_t d = 0; d < t->n_dims; d++)
        at += (size_t)snprintf(out.text + at, sizeof out.text - at, "%s%llu",
                               !d     ? ""
                               : utf8 ? "×"
                                      : "x",
                               (unsigned long long)t->shape[d]);
    return out;
}

ps_shape_text ps_cut_of(const ps_graph_tensor *t, bool utf8)
{
    ps_shape_text out = {.text = ""};
    if (t->column_blocks < 2 || t->n_dims < 2)
        return out;
    const char *times = utf8 ? "×" : "x";
    uint64_t least = t->columns / t->column_blocks,
             most = least + (t->columns % t->column_blocks > 0);
    char width[48];
    (void)snprintf(width, sizeof width, least < most ? "%llu-%llu" : "%llu",
                   (unsigned long long)least, (unsigned long long)most);
    (void)snprintf(out.text, sizeof out.text, "%u of %llu%s%s, %s", t->column_blocks,
                   (unsigned long long)t->rows, times, width,
                   t->slice == PS_GRAPH_SLICE_INPUTS ? "inputs" : "outputs");
    return out;
}

const ps_graph_tensor *ps_weight_of(const ps_graph *g, const ps_graph_node *node)
{
    if (node->shared != PS_GRAPH_NONE)
        return &g->tensors[node->shared];
    return node->n ? &g->tensors[node->first] : NULL;
}

static double bar_of(const view *v, const ps_fold_node *node)
{
    return v->quantity->of(v->quantity->additive ? &node->all : &node->one);
}

static void put_bar(view *v, const ps_fold_node *node)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double value = bar_of(v, node);
    if (!isfinite(value) || !(v->most > 0)) {
        ps_table_text(v->table, "");
        return;
    }
    ps_buf bar = PS_BUF_EMPTY;
    int cells = (int)lround(8 * BAR * value / v->most);
    for (int i = 0; i < cells / 8; i++)
        ps_buf_puts(&bar, v->style->utf8 ? "█" : "#");
    if (v->style->utf8)
        ps_buf_puts(&bar, eighths[cells % 8]);
    double place = ps_scale_place(&v->scale, v->quantity->of(&node->one));
    ps_table_color(v->table, ps_color_of_place(place), ps_buf_cstr(&bar));
    ps_buf_free(&bar);
}

static void put_row(view *v, const char *before, const ps_fold_node *node)
{
    const ps_graph *g = v->fold->graph;
    const ps_graph_tensor *t = node->whole ? NULL : ps_weight_of(g, node->node);
    bool own = node->node->n || node->whole;
    char *name =
        node->whole && node->times > 1
            ? ps_asprintf("%s%s %s%u", before, node->name, v->style->utf8 ? "×" : "x", node->times)
            : ps_asprintf("%s%s", before, node->name);
    ps_table_text(v->table, name);
    ps_free(&name);
    ps_table_text(v->table, t ? ps_shape_of(t, v->style->utf8).text : "");
    ps_table_text(v->table, own ? node->forms : "");
    ps_table_text(v->table,
                  own && node->one.bytes ? ps_human_bytes((double)node->one.bytes).text : "");
    ps_table_text(v->table, ps_flops_text(node->one.flops).text);
    put_bar(v, node);
    ps_shape_text cut = {.text = ""};
    if (t && own)
        cut = ps_cut_of(t, v->style->utf8);
    ps_table_color(v->table, PS_COLOR_DIM,
                   *cut.text     ? cut.text
                   : node->whole ? ""
                                 : node->node->about);
}

static void put_line(view *v, const char *text)
{
    ps_table_text(v->table, text);
    for (size_t i = 1; i < 7; i++)
        ps_table_text(v->table, "");
}

/* Where the stream parts: the block's line first when another begins. */
static void put_begin(view *v, const lines *l, const ps_fold_node *node, uint32_t *block)
{
    const ps_graph_group *half = &v->fold->graph->groups[node->group];
    const char *times = v->style->utf8 ? "×" : "x";
    char *text;
    if (*block == half->parent)
        text = ps_asprintf("%s%s", l->begins, half->name);
    else if (node->times > 1)
        text = ps_asprintf("%sblock %s%u: %s", l->begins, times, node->times, half->name);
    else
        text = ps_asprintf("%sblock %u: %s", l->begins, half->block, half->name);
    *block = half->parent;
    put_line(v, text);
    ps_free(&text);
}

static void put_nodes(view *v)
{
    const lines *l = v->style->utf8 ? &drawn : &ascii;
    uint32_t half = 0, block = 0;
    for (size_t i = 0; i < v->fold->n_nodes; i++) {
        const ps_fold_node *node = &v->fold->nodes[i];
        bool inside = node->group && !node->whole;
        if (inside && node->group != half)
            put_begin(v, l, node, &block);
        half = inside ? node->group : 0;
        bool joins = node->node->op == PS_GRAPH_ADD && inside;
        put_row(v, joins ? l->ends : inside ? l->beside : l->on, node);
    }
}

static void put_title(ps_buf *out, const ps_style *style, const char *name, const ps_graph *g)
{
    const char *dot = style->utf8 ? " · " : ", ";
    ps_put_text(out, style, PS_COLOR_BOLD, name);
    ps_buf_printf(out, "%s%s%s%s parameters%s%s", dot, g->architecture, dot,
                  ps_human_count((double)g->numbers).text, dot,
                  ps_human_bytes((double)g->bytes).text);
    if (g->numbers)
        ps_buf_printf(out, "%s%.3g bits each", dot, 8.0 * (double)g->bytes / (double)g->numbers);
    ps_buf_printf(out, "%s%s a %s\n\n", dot, ps_flops_text(g->flops).text,
                  g->language ? "token" : "row");
}

void ps_graph_text(ps_buf *out, const ps_style *style, const char *name, const ps_fold *fold,
                   const ps_quantity *quantity)
{
    char bar[48];
    (void)snprintf(bar, sizeof bar, "%s%s", quantity->name, quantity->additive ? " in all" : "");
    for (char *c = bar; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    const char *const headers[] = {"PASS", ">SHAPE", "FORM", ">BYTES", ">FLOP", bar, "", NULL};
    view v = {.table = ps_table_new(headers),
              .style = style,
              .fold = fold,
              .quantity = quantity,
              .scale = ps_scale_of(quantity, fold)};
    for (size_t i = 0; i < fold->n_nodes; i++)
        v.most = fmax(v.most, bar_of(&v, &fold->nodes[i]));
    put_nodes(&v);
    put_title(out, style, name, fold->graph);
    ps_table_render(v.table, style, out);
    ps_table_free(&v.table);
}
