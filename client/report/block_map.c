/* Columns are the nodes of a block that have a matrix. Cannot fail. */
#include "client/report/block_map.h"

#include "client/report/html.h"
#include "client/report/palette.h"

#include <math.h>
#include <stdio.h>

enum { LEFT = 34, TOP = 86, CELL_WIDTH = 34, CELL_HEIGHT = 12, GAP = 2 };

static const ps_graph_node *node_at(const ps_graph *g, uint32_t block, uint32_t i)
{
    return &g->nodes[g->block_first + block * g->block_nodes + i];
}

static bool is_column(const ps_graph *g, uint32_t i)
{
    const ps_graph_node *node = node_at(g, 0, i);
    return node->n && g->tensors[node->first].n_dims == 2;
}

static ps_fold_sum sum_of(const ps_graph *g, const ps_graph_node *node)
{
    ps_fold_sum sum = {.flops = node->flops};
    for (uint32_t i = 0; i < node->n; i++) {
        sum.numbers += g->tensors[node->first + i].numbers;
        sum.bytes += g->tensors[node->first + i].bytes;
    }
    return sum;
}

static size_t columns_of(const ps_graph *g)
{
    size_t n = 0;
    for (uint32_t i = 0; i < g->block_nodes; i++)
        n += is_column(g, i);
    return n;
}

size_t ps_block_map_cells(const ps_graph *g)
{
    return g->n_blocks ? columns_of(g) * g->n_blocks : 0;
}

bool ps_block_map_differs(const ps_graph *g)
{
    for (uint32_t b = 1; b < g->n_blocks; b++)
        for (uint32_t i = 0; i < g->block_nodes; i++)
            if (sum_of(g, node_at(g, b, i)).bytes != sum_of(g, node_at(g, 0, i)).bytes)
                return true;
    return false;
}

static void put_heads(ps_buf *out, const ps_graph *g)
{
    uint32_t column = 0;
    for (uint32_t i = 0; i < g->block_nodes; i++)
        if (is_column(g, i)) {
            int x = LEFT + (int)column++ * (CELL_WIDTH + GAP) + CELL_WIDTH / 2 + 4;
            ps_html(out,
                    "<text class=\"what\" transform=\"translate(%d %d) rotate(-50)\">%s</text>", x,
                    TOP - 6, node_at(g, 0, i)->name);
        }
}

static void put_cell(ps_buf *out, const ps_graph *g, const ps_scale *scale, uint32_t block,
                     uint32_t i, uint32_t column)
{
    const ps_graph_node *node = node_at(g, block, i);
    const ps_graph_tensor *t = &g->tensors[node->first];
    const ps_fold_sum sum = sum_of(g, node);
    ps_html(out,
            "<g class=\"cell\" id=\"cell-%u-%u\" role=\"img\" data-cell=\"%u,%u\"><title>block %u, "
            "%s\n%s · %.3g bits a number · %s</title>",
            block, i, block, column, block, node->name, t->form,
            8.0 * (double)sum.bytes / (double)sum.numbers, ps_human_bytes((double)sum.bytes).text);
    ps_html(out, "<rect class=\"fill\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"2\"",
            LEFT + (int)column * (CELL_WIDTH + GAP), TOP + (int)block * (CELL_HEIGHT + GAP),
            CELL_WIDTH, CELL_HEIGHT);
    double place = ps_scale_place(scale, scale->quantity->of(&sum));
    if (isfinite(place))
        ps_html(out, " fill=\"%s\"", ps_rgb_hex(ps_palette_sequential(place)).text);
    ps_buf_puts(out, "/></g>\n");
}

void ps_block_map_svg(ps_buf *out, const ps_graph *g, const ps_scale *scale)
{
    int width = LEFT + (int)columns_of(g) * (CELL_WIDTH + GAP) + 60;
    int height = TOP + (int)g->n_blocks * (CELL_HEIGHT + GAP) + 2;
    ps_html(out,
            "<svg class=\"figure\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"group\">"
            "<title>Each block's matrices, a row a block</title>\n",
            width, height, width, height);
    put_heads(out, g);
    for (uint32_t b = 0; b < g->n_blocks; b++) {
        uint32_t column = 0;
        if (b % 5 == 0 || g->n_blocks < 12)
            ps_html(out, "<text class=\"what\" text-anchor=\"end\" x=\"%d\" y=\"%d\">%u</text>",
                    LEFT - 8, TOP + (int)b * (CELL_HEIGHT + GAP) + 10, b);
        for (uint32_t i = 0; i < g->block_nodes; i++)
            if (is_column(g, i))
                put_cell(out, g, scale, b, i, column++);
    }
    ps_buf_puts(out, "</svg>\n");
}

void ps_block_map_values(ps_json_writer *w, const ps_graph *g)
{
    for (uint32_t b = 0; b < g->n_blocks; b++)
        for (uint32_t i = 0; i < g->block_nodes; i++) {
            if (!is_column(g, i))
                continue;
            char id[48];
            (void)snprintf(id, sizeof id, "cell-%u-%u", b, i);
            const ps_fold_sum sum = sum_of(g, node_at(g, b, i));
            ps_json_key(w, id);
            ps_json_array(w);
            for (size_t q = 0; ps_quantities[q]; q++)
                ps_json_double(w, ps_quantities[q]->of(&sum));
            ps_json_array_end(w);
        }
}
