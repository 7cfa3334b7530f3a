/* Weights: what the numbers of each tensor are like, and what its matrices stretch. */
#include "client/report/cells.h"
#include "client/report/html.h"
#include "client/report/numbers.h"
#include "client/report/section_rows.h"
#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>

enum { WIDE = 110, HIGH = 24 };

static bool present(const ps_report *r)
{
    return r->explanation && *ps_array_of(r->explanation, "weights", "statistics");
}

static double quantity(const ps_explain_view *v, const ps_numbers *row, const char *name)
{
    return ps_number_called(v, "weights", "statistics", row, name);
}

/* Bars of equal width under one outline: heights by the square root, to see the tails. */
static void put_histogram(ps_buf *out, const ps_numbers *bins)
{
    double most = 0;
    if (bins->n > PS_CELLS_MOST)
        return;
    for (uint64_t i = 0; i < bins->n; i++)
        most = isfinite(ps_number_at(bins, i)) ? fmax(most, ps_number_at(bins, i)) : most;
    ps_html(out,
            "<svg class=\"figure\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "aria-hidden=\"true\"><path class=\"area\" d=\"M0 %d",
            WIDE, HIGH, WIDE, HIGH, HIGH);
    for (uint64_t i = 0; most > 0 && i < bins->n; i++) {
        double v = ps_number_at(bins, i), high = isfinite(v) && v > 0 ? sqrt(v / most) : 0;
        ps_html(out, "L%.1f %.1fH%.1f", (double)i * WIDE / (double)bins->n,
                HIGH - high * (HIGH - 1), (double)(i + 1) * WIDE / (double)bins->n);
    }
    ps_html(out, "V%dZ\"/></svg>", HIGH);
}

/* Singular values by rank, both by logarithm. */
static void put_spectrum(ps_buf *out, const ps_numbers *points)
{
    double least = INFINITY, most = -INFINITY;
    for (uint64_t i = 0; points->n <= PS_CELLS_MOST && i < points->n; i++) {
        double v = ps_number_at(points, i);
        if (isfinite(v) && v > 0) {
            least = fmin(least, v);
            most = fmax(most, v);
        }
    }
    if (!(most > least))
        return;
    const char *to = "M";
    least = fmax(least, most / 1e4); /* what is below is as good as none */
    ps_html(out,
            "<svg class=\"figure\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "aria-hidden=\"true\"><path class=\"curve\" d=\"",
            WIDE, HIGH, WIDE, HIGH);
    for (uint64_t i = 0; i < points->n; i++) {
        double v = ps_number_at(points, i);
        if (!isfinite(v) || v < least)
            continue;
        ps_html(out, "%s%.1f %.1f", to, (double)i * WIDE / (double)points->n,
                1 + (HIGH - 2) * (1 - log(v / least) / log(most / least)));
        to = "L";
    }
    ps_buf_puts(out, "\"/></svg>");
}

static void put_number(ps_buf *out, double v, const char *after)
{
    if (isfinite(v))
        ps_html(out, "<td class=\"n\" data-v=\"%g\">%.3g%s</td>", v, v, after);
    else
        ps_buf_puts(out, "<td class=\"n\" data-v=\"-1\"></td>");
}

static void put_row(ps_buf *out, const ps_report *r, uint64_t i)
{
    const ps_explain_view *v = r->explanation;
    ps_numbers row = ps_numbers_of(v, ps_array_of(v, "weights", "statistics"), i);
    ps_numbers bins = ps_numbers_of(v, ps_array_of(v, "weights", "histogram"), i);
    ps_numbers points = ps_numbers_of(v, ps_array_of(v, "weights", "singular"), i);
    const char *name = i < v->manifest->n_tensors ? v->manifest->tensors[i] : NULL;
    if (name)
        ps_html(out, "<tr data-find=\"weights of %s\"><td><code>%s</code></td><td>", name, name);
    else
        ps_html(out, "<tr><td>tensor %" PRIu64 "</td><td>", i);
    put_histogram(out, &bins);
    double limit = quantity(v, &row, "limit");
    if (isfinite(limit))
        ps_html(out, " <small>±%.2g</small>", limit);
    ps_buf_puts(out, "</td>");
    put_number(out, quantity(v, &row, "deviation"), "");
    put_number(out, 100 * quantity(v, &row, "zeros"), " %");
    ps_buf_puts(out, "<td>");
    put_spectrum(out, &points);
    ps_buf_puts(out, "</td>");
    put_number(out, quantity(v, &row, "stable_rank"), "");
    put_number(out, quantity(v, &row, "alpha"), "");
    put_number(out, quantity(v, &row, "alpha_distance"), "");
    ps_buf_puts(out, "</tr>\n");
}

static void draw(ps_report *r, ps_buf *out)
{
    uint64_t n = ps_array_rows(r->explanation,
                               ps_array_of(r->explanation, "weights", "statistics")),
             shown = 0;
    bool room = true;
    ps_buf row = PS_BUF_EMPTY;
    ps_buf_puts(out,
                "<div class=\"scroll\"><table class=\"sort\"><thead><tr><th>Tensor</th><th>Its "
                "numbers</th><th class=\"n\">Deviation</th>"
                "<th class=\"n\">Zeros</th><th>Singular values</th><th class=\"n\">Stable "
                "rank</th><th class=\"n\">α</th>"
                "<th class=\"n\">KS</th></tr></thead><tbody>\n");
    for (; room && shown < n; shown += room) {
        put_row(&row, r, shown);
        room = ps_room_take(&r->room, &row, out);
    }
    ps_buf_free(&row);
    ps_buf_puts(out, "</tbody></table></div>\n");
    if (!room) {
        ps_html(out, "<p class=\"left-out\">%" PRIu64 " tensors are left out of the table.</p>\n",
                n - shown);
        ps_room_left_out(&r->room, "%" PRIu64 " of %" PRIu64 " tensors in the table of weights",
                         n - shown, n);
    }
    ps_buf_puts(out, "<p class=\"note\">Heights of the histogram are square roots, so that tails "
                     "are seen. Singular values go from the "
                     "largest to the least, both axes by logarithm. Stable rank is Σσ² / σ₁². α is "
                     "the exponent of a power law "
                     "through the tail of σ², and KS how far that is off; where KS is large, α "
                     "says nothing, and that "
                     "2 to 6 is good is a rule of thumb.</p>\n");
}

const ps_report_section ps_section_weights = {
    .id = "weights", .title = "Weights", .present = present, .draw = draw};
