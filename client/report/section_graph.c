/* Graph: the model drawn along its pass, what takes how much, where blocks differ, and every
 * tensor. */
#include "client/report/block_map.h"
#include "client/report/graph_svg.h"
#include "client/report/graph_view.h"
#include "client/report/html.h"
#include "client/report/palette.h"
#include "client/report/section_rows.h"
#include "client/report/shares.h"

#include <inttypes.h>
#include <string.h>

static bool present(const ps_report *r)
{
    return r->graph && r->fold;
}

static bool has_map(const ps_report *r)
{
    return ps_block_map_differs(r->graph) && ps_block_map_cells(r->graph) <= PS_BLOCK_MAP_CELLS;
}

/* ---- beside the picture ---- */

static void put_chooser(const ps_report *r, ps_buf *out)
{
    ps_buf_puts(out, "<div class=\"control with-js\"><label>Coloured by<select id=\"colour\">");
    for (size_t i = 0; ps_quantities[i]; i++)
        ps_html(out, "<option%s>%s</option>",
                ps_quantities[i] == r->quantity && !r->measured ? " selected" : "",
                ps_quantities[i]->title);
    if (r->measured)
        ps_html(out, "<option selected>%s</option>", r->measured->quantity.title);
    ps_buf_puts(out, "</select></label></div>\n");
}

/* Which tensors have none, and what the colour of one for many is. */
static void put_measured(const ps_report *r, ps_buf *out)
{
    ps_buf note = PS_BUF_EMPTY;
    if (!r->measured)
        return;
    ps_measured_note(r->measured, r->graph, &note);
    ps_html(out, "<p class=\"note\">%s%s.</p>\n", ps_buf_cstr(&note),
            r->graph->n_blocks > 1 && r->fold->depth < PS_FOLD_ALL
                ? ". Of a tensor that is drawn once for all blocks it is their mean"
                : "");
    ps_buf_free(&note);
}

static void put_side(const ps_report *r, ps_buf *out)
{
    ps_scale scale = r->measured ? r->measured->scale : ps_scale_of(r->quantity, r->fold);
    ps_buf_puts(out, "<div class=\"side\">\n");
    put_chooser(r, out);
    ps_legend_svg(out, &scale);
    put_measured(r, out);
    ps_buf_puts(out, "<h3>Where the bytes are</h3>\n");
    ps_shares_html(out, r->graph, ps_quantity_find("bytes"));
    ps_html(out, "<h3>Where the work of a %s is</h3>\n", r->graph->language ? "token" : "row");
    ps_shares_html(out, r->graph, ps_quantity_find("flops"));
    if (has_map(r) && !r->measured) {
        ps_buf_puts(out, "<h3>Where blocks differ</h3>\n<div class=\"scroll\">");
        ps_block_map_svg(out, r->graph, &scale);
        ps_buf_puts(out, "</div>\n");
    } else if (r->graph->n_blocks > 1 && !ps_block_map_differs(r->graph)) {
        ps_html(out, "<p class=\"note\">All %u blocks are stored alike.</p>\n", r->graph->n_blocks);
    }
    ps_buf_puts(out, "<div class=\"detail\" id=\"detail\" aria-live=\"polite\"></div>\n</div>\n");
}

static void put_reading(const ps_report *r, ps_buf *out)
{
    ps_buf_puts(out, "<figcaption class=\"note\">Read it from the top. ");
    if (r->graph->n_blocks && r->fold->depth >= PS_FOLD_OPS)
        ps_buf_puts(out, "The thick line is the residual stream: what a half of a block makes of "
                         "it is added to it. ");
    ps_buf_puts(out, "A matrix is drawn as wide and as high as the logarithms of its sides");
    if (r->graph->column_blocks > 1)
        ps_html(out,
                ", and cut into the %u column blocks that psd kept it in: of inputs, whose "
                "products are added, or of outputs, which stand side by side",
                r->graph->column_blocks);
    ps_buf_puts(out, ".</figcaption>");
}

/* ---- the table ---- */

static const char *const headers[] = {
    "<th>Tensor</th>",
    "<th>Shape</th>",
    "<th>Form</th>",
    "<th class=\"n\">Bytes</th>",
    "<th class=\"n\">Bits</th>",
    "<th>Column blocks</th>",
};

static void put_tensor(const ps_report *r, uint32_t node, const ps_graph_tensor *t, ps_buf *out)
{
    ps_html(out, "<tr data-key=\"%u\" data-find=\"%s\"><td><code>%s</code></td>",
            r->fold->drawn_by[node], t->name, t->name);
    ps_html(out, "<td data-v=\"%" PRIu64 "\">%s</td><td>%s</td>", t->numbers,
            ps_shape_of(t, true).text, t->form);
    ps_html(out, "<td class=\"n\" data-v=\"%" PRIu64 "\">%s</td>", t->bytes,
            ps_human_bytes((double)t->bytes).text);
    ps_html(out, "<td class=\"n\">%.3g</td><td>%s</td></tr>\n",
            8.0 * (double)t->bytes / (double)t->numbers, ps_cut_of(t, true).text);
}

