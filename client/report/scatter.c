/* All marks of a label are one path. Colours come again after the eighth, then with another shape.
 * Cannot fail. */
#include "client/report/scatter.h"

#include "client/report/html.h"
#include "client/report/palette.h"

#include <inttypes.h>
#include <math.h>

enum { SIDE = 250, EDGE = 12, FOOT = 20, SHAPES = 8 };

/* From their middle, about 7 wide. */
static const char *const shapes[SHAPES] = {
    "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "m-2.7-2.7h5.4v5.4h-5.4z",
    "m0-3.5l3.3 6h-6.6z",
    "m0-3.7l3.7 3.7l-3.7 3.7l-3.7-3.7z",
    "m-1.1-3.5h2.2v2.4h2.4v2.2h-2.4v2.4h-2.2v-2.4h-2.4v-2.2h2.4z",
    "m-3.2-1.8l1.4-1.4l1.8 1.8l1.8-1.8l1.4 1.4l-1.8 1.8l1.8 1.8l-1.4 1.4l-1.8-1.8l-1.8 1.8l-1.4-1.4"
    "l1.8-1.8z",
    "m0 3.5l3.3-6h-6.6z",
    "m-3.6-1.3h7.2v2.6h-7.2z",
};

static const char *shape_of(size_t label)
{
    return shapes[(label + label / PS_PALETTE_CATEGORIES) % SHAPES];
}

ps_labels ps_labels_of(const ps_explanation *m, uint64_t rows)
{
    ps_labels l = {.n = 0};
    for (uint64_t i = 0; i < rows && i < m->n_rows; i++) {
        int64_t label = m->rows[i].label;
        size_t at = 0;
        while (at < l.n && l.label[at] < label)
            at++;
        if (label < 0 || (at < l.n && l.label[at] == label))
            continue;
        if (l.n == PS_SCATTER_LABELS_MOST)
            return (ps_labels){.n = 0};
        for (size_t k = l.n++; k > at; k--)
            l.label[k] = l.label[k - 1];
        l.label[at] = label;
    }
    return l;
}

/* ---- the plane ---- */

typedef struct range {
    double least, most;
} range;

static range range_of(const double *values, uint64_t n)
{
    range r = {INFINITY, -INFINITY};
    for (uint64_t i = 0; i < n; i++)
        if (isfinite(values[i]))
            r = (range){fmin(r.least, values[i]), fmax(r.most, values[i])};
    if (!(r.most > r.least))
        r = (range){r.least - 1, r.least + 1};
    return r;
}

static double share(range r, double v)
{
    return (v - r.least) / (r.most - r.least);
}

/* label n: rows without one, or all. */
static bool is_of(const ps_explain_view *v, const ps_labels *l, const ps_scatter *s, uint64_t row,
                  size_t label)
{
    int64_t its = v->manifest->rows[row].label;
    bool has = l->n && its >= 0;
    return isfinite(s->x[row]) && isfinite(s->y[row]) &&
           (label < l->n ? its == l->label[label] : !has);
}

static void put_name(ps_buf *out, const ps_explain_view *v, const ps_labels *l, size_t label)
{
    if (label < l->n)
        ps_output_html(out, v, l->label[label]);
    else
        ps_buf_puts(out, l->n ? "no label" : "rows");
}

static void put_marks(ps_buf *out, const ps_explain_view *v, const ps_labels *l,
                      const ps_scatter *s, size_t label)
{
    range x = range_of(s->x, s->n), y = range_of(s->y, s->n);
    bool any = false;
    for (uint64_t i = 0; i < s->n; i++) {
        if (!is_of(v, l, s, i, label))
            continue;
        if (!any) {
            ps_html(out, "<path class=\"fill\" fill=\"%s\" d=\"",
                    ps_rgb_hex(ps_palette_category(label)).text);
            any = true;
        }
        ps_html(out, "M%.1f %.1f%s", EDGE + SIDE * share(x, s->x[i]),
                EDGE + SIDE * (1 - share(y, s->y[i])), shape_of(label));
    }
    if (!any)
        return;
    ps_buf_puts(out, "\"><title>");
    put_name(out, v, l, label);
    ps_buf_puts(out, "</title></path>\n");
}

static void put_table(ps_buf *out, const ps_explain_view *v, const ps_labels *l,
                      const ps_scatter *s)
{
    ps_html(out,
            "<details class=\"more\"><summary>Where each lies</summary><div class=\"scroll\">"
            "<table class=\"sort\"><thead><tr><th>Label</th><th class=\"n\">Rows</th><th "
            "class=\"n\">%s, mean</th><th class=\"n\">%s, mean</th></tr></thead><tbody>\n",
            s->across, s->up);
    for (size_t label = 0; label <= l->n; label++) {
        uint64_t rows = 0;
        double x = 0, y = 0;
        for (uint64_t i = 0; i < s->n; i++)
            if (is_of(v, l, s, i, label)) {
                rows++;
                x += (s->x[i] - x) / (double)rows;
                y += (s->y[i] - y) / (double)rows;
            }
        if (!rows)
            continue;
        ps_buf_puts(out, "<tr><td>");
        put_name(out, v, l, label);
        ps_html(out,
                "</td><td class=\"n\">%" PRIu64 "</td><td class=\"n\" data-v=\"%g\">%.3g</td><td "
                "class=\"n\" data-v=\"%g\">%.3g</td></tr>\n",
                rows, x, x, y, y);
    }
    ps_buf_puts(out, "</tbody></table></div></details>\n");
}

void ps_scatter_html(ps_buf *out, const ps_explain_view *v, const ps_labels *l, const ps_scatter *s)
{
    int wide = SIDE + 2 * EDGE, high = wide + FOOT;
    ps_html(
        out,
        "<figure class=\"map keep\"><h3>%s</h3><svg class=\"figure\" viewBox=\"0 0 %d %d\" "
        "width=\"%d\" height=\"%d\" role=\"img\"><title>%s</title><desc>A mark a row: %s to the "
        "right, %s upwards; colour and shape are its label.</desc><path class=\"axis\" "
        "d=\"M2 2V%dH%d\"/>\n",
        s->title, wide, high, wide, high, s->title, s->across, s->up, wide - 2, wide - 2);
    for (size_t label = 0; label <= l->n; label++)
        put_marks(out, v, l, s, label);
    ps_html(out, "<text class=\"what\" x=\"2\" y=\"%d\">%s, upwards %s</text></svg>\n", high - 4,
            s->across, s->up);
    put_table(out, v, l, s);
    ps_buf_puts(out, "</figure>\n");
}

void ps_scatter_legend(ps_buf *out, const ps_explain_view *v, const ps_labels *l)
{
    ps_buf_puts(out, "<ul class=\"marks\">\n");
    for (size_t label = 0; label < l->n; label++) {
        ps_html(out,
                "<li><svg class=\"figure\" width=\"12\" height=\"12\" aria-hidden=\"true\"><path "
                "class=\"fill\" fill=\"%s\" d=\"M6 6%s\"/></svg> ",
                ps_rgb_hex(ps_palette_category(label)).text, shape_of(label));
        put_name(out, v, l, label);
        ps_buf_puts(out, "</li>\n");
    }
    ps_buf_puts(out, "</ul>\n");
}
