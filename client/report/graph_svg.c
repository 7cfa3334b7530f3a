/* Frames first, then lines, then nodes over them. Cannot fail. */
#include "client/report/graph_svg.h"

#include "client/report/assets.h"
#include "client/report/graph_place.h"
#include "client/report/graph_view.h"
#include "client/report/html.h"
#include "client/report/palette.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GLYPH = 40, STRIPES = 32, LEGEND = 260 };

typedef struct picture {
    ps_buf *out;
    const ps_fold *fold;
    const ps_places *places;
    ps_scale scale;
    const ps_measured *measured; /* NULL: it is the nodes' */
    double least, most;          /* sides of matrices */
} picture;

/* ---- glyphs: a matrix to scale, in its column blocks ---- */

static void find_sides(picture *p)
{
    const ps_graph *g = p->fold->graph;
    p->least = INFINITY;
    for (size_t i = 0; i < g->n_tensors; i++) {
        const ps_graph_tensor *t = &g->tensors[i];
        if (t->n_dims != 2)
            continue;
        p->least = fmin(p->least, (double)(t->rows < t->columns ? t->rows : t->columns));
        p->most = fmax(p->most, (double)(t->rows < t->columns ? t->columns : t->rows));
    }
}

static double side_of(const picture *p, uint64_t side, double whole)
{
    double place = p->most > p->least ? log((double)side / p->least) / log(p->most / p->least) : 1;
    return fmax(3, whole * (0.3 + 0.7 * fmin(fmax(place, 0), 1)));
}

/* What it is coloured by: of the whole node, or what was measured of its parts. */
static ps_measured_tensor value_of(const picture *p, const ps_fold_node *node)
{
    ps_measured_tensor value = {.parts = {NAN}, .n = 1};
    if (p->measured)
        ps_measured_node(p->measured, p->fold, (size_t)(node - p->fold->nodes), &value);
    else
        value.parts[0] = p->scale.quantity->of(&node->one);
    return value;
}

static void put_fill(picture *p, const char *class, double value)
{
    double place = ps_scale_place(&p->scale, value);
    ps_html(p->out, "<rect class=\"%s\"", class);
    if (isfinite(place))
        ps_html(p->out, " fill=\"%s\"", ps_rgb_hex(ps_scale_colour(&p->scale, place)).text);
}

static void put_glyph(picture *p, const ps_fold_node *node, const ps_graph_tensor *t, double x,
                      double y, double room)
{
    const char *class = node->node->n > 0 ? "fill" : "fill shared";
    const ps_measured_tensor value = value_of(p, node);
    double w = side_of(p, t->columns, room), h = t->n_dims == 2 ? side_of(p, t->rows, room) : 4;
    uint32_t k = value.n > 1 ? value.n : value.down ? 1 : t->column_blocks;
    k = k < STRIPES ? k : STRIPES;
    double side = value.down ? h : w, gap = k > 1 ? fmin(1.5, side / (3.0 * k)) : 0;
    double each = (side - gap * (k - 1)) / k;
    x += (room - w) / 2;
    y += (room - h) / 2;
    for (uint32_t i = 0; i < k; i++) {
        put_fill(p, class, value.n ? value.parts[value.n > 1 ? i * value.n / k : 0] : NAN);
        double at = i * (each + gap);
        ps_html(p->out, " x=\"%.1f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"/>",
                value.down ? x : x + at, value.down ? y + at : y, value.down ? w : each,
                value.down ? each : h);
    }
}

/* "stable rank 12.3", or of parts their ends. */
static void put_measured(picture *p, const ps_fold_node *node)
{
    const ps_measured_tensor value = value_of(p, node);
    double least = INFINITY, most = -INFINITY;
    for (uint32_t i = 0; p->measured && i < value.n; i++)
        if (isfinite(value.parts[i])) {
            least = fmin(least, value.parts[i]);
            most = fmax(most, value.parts[i]);
        }
    if (!(most >= least))
        return;
    ps_html(p->out, value.n > 1 ? "\n%s: %.3g to %.3g in %u parts" : "\n%s: %.3g",
            p->scale.quantity->title, least, most, value.n);
    if (node->times > 1)
        ps_html(p->out, ", the mean of %u", node->times);
}

/* ---- texts ---- */

/* About as many characters as fit, of a font of this size. */
static void put_text(picture *p, const char *class, double x, double y, double room, double size,
                     const char *text)
{
    const ps_style style = {.utf8 = true};
    ps_buf cut = PS_BUF_EMPTY;
    ps_put_clean(&cut, &style, text, (size_t)(room / (0.55 * size)));
    ps_html(p->out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>", class, x, y,
            ps_buf_cstr(&cut));
    ps_buf_free(&cut);
}