static void put_table(ps_report *r, ps_buf *out)
{
    const ps_graph *g = r->graph;
    ps_html(out,
            "<details class=\"more\"%s><summary>Tensors, %zu</summary>\n<div class=\"scroll\">"
            "<table class=\"sort\"><thead><tr>",
            g->n_tensors <= 40 ? " open" : "", g->n_tensors);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        ps_buf_puts(out, headers[i]);
    ps_buf_puts(out, "</tr></thead>\n<tbody>\n");
    ps_buf row = PS_BUF_EMPTY;
    size_t left_out = 0;
    for (uint32_t i = 0; i < g->n_nodes; i++)
        for (uint32_t k = 0; k < g->nodes[i].n; k++) {
            put_tensor(r, i, &g->tensors[g->nodes[i].first + k], &row);
            left_out += !ps_room_take(&r->room, &row, out);
        }
    ps_buf_free(&row);
    ps_buf_puts(out, "</tbody></table></div>\n</details>\n");
    if (!left_out)
        return;
    ps_html(out, "<p class=\"left-out\">%zu tensors are left out of the table.</p>\n", left_out);
    ps_room_left_out(&r->room, "%zu of %zu tensors in the table of the graph", left_out,
                     g->n_tensors);
}

static void draw(ps_report *r, ps_buf *out)
{
    ps_buf picture = PS_BUF_EMPTY;
    ps_graph_svg(&picture, r->title, r->fold, r->quantity, r->measured, false);
    ps_buf_puts(out, "<div class=\"split\">\n<figure>\n<div class=\"zoom\">");
    if (!ps_room_take(&r->room, &picture, out)) {
        ps_buf_puts(out, "<p class=\"left-out\">The picture is left out.</p>");
        ps_room_left_out(&r->room, "the picture of the graph");
    }
    ps_buf_free(&picture);
    ps_buf_puts(out, "</div>\n");
    put_reading(r, out);
    ps_buf_puts(out, "</figure>\n");
    put_side(r, out);
    ps_buf_puts(out, "</div>\n");
    put_table(r, out);
}

/* ---- for the script ---- */

static void put_quantities(const ps_report *r, ps_json_writer *w)
{
    ps_json_key(w, "quantities");
    ps_json_array(w);
    for (size_t i = 0; ps_quantities[i]; i++) {
        ps_scale scale = ps_scale_of(ps_quantities[i], r->fold);
        ps_json_object(w);
        ps_json_put_string(w, "name", ps_quantities[i]->name);
        ps_json_put_string(w, "title", ps_quantities[i]->title);
        ps_json_put_bool(w, "log", ps_quantities[i]->log);
        ps_json_put_double(w, "least", scale.least);
        ps_json_put_double(w, "most", scale.most);
        ps_json_put_string(w, "least_text", ps_quantities[i]->text(scale.least).text);
        ps_json_put_string(w, "most_text", ps_quantities[i]->text(scale.most).text);
        ps_json_object_end(w);
    }
    if (r->measured) { /* as it is drawn */
        const ps_measured *m = r->measured;
        ps_json_object(w);
        ps_json_put_string(w, "name", m->quantity.name);
        ps_json_put_string(w, "title", m->quantity.title);
        ps_json_put_bool(w, "log", m->quantity.log);
        ps_json_put_bool(w, "drawn", true);
        ps_json_put_string(w, "least_text", m->quantity.text(m->scale.least).text);
        ps_json_put_string(w, "most_text", m->quantity.text(m->scale.most).text);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
}

static void data(const ps_report *r, ps_json_writer *w)
{
    enum { STOPS = 17 };
    ps_json_key(w, "palette");
    ps_json_array(w);
    for (int i = 0; i < STOPS; i++)
        ps_json_string(w, ps_rgb_hex(ps_palette_sequential(i / (STOPS - 1.0))).text);
    ps_json_array_end(w);
    put_quantities(r, w);
    ps_json_key(w, "values");
    ps_json_object(w);
    for (size_t i = 0; i < r->fold->n_nodes; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "node-%zu", i);
        ps_json_key(w, id);
        ps_json_array(w);
        for (size_t q = 0; ps_quantities[q]; q++)
            ps_json_double(w, ps_quantities[q]->of(&r->fold->nodes[i].one));
        ps_json_array_end(w);
    }
    if (has_map(r) && !r->measured)
        ps_block_map_values(w, r->graph);
    ps_json_object_end(w);
    ps_json_key(w, "graph");
    ps_graph_json(w, r->title, r->graph);
}

const ps_report_section ps_section_graph = {
    .id = "graph", .title = "Graph", .present = present, .draw = draw, .data = data};
