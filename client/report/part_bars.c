/* Bars from one line of 0, to one scale within a figure. Cannot fail. */
#include "client/report/part_bars.h"

#include "client/report/html.h"
#include "client/report/numbers.h"
#include "client/report/palette.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 64, ROWS = 6, LEFT = 104, WIDE = 220, RIGHT = 66, BAR = 9, HIGH = 26, TOP = 4 };

/* A method's, of a row or the mean of all. */
typedef struct bars {
    ps_numbers players; /* [player, quantity] */
    const ps_explain_view *view;
    uint64_t n;
    double shapley[MOST], lost[MOST], all, none;
} bars;

static bool is_it(const ps_explanation_result *result)
{
    return !strcmp(result->method, "part_shapley") && ps_explanation_find(result, "shapley");
}

bool ps_part_bars_present(const ps_explain_view *view)
{
    for (size_t i = 0; i < view->manifest->n_results; i++)
        if (is_it(&view->manifest->results[i]))
            return true;
    return false;
}

/* ---- numbers ---- */

static const char *array_of(const ps_explanation_result *result, const char *name)
{
    const ps_explanation_array *a = ps_explanation_find(result, name);
    return a ? a->array : "";
}

static void add_row(const ps_explanation_result *result, uint64_t row, double share, bars *b)
{
    ps_numbers shapley = ps_numbers_of(b->view, array_of(result, "shapley"), row),
               lost = ps_numbers_of(b->view, array_of(result, "leave_one_out"), row),
               ends = ps_numbers_of(b->view, array_of(result, "ends"), row);
    for (uint64_t i = 0; i < b->n; i++) {
        b->shapley[i] += share * (i < shapley.n ? ps_number_at(&shapley, i) : NAN);
        b->lost[i] += share * (i < lost.n ? ps_number_at(&lost, i) : NAN);
    }
    b->all += share * (ends.n > 1 ? ps_number_at(&ends, 0) : NAN);
    b->none += share * (ends.n > 1 ? ps_number_at(&ends, 1) : NAN);
}

static bars bars_of(const ps_explain_view *v, const ps_explanation_result *result)
{
    uint64_t n = ps_array_last(v, array_of(result, "shapley"));
    return (bars){.view = v,
                  .players = ps_numbers_whole(v, array_of(result, "players")),
                  .n = n < MOST ? n : MOST};
}

/* kind, layer, number, tensor: as worker/explain/part_shapley.c has them. */
static void put_name(ps_buf *out, const bars *b, uint64_t i)
{
    enum { QUANTITIES = 4 };
    double about[QUANTITIES] = {NAN, NAN, NAN, NAN};
    for (uint64_t k = 0; k < QUANTITIES && i * QUANTITIES + k < b->players.n; k++)
        about[k] = ps_number_at(&b->players, i * QUANTITIES + k);
    if (about[0] == 1)
        ps_html(out, "%.0f %s", about[1], about[2] == 0 ? "attention" : "mlp");
    else if (about[0] == 2)
        ps_html(out, "head %.0f.%.0f", about[1], about[2]);
    else
        ps_html(out, "block %" PRIu64, i);
}

/* ---- a figure ---- */

typedef struct scale {
    double least, most;
} scale;

static scale scale_of(const bars *b)
{
    scale s = {0, 0};
    for (uint64_t i = 0; i < b->n; i++) {
        s.least = fmin(s.least, fmin(b->shapley[i], b->lost[i]));
        s.most = fmax(s.most, fmax(b->shapley[i], b->lost[i]));
    }
    return s;
}

static double place_of(scale s, double v)
{
    return LEFT + (s.most > s.least ? WIDE * (v - s.least) / (s.most - s.least) : 0);
}

static void put_bar(ps_buf *out, scale s, double v, double y, size_t colour)
{
    double a = place_of(s, fmin(v, 0)), b = place_of(s, fmax(v, 0));
    if (isfinite(v))
        ps_html(out,
                "<rect class=\"fill\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" "
                "fill=\"%s\"/>",
                a, y, fmax(b - a, 0.5), BAR, ps_rgb_hex(ps_palette_category(colour)).text);
}

static void put_player(ps_buf *out, const bars *b, scale s, uint64_t i)
{
    double y = TOP + (double)i * HIGH;
    ps_html(out, "<g class=\"cell\" data-cell=\"%" PRIu64 ",0\"><title>", i);
    put_name(out, b, i);
    if (isfinite(b->shapley[i]))
        ps_html(out, "\nits share %+.4g", b->shapley[i]);
    if (isfinite(b->lost[i]))
        ps_html(out, "\nlost without it alone %+.4g", b->lost[i]);
    ps_buf_puts(out, "</title>");
    ps_html(out, "<text class=\"what\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">", LEFT - 8,
            y + BAR + 4);
    put_name(out, b, i);
    ps_buf_puts(out, "</text>");
    put_bar(out, s, b->shapley[i], y, 0);
    put_bar(out, s, b->lost[i], y + BAR + 1, 1);
    if (isfinite(b->shapley[i]))
        ps_html(out, "<text class=\"what\" x=\"%d\" y=\"%.1f\">%+.3g</text>", LEFT + WIDE + 8,
                y + BAR + 4, b->shapley[i]);
    ps_buf_puts(out, "</g>\n");
}