/* "576×576 · q4_0 · 187 kB" */
static void describe(const picture *p, const ps_fold_node *node, ps_buf *out, bool form)
{
    const ps_graph_tensor *t = node->whole ? NULL : ps_weight_of(p->fold->graph, node->node);
    const char *dot = "";
    if (t && !form) {
        ps_buf_puts(out, ps_shape_of(t, true).text);
        dot = " · ";
    }
    if (node->one.bytes) {
        ps_buf_printf(out, "%s%s · %s", dot, node->forms,
                      ps_human_bytes((double)node->one.bytes).text);
        dot = " · ";
    }
    if (!form && *node->node->about && !node->whole)
        ps_buf_printf(out, "%s%s", dot, node->node->about);
}

/* All that is known, a line each: what hovering and focus show. */
static void put_title(picture *p, const ps_fold_node *node)
{
    const ps_graph *g = p->fold->graph;
    ps_buf line = PS_BUF_EMPTY;
    ps_html(p->out, "<title>%s", node->name);
    if (node->times > 1)
        ps_html(p->out, " ×%u", node->times);
    describe(p, node, &line, false);
    if (line.len)
        ps_html(p->out, "\n%s", ps_buf_cstr(&line));
    if (node->one.flops > 0)
        ps_html(p->out, "\n%s", ps_flops_text(node->one.flops).text);
    put_measured(p, node);
    const ps_graph_tensor *t =
        node->whole || !node->node->n ? NULL : &g->tensors[node->node->first];
    if (t && *ps_cut_of(t, true).text)
        ps_html(p->out, "\ncolumn blocks: %s%s", ps_cut_of(t, true).text,
                t->slice == PS_GRAPH_SLICE_INPUTS ? " (their products are added)"
                                                  : " (side by side)");
    for (uint32_t i = 0; t && i < node->node->n; i++)
        ps_html(p->out, "\n%s", t[i].name);
    ps_buf_puts(p->out, "</title>");
    ps_buf_free(&line);
}

/* ---- nodes ---- */

static void put_wide_card(picture *p, const ps_fold_node *node, const ps_place_box *b)
{
    const ps_graph_tensor *t = node->whole ? NULL : ps_weight_of(p->fold->graph, node->node);
    ps_buf line = PS_BUF_EMPTY;
    describe(p, node, &line, false);
    if (t)
        put_glyph(p, node, t, b->x + 9, b->y + (b->height - GLYPH) / 2.0, GLYPH);
    double left = b->x + (t ? 60 : 16), right = b->x + b->width - 14;
    char *name = node->whole && node->times > 1 ? ps_asprintf("%s × %u", node->name, node->times)
                                                : ps_strdup(node->name);
    put_text(p, "name", left, b->y + 23, right - left - 80, 13, name);
    ps_free(&name);
    put_text(p, "what", left, b->y + 40, right - left, 11, ps_buf_cstr(&line));
    ps_html(p->out, "<text class=\"what\" text-anchor=\"end\" x=\"%.1f\" y=\"%d\">%s</text>", right,
            b->y + 23, ps_flops_text(node->one.flops).text);
    ps_buf_free(&line);
}

static void put_narrow_card(picture *p, const ps_fold_node *node, const ps_place_box *b)
{
    const ps_graph_tensor *t = node->whole ? NULL : ps_weight_of(p->fold->graph, node->node);
    ps_buf line = PS_BUF_EMPTY;
    describe(p, node, &line, true);
    if (t) {
        put_glyph(p, node, t, b->x + b->width - 34, b->y + 8, 26);
        put_text(p, "what", b->x + 11, b->y + 39, b->width - 46, 11, ps_shape_of(t, true).text);
    }
    put_text(p, "name", b->x + 11, b->y + 22, b->width - 44, 13, node->name);
    put_text(p, "what", b->x + 11, b->y + 54, b->width - 14, 11, ps_buf_cstr(&line));
    put_text(p, "what", b->x + 11, b->y + 69, b->width - 14, 11,
             ps_flops_text(node->one.flops).text);
    ps_buf_free(&line);
}

static void put_pill(picture *p, const ps_fold_node *node, const ps_place_box *b)
{
    ps_buf_puts(p->out, "<text class=\"name\"");
    ps_html(p->out, " x=\"%d\" y=\"%d\">%s", b->x + 16, b->y + 20, node->name);
    if (*node->node->about)
        ps_html(p->out, "<tspan class=\"what\" dx=\"8\">%s</tspan>", node->node->about);
    ps_buf_puts(p->out, "</text>");
    ps_html(p->out, "<text class=\"what\" text-anchor=\"end\" x=\"%d\" y=\"%d\">%s</text>",
            b->x + b->width - 14, b->y + 20, ps_flops_text(node->one.flops).text);
}

