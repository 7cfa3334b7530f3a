/* A table a way to cut the rows, of those slices that have any. Cannot fail. */
#include "client/report/slice_tables.h"

#include "client/report/html.h"
#include "client/report/numbers.h"

#include <inttypes.h>
#include <math.h>

#define METHOD "slices"

enum { SLICES_MOST = 100, QUANTITIES = 5 };

static void name_label(ps_buf *out, const ps_explain_view *v, uint64_t i)
{
    ps_output_html(out, v, (int64_t)i);
}

static void name_tenth(ps_buf *out, const ps_explain_view *v, uint64_t i)
{
    ps_html(out, "%d to %d&#8239;%%", 10 * (int)i, 10 * (int)i + 10);
}

static void name_length(ps_buf *out, const ps_explain_view *v, uint64_t i)
{
    if (i < 2)
        ps_html(out, "%d", (int)i + 1);
    else if (i < 32)
        ps_html(out, "%d to %d", (1 << (i - 1)) + 1, 1 << i);
}

static const struct {
    const char *array, *title, *of;
    void (*name)(ps_buf *out, const ps_explain_view *v, uint64_t i);
} tables[] = {
    {"by_label", "By what is right", "Label", name_label},
    {"by_confidence", "By how sure it is", "Confidence", name_tenth},
    {"by_length", "By how many tokens it had", "Tokens", name_length},
    {"by_place", "By place in the data file", "Place", name_tenth},
};
enum { TABLES = sizeof tables / sizeof *tables };

bool ps_slice_tables_present(const ps_explain_view *view)
{
    return *ps_array_of(view, METHOD, "by_confidence");
}

static void put_with_error(ps_buf *out, double value, double error)
{
    ps_html(out, "<td class=\"n\" data-v=\"%g\">%.3g", value, value);
    if (isfinite(error))
        ps_html(out, " &#177; %.1g", error);
    ps_buf_puts(out, "</td>");
}

static void put_slice(ps_buf *out, const ps_explain_view *v, size_t table, uint64_t i,
                      const ps_numbers *s)
{
    ps_buf_puts(out, "<tr><td>");
    tables[table].name(out, v, i);
    ps_html(out, "</td><td class=\"n\" data-v=\"%.0f\">%.0f</td>", ps_number_at(s, 0),
            ps_number_at(s, 0));
    put_with_error(out, 100 * ps_number_at(s, 1), 100 * ps_number_at(s, 3));
    put_with_error(out, ps_number_at(s, 2), ps_number_at(s, 4));
    ps_buf_puts(out, "</tr>\n");
}

static void put_table(ps_report *r, ps_buf *out, size_t table)
{
    const ps_explain_view *v = r->explanation;
    const char *array = ps_array_of(v, METHOD, tables[table].array);
    uint64_t n = ps_array_rows(v, array), shown = 0, left_out = 0;
    ps_buf piece = PS_BUF_EMPTY;
    if (ps_array_last(v, array) != QUANTITIES)
        return;
    ps_html(&piece,
            "<div class=\"scroll\"><h3>%s</h3><table class=\"sort\"><thead><tr><th>%s</th>"
            "<th class=\"n\">%s</th><th class=\"n\">Right, %%</th><th class=\"n\">Loss</th></tr>"
            "</thead><tbody>\n",
            tables[table].title, tables[table].of,
            tables[table].name == name_length ? "Tokens" : "Rows");
    for (uint64_t i = 0; i < n; i++) {
        ps_numbers s = ps_numbers_of(v, array, i);
        if (s.n != QUANTITIES || !(ps_number_at(&s, 0) > 0))
            continue;
        left_out += shown >= SLICES_MOST;
        if (shown++ < SLICES_MOST)
            put_slice(&piece, v, table, i, &s);
    }
    ps_buf_puts(&piece, "</tbody></table></div>\n");
    if (!ps_room_take(&r->room, &piece, out))
        ps_room_left_out(&r->room, "a table of slices");
    if (left_out)
        ps_room_left_out(&r->room, "%" PRIu64 " slices of the rows", left_out);
    ps_buf_free(&piece);
}

void ps_slice_tables_html(ps_report *r, ps_buf *out)
{
    if (!ps_slice_tables_present(r->explanation))
        return;
    ps_buf_puts(out, "<h3>On which rows it is good, and on which not</h3>\n<div class=\"maps\">\n");
    for (size_t i = 0; i < TABLES; i++)
        put_table(r, out, i);
    ps_buf_puts(out, "</div>\n<p class=\"note\">Behind &#177; stands the standard error: slices "
                     "that differ by less than twice that need not differ.</p>\n");
}
