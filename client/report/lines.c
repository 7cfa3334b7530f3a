/* The scale has the least and the most of all lines, and 0. What is not finite is a gap.
 * Cannot fail. */
#include "client/report/lines.h"

#include "client/report/axis.h"
#include "client/report/html.h"
#include "client/report/palette.h"

#include <inttypes.h>
#include <math.h>

enum { LEFT = 46, TOP = 10, WIDE = 264, HIGH = 150, RIGHT = 14, LEGEND = 17, MARKS_MOST = 60 };

typedef struct scale {
    ps_axis up;
    bool any;
} scale;

static double value_of(const ps_lines *l, size_t line, uint64_t i)
{
    return l->lines[line].values[l->lines[line].level ? 0 : i];
}

static scale scale_of(const ps_lines *l)
{
    double least = 0, most = 0;
    bool any = false;
    for (size_t k = 0; k < l->n_lines; k++)
        for (uint64_t i = 0; i < l->n; i++) {
            double v = value_of(l, k, i);
            if (!isfinite(v))
                continue;
            least = fmin(least, v);
            most = fmax(most, v);
            any = true;
        }
    return (scale){ps_axis_of(least, most > least ? most : least + 1), any};
}

static double across(const ps_lines *l, uint64_t i)
{
    return LEFT + (l->n > 1 ? WIDE * (double)i / (double)(l->n - 1) : WIDE / 2.0);
}

static double up(scale s, double v)
{
    return TOP + HIGH * (1 - ps_axis_place(&s.up, v));
}

static double place_of(const ps_lines *l, uint64_t i)
{
    return l->n > 1 ? l->last * (double)i / (double)(l->n - 1) : 0;
}

/* Of these four each reads on white and on black; the first is the page's own. */
static void put_stroke(ps_buf *out, const ps_lines *l, size_t k)
{
    static const size_t colours[PS_LINES_MOST] = {0, 5, 2, 3};
    static const char *const dashes[PS_LINES_MOST] = {"none", "7 3", "2 3", "9 3 2 3"};
    ps_html(out, " stroke-dasharray=\"%s\"", l->lines[k].level ? "4 4" : dashes[k]);
    if (k)
        ps_html(out, " fill=\"none\" stroke-width=\"1.6\" stroke=\"%s\"",
                ps_rgb_hex(ps_palette_category(colours[k])).text);
    else
        ps_buf_puts(out, " class=\"curve\"");
}

static void put_line(ps_buf *out, const ps_lines *l, size_t k, scale s)
{
    bool on = false;
    ps_buf_puts(out, "<path");
    put_stroke(out, l, k);
    ps_buf_puts(out, " d=\"");
    for (uint64_t i = 0; i < l->n; i++) {
        double v = value_of(l, k, i);
        if (isfinite(v))
            ps_html(out, "%s%.1f %.1f", on ? "L" : "M", across(l, i), up(s, v));
        on = isfinite(v);
    }
    ps_buf_puts(out, "\"/>\n");
    for (uint64_t i = 0; !l->lines[k].level && l->n <= MARKS_MOST && i < l->n; i++)
        if (isfinite(value_of(l, k, i)))
            ps_html(out,
                    "<g class=\"cell\" data-cell=\"%zu,%" PRIu64 "\"><title>%s\n%s: %.4g\n%.4g"
                    "</title><circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/></g>\n",
                    k, i, l->lines[k].name, l->across, place_of(l, i), value_of(l, k, i),
                    across(l, i), up(s, value_of(l, k, i)));
}

/* Where points are counted, as layers are, no mark is between two of them. */
static void put_marks(ps_buf *out, const ps_lines *l)
{
    bool counted = l->n > 1 && l->last + 1 == (double)l->n;
    ps_axis a = ps_axis_of(0, l->last);
    a.step = counted ? fmax(1, round(a.step)) : a.step;
    for (int i = 0; i <= 12 && i * a.step <= l->last * 1.0001; i++)
        ps_html(out, "<text class=\"what\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%s</text>\n",
                l->last > 0 ? LEFT + WIDE * i * a.step / l->last : LEFT + WIDE / 2.0,
                TOP + HIGH + 16, ps_axis_text(&a, i * a.step).text);
}

static void put_axes(ps_buf *out, const ps_lines *l, scale s)
{
    ps_html(out, "<path class=\"axis\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, TOP + HIGH, LEFT + WIDE);
    for (int i = 0; i <= s.up.steps; i++) {
        double mark = ps_axis_mark(&s.up, i);
        ps_html(out, "<text class=\"what\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">%s</text>\n",
                LEFT - 6, up(s, mark) + 4, ps_axis_text(&s.up, mark).text);
    }
    put_marks(out, l);
    ps_html(out, "<text class=\"what\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">%s</text>\n",
            LEFT + WIDE / 2, TOP + HIGH + 31, l->across);
    for (size_t k = 0; k < l->n_lines; k++) {
        int y = TOP + HIGH + 50 + (int)k * LEGEND;
        ps_html(out, "<path d=\"M%d %dh28\"", LEFT, y - 4);
        put_stroke(out, l, k);
        ps_html(out, "/><text class=\"what\" x=\"%d\" y=\"%d\">%s</text>\n", LEFT + 36, y,
                l->lines[k].name);
    }
}

static void put_table(ps_buf *out, const ps_lines *l)
{
    ps_html(out,
            "<details class=\"more\"><summary>The same in numbers</summary><div class=\"scroll\">"
            "<table class=\"sort\"><thead><tr><th class=\"n\">%s</th>",
            l->across);
    for (size_t k = 0; k < l->n_lines; k++)
        ps_html(out, "<th class=\"n\">%s</th>", l->lines[k].name);
    ps_buf_puts(out, "</tr></thead><tbody>\n");
    for (uint64_t i = 0; i < l->n; i++) {
        ps_html(out, "<tr><td class=\"n\" data-v=\"%g\">%.4g</td>", place_of(l, i), place_of(l, i));
        for (size_t k = 0; k < l->n_lines; k++) {
            double v = value_of(l, k, i);
            if (isfinite(v))
                ps_html(out, "<td class=\"n\" data-v=\"%g\">%.4g</td>", v, v);
            else
                ps_buf_puts(out, "<td class=\"n\"></td>");
        }
        ps_buf_puts(out, "</tr>\n");
    }
    ps_buf_puts(out, "</tbody></table></div></details>\n");
}

void ps_lines_html(ps_buf *out, const ps_lines *l)
{
    scale s;
    if (!l->n || l->n > PS_LINES_POINTS_MOST || l->n_lines > PS_LINES_MOST)
        return;
    s = scale_of(l);
    if (!s.any)
        return;
    int width = LEFT + WIDE + RIGHT, height = TOP + HIGH + 42 + (int)l->n_lines * LEGEND;
    ps_html(out,
            "<figure class=\"map keep\"><h3>%s</h3><svg class=\"figure\" viewBox=\"0 0 %d %d\" "
            "width=\"%d\" height=\"%d\" role=\"group\"><title>%s</title><desc>Upwards from %.3g to "
            "%.3g; across: %s. The table behind it has the numbers.</desc>\n",
            l->title, width, height, width, height, l->title, s.up.least, s.up.most, l->across);
    put_axes(out, l, s);
    for (size_t k = 0; k < l->n_lines; k++)
        put_line(out, l, k, s);
    ps_buf_puts(out, "</svg>");
    put_table(out, l);
    ps_buf_puts(out, "</figure>\n");
}