static void put_sum(picture *p, const ps_place_box *b)
{
    int x = b->x + b->width / 2, y = b->y + b->height / 2;
    ps_html(p->out,
            "<circle class=\"sum\" cx=\"%d\" cy=\"%d\" r=\"9\"/>"
            "<path class=\"plus\" d=\"M%d %dh8m-4 -4v8\"/>",
            x, y, x - 4, y);
}

static void put_node(picture *p, uint32_t i)
{
    const ps_fold_node *node = &p->fold->nodes[i];
    const ps_place_box *b = &p->places->boxes[i];
    static const char *const classes[] = {"card", "pill", "sum"};
    ps_html(p->out,
            "<g class=\"node %s\" id=\"node-%u\" role=\"img\" data-cell=\"%u,%u\" data-key=\"%u\">",
            classes[b->kind], i, node->rank, i, i);
    put_title(p, node);
    if (b->kind != PS_PLACE_SUM)
        ps_html(p->out,
                "<rect class=\"box\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"%d\"/>",
                b->x, b->y, b->width, b->height, b->kind == PS_PLACE_PILL ? b->height / 2 : 7);
    if (b->kind == PS_PLACE_SUM)
        put_sum(p, b);
    else if (b->kind == PS_PLACE_PILL)
        put_pill(p, node, b);
    else if (b->width > PS_PLACE_WIDTH / 2)
        put_wide_card(p, node, b);
    else
        put_narrow_card(p, node, b);
    ps_buf_puts(p->out, "</g>\n");
}

/* ---- lines ---- */

static double middle_x(const ps_place_box *b)
{
    return b->x + b->width / 2.0;
}

static double middle_y(const ps_place_box *b)
{
    return b->y + b->height / 2.0;
}

/* Is the node's output the residual stream, or (from) does it go on there? */
static bool on_stream(const picture *p, uint32_t i)
{
    const ps_fold_node *node = &p->fold->nodes[i];
    if (!p->places->stream)
        return false;
    if (p->places->boxes[i].kind == PS_PLACE_SUM)
        return true;
    for (size_t e = 0; node->node->op == PS_GRAPH_EMBEDDING && e < p->fold->n_edges; e++)
        if (p->fold->edges[e].from == i && p->fold->edges[e].skip)
            return true;
    return false;
}

static void put_edge(picture *p, const ps_fold_edge *edge)
{
    const ps_place_box *from = &p->places->boxes[edge->from], *to = &p->places->boxes[edge->to];
    double x = middle_x(from), y = from->y + from->height, to_x = middle_x(to);
    int stream = PS_PLACE_STREAM;
    if (edge->skip || (on_stream(p, edge->from) && to->kind == PS_PLACE_SUM)) {
        double top =
            on_stream(p, edge->from) && from->kind == PS_PLACE_SUM ? middle_y(from) : y + 8;
        if (from->kind != PS_PLACE_SUM)
            ps_html(p->out, "<path class=\"skip\" d=\"M%.1f %.1fv3q0 5 -5 5H%dq-5 0 -5 5V%.1f\"/>",
                    x, y, stream + 5, middle_y(to));
        else
            ps_html(p->out, "<path class=\"skip\" d=\"M%d %.1fV%.1f\"/>", stream, top,
                    middle_y(to));
    } else if (on_stream(p, edge->from)) { /* a branch */
        double turn = middle_y(to);
        bool last = from->kind == PS_PLACE_SUM && !p->fold->nodes[edge->to].group;
        if (last)
            ps_html(p->out, "<path class=\"skip\" d=\"M%d %.1fV%.1f\"/>", stream, middle_y(from),
                    turn - 6);
        ps_html(p->out, "<path class=\"line\" d=\"M%d %.1fq0 6 6 6H%d\"/>", stream, turn - 6,
                to->x);
        ps_html(p->out, "<path class=\"head\" d=\"M%d %.1fl-6 -3.5v7z\"/>", to->x, turn);
    } else if (to->kind == PS_PLACE_SUM) { /* and back */
        ps_html(p->out, "<path class=\"line\" d=\"M%.1f %.1fV%.1fq0 6 -6 6H%d\"/>", x, y,
                middle_y(to) - 6, to->x + to->width);
        ps_html(p->out, "<path class=\"head\" d=\"M%d %.1fl6 -3.5v7z\"/>", to->x + to->width,
                middle_y(to));
    } else if (fabs(x - to_x) < 1) {
        ps_html(p->out, "<path class=\"line\" d=\"M%.1f %.1fV%d\"/>", x, y, to->y);
    } else {
        ps_html(p->out, "<path class=\"line\" d=\"M%.1f %.1fV%.1fH%.1fV%d\"/>", x, y,
                y + (to->y - y) / 2, to_x, to->y);
    }
}

