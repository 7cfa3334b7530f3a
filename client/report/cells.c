/* Limits are over all cells: of signs the largest size, else the least and the most. Cannot fail.
 */
#include "client/report/cells.h"

#include "client/report/html.h"
#include "client/report/palette.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { LEFT = 26, WIDE = 20, HIGH = 16, APART = 8, HEAD = 16, FOOT = 18 };

typedef struct limits {
    double least, most;
} limits;

static limits limits_of(const ps_cells *c)
{
    limits l = {.least = INFINITY, .most = -INFINITY};
    for (uint64_t i = 0; i < c->rows * c->columns; i++) {
        double v = c->with_sign ? fabs(c->values[i]) : c->values[i];
        if (!isfinite(v))
            continue;
        l.least = fmin(l.least, v);
        l.most = fmax(l.most, v);
    }
    return l;
}

static ps_rgb colour_of(const ps_cells *c, limits l, double v)
{
    if (c->with_sign)
        return ps_palette_diverging(l.most > 0 ? v / l.most : 0);
    return ps_palette_sequential(l.most > l.least ? (v - l.least) / (l.most - l.least) : 0.5);
}

static int left_of(const ps_cells *c, uint64_t column)
{
    bool apart = c->last_apart && column + 1 == c->columns;
    return LEFT + (int)column * WIDE + (apart ? APART : 0);
}

static void put_cell(ps_buf *out, const ps_cells *c, limits l, uint64_t row, uint64_t column)
{
    double v = c->values[row * c->columns + column];
    bool apart = c->last_apart && column + 1 == c->columns;
    if (!isfinite(v))
        return;
    ps_html(out, "<g class=\"cell\" data-cell=\"%" PRIu64 ",%" PRIu64 "\"><title>%s %" PRIu64 ", ",
            row, column, c->row, row);
    if (apart)
        ps_html_text(out, c->last);
    else
        ps_html(out, "%s %" PRIu64, c->column, column);
    ps_html(out, c->with_sign ? "\n%+.4g" : "\n%.4g", v);
    ps_html(out,
            "</title><rect class=\"fill\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"2\" "
            "fill=\"%s\"/></g>\n",
            left_of(c, column), HEAD + (int)row * HIGH, WIDE - 2, HIGH - 2,
            ps_rgb_hex(colour_of(c, l, v)).text);
}

static void put_names(ps_buf *out, const ps_cells *c)
{
    for (uint64_t i = 0; i < c->rows; i++)
        if (c->rows <= 12 || i % 5 == 0)
            ps_html(out,
                    "<text class=\"what\" text-anchor=\"end\" x=\"%d\" y=\"%d\">%" PRIu64 "</text>",
                    LEFT - 6, HEAD + (int)i * HIGH + 11, i);
    for (uint64_t i = 0; i < c->columns; i++) {
        bool apart = c->last_apart && i + 1 == c->columns;
        if (!apart && c->columns > 13 && i % 5)
            continue;
        ps_html(out, "<text class=\"what\" text-anchor=\"middle\" x=\"%d\" y=\"11\">",
                left_of(c, i) + WIDE / 2 - 1);
        if (apart)
            ps_html_text(out, c->last);
        else
            ps_html(out, "%" PRIu64, i);
        ps_buf_puts(out, "</text>");
    }
}

void ps_cells_svg(ps_buf *out, const ps_cells *c)
{
    limits l = limits_of(c);
    if (!c->columns || !c->rows || c->columns > PS_CELLS_MOST ||
        c->rows > PS_CELLS_MOST / c->columns || !(l.most >= l.least))
        return;
    int width = left_of(c, c->columns - 1) + WIDE + 8, height = HEAD + (int)c->rows * HIGH + FOOT;
    width = width < 180 ? 180 : width;
    ps_html(out,
            "<svg class=\"figure\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "role=\"group\"><title>%s</title>\n",
            width, height, width, height, c->title);
    put_names(out, c);
    for (uint64_t row = 0; row < c->rows; row++)
        for (uint64_t column = 0; column < c->columns; column++)
            put_cell(out, c, l, row, column);
    if (c->with_sign)
        ps_html(out, "<text class=\"what\" x=\"%d\" y=\"%d\">white 0, to ±%.3g</text></svg>\n",
                LEFT, height - 4, l.most);
    else
        ps_html(out, "<text class=\"what\" x=\"%d\" y=\"%d\">dark %.3g, light %.3g</text></svg>\n",
                LEFT, height - 4, l.least, l.most);
}