static void put_bars(ps_buf *out, const bars *b, const char *title)
{
    scale s = scale_of(b);
    int width = LEFT + WIDE + RIGHT, height = TOP + (int)b->n * HIGH + 6;
    ps_html(out,
            "<svg class=\"figure\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "role=\"group\"><title>%s: of each part its share of the score, and what is lost "
            "without it alone</title>\n",
            width, height, width, height, title);
    for (uint64_t i = 0; i < b->n; i++)
        put_player(out, b, s, i);
    ps_html(out, "<path class=\"line\" d=\"M%.1f 0V%d\"/></svg>\n", place_of(s, 0), height);
}

static void put_key(ps_buf *out)
{
    static const char *const names[] = {"its share of the score (Shapley)",
                                        "lost without it alone (leave one out)"};
    ps_buf_puts(out, "<ul class=\"key\">\n");
    for (size_t i = 0; i < 2; i++)
        ps_html(out,
                "<li><svg width=\"12\" height=\"12\" aria-hidden=\"true\"><rect width=\"12\" "
                "height=\"12\" rx=\"3\" fill=\"%s\"/></svg><span>%s</span></li>\n",
                ps_rgb_hex(ps_palette_category(i)).text, names[i]);
    ps_buf_puts(out, "</ul>\n");
}

static void put_line(ps_buf *out, const char *label, double v)
{
    if (isfinite(v))
        ps_html(out, "%s %.4g<br>", label, v);
}

/* title: "Row 7", or of all. */
static bool put_figure(ps_report *r, ps_buf *out, const bars *b, const char *title)
{
    ps_buf figure = PS_BUF_EMPTY;
    double shares = 0, lost = 0;
    for (uint64_t i = 0; i < b->n; i++) {
        shares += b->shapley[i];
        lost += b->lost[i];
    }
    ps_html(&figure, "<figure class=\"map keep\"><h3>%s</h3>", title);
    put_bars(&figure, b, title);
    ps_buf_puts(&figure, "<figcaption>");
    put_line(&figure, "with all", b->all);
    put_line(&figure, "with none", b->none);
    put_line(&figure, "shares together", shares);
    put_line(&figure, "lost one by one, together", lost);
    ps_buf_puts(&figure, "</figcaption></figure>\n");
    bool room = ps_room_take(&r->room, &figure, out);
    ps_buf_free(&figure);
    return room;
}

/* ---- a method ---- */

static void put_heading(ps_buf *out, const bars *b)
{
    const ps_explanation *m = b->view->manifest;
    double kind = b->players.n >= 4 ? ps_number_at(&b->players, 0) : NAN,
           tensor = b->players.n >= 4 ? ps_number_at(&b->players, 3) : NAN;
    const char *name =
        tensor >= 0 && tensor < (double)m->n_tensors ? m->tensors[(size_t)tensor] : "a matrix";
    if (kind == 1 || kind == 2)
        ps_html(out, "<h3>What %s are worth together</h3>\n",
                kind == 1 ? "attention and mlps" : "heads");
    else
        ps_html(out, "<h3>What column blocks of %s are worth together</h3>\n", name);
}

static void put_method(ps_report *r, ps_buf *out, const ps_explanation_result *result)
{
    const ps_explain_view *v = r->explanation;
    uint64_t all = ps_array_rows(v, array_of(result, "shapley"));
    bars b = bars_of(v, result);
    all = all < v->manifest->n_rows ? all : v->manifest->n_rows;
    if (!b.n || !all)
        return;
    put_heading(out, &b);
    put_key(out);
    for (uint64_t row = 0; row < all; row++)
        add_row(result, row, 1.0 / (double)all, &b);
    ps_buf_puts(out, "<div class=\"maps\">\n");
    bool room = all == 1 || put_figure(r, out, &b, "The mean of all rows");
    size_t shown = ps_rows_shown(v), i = 0;
    for (; room && i < shown && i < ROWS && ps_row_shown(v, i) < all; i++) {
        char title[48];
        uint64_t row = ps_row_shown(v, i);
        b = bars_of(v, result);
        add_row(result, row, 1, &b);
        (void)snprintf(title, sizeof title, "%s %" PRIu64, *v->manifest->data ? "Row" : "Prompt",
                       v->manifest->rows[row].row);
        room = put_figure(r, out, &b, title);
    }
    ps_buf_puts(out, "</div>\n");
    if (!room)
        ps_room_left_out(&r->room, "what parts are worth in some rows");
}

void ps_part_bars_html(ps_report *r, ps_buf *out)
{
    const ps_explanation *m = r->explanation->manifest;
    if (!ps_part_bars_present(r->explanation))
        return;
    for (size_t i = 0; i < m->n_results; i++)
        if (is_it(&m->results[i]))
            put_method(r, out, &m->results[i]);
    ps_buf_puts(
        out,
        "<p class=\"note\">Shares are over all coalitions of the others, and add up to what all "
        "parts together do. What is lost without a part alone is little where others stand in for "
        "it: then each of them can be missed, and all of them together not. A part that is missing "
        "gives zeros, which the parts behind it have never seen.</p>\n");
}