static void put_frames(picture *p)
{
    const ps_graph_group *groups = p->fold->graph->groups;
    for (size_t i = 0; i < p->places->n_frames; i++) {
        const ps_place_frame *frame = &p->places->frames[i];
        ps_html(p->out,
                "<rect class=\"frame\" x=\"2\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"12\"/>",
                frame->y, PS_PLACE_WIDTH - 4, frame->height);
        ps_html(p->out, "<text class=\"times\" x=\"%d\" y=\"%d\">block ", PS_PLACE_LEFT,
                frame->y + 22);
        if (frame->times > 1)
            ps_html(p->out, "× %u", frame->times);
        else
            ps_html(p->out, "%u", groups[frame->group].block);
        ps_buf_puts(p->out, "</text>\n");
    }
    for (size_t i = 0; i < p->places->n_labels; i++)
        ps_html(p->out, "<text class=\"half\" x=\"%d\" y=\"%d\">%s</text>\n", PS_PLACE_LEFT,
                p->places->labels[i].y + 13, groups[p->places->labels[i].group].name);
}

static void put_begin(picture *p, const char *name, bool alone)
{
    const ps_graph *g = p->fold->graph;
    int height = p->places->height + (alone ? 60 : 0);
    ps_html(p->out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" id=\"graph-figure\" "
            "viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"group\" "
            "aria-labelledby=\"graph-title graph-desc\">\n",
            PS_PLACE_WIDTH, height, PS_PLACE_WIDTH, height);
    ps_html(p->out, "<title id=\"graph-title\">%s: what it computes</title>\n", name);
    ps_html(p->out, "<desc id=\"graph-desc\">%s of %s parameters, %s; coloured by %s.</desc>\n",
            g->architecture, ps_human_count((double)g->numbers).text,
            ps_human_bytes((double)g->bytes).text, p->scale.quantity->title);
    if (p->measured) {
        ps_buf note = PS_BUF_EMPTY;
        ps_measured_note(p->measured, g, &note);
        ps_html(p->out, "<desc>%s.</desc>\n", ps_buf_cstr(&note));
        ps_buf_free(&note);
    }
    if (!alone)
        return;
    ps_buf_puts(p->out, "<style>");
    ps_buf_append(p->out, ps_figure_css, ps_figure_css_size);
    ps_buf_puts(p->out, "</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n");
}

void ps_graph_svg(ps_buf *out, const char *name, const ps_fold *fold, const ps_quantity *quantity,
                  const ps_measured *measured, bool alone)
{
    ps_places *places = ps_places_of(fold);
    picture p = {.out = out,
                 .fold = fold,
                 .places = places,
                 .scale = measured ? measured->scale : ps_scale_of(quantity, fold),
                 .measured = measured};
    find_sides(&p);
    put_begin(&p, name, alone);
    put_frames(&p);
    for (size_t i = 0; i < fold->n_edges; i++)
        put_edge(&p, &fold->edges[i]);
    for (uint32_t i = 0; i < fold->n_nodes; i++)
        put_node(&p, i);
    if (alone) {
        ps_html(out, "<g transform=\"translate(%d %d)\">\n", PS_PLACE_LEFT, places->height + 4);
        ps_legend_svg(out, &p.scale);
        ps_buf_puts(out, "</g>\n");
    }
    ps_buf_puts(out, "</svg>\n");
    ps_places_free(&places);
}

void ps_legend_svg(ps_buf *out, const ps_scale *scale)
{
    enum { STEPS = 16 };
    ps_html(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" id=\"legend\" viewBox=\"0 0 "
        "%d 46\" width=\"%d\" height=\"46\" role=\"img\"><title>%s, from %s to %s</title>\n"
        "<defs><linearGradient id=\"scale\">",
        LEGEND, LEGEND, scale->quantity->title, scale->quantity->text(scale->least).text,
        scale->quantity->text(scale->most).text);
    for (int i = 0; i <= STEPS; i++)
        ps_html(out, "<stop offset=\"%g\" stop-color=\"%s\"/>", (double)i / STEPS,
                ps_rgb_hex(ps_scale_colour(scale, (double)i / STEPS)).text);
    ps_html(
        out,
        "</linearGradient></defs>\n<text class=\"what\" y=\"11\" id=\"legend-name\">%s%s</text>"
        "<rect fill=\"url(#scale)\" y=\"18\" width=\"%d\" height=\"10\" rx=\"3\"/>"
        "<text class=\"what\" y=\"42\" id=\"legend-least\">%s</text>"
        "<text class=\"what\" y=\"42\" x=\"%d\" text-anchor=\"end\" id=\"legend-most\">%s</text>"
        "</svg>\n",
        scale->quantity->title, scale->quantity->log ? ", by its logarithm" : "", LEGEND,
        scale->quantity->text(scale->least).text, LEGEND, scale->quantity->text(scale->most).text);
}
