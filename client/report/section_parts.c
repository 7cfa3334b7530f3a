/* Parts: what each head and each MLP adds to the score by itself, through the last norm and the
 * head alone, of the first rows; what parts are worth together (part_bars.h); and what column
 * blocks of matrices add (block_cells.h). */
#include "client/report/block_cells.h"
#include "client/report/cells.h"
#include "client/report/html.h"
#include "client/report/numbers.h"
#include "client/report/part_bars.h"
#include "client/report/section_rows.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>

#define METHOD "direct_logits"

enum { ROWS = 12 };

static bool present(const ps_report *r)
{
    return r->explanation &&
           (*ps_array_of(r->explanation, METHOD, "heads") || ps_part_bars_present(r->explanation) ||
            ps_block_cells_present(r->explanation));
}

static ps_numbers named(const ps_explain_view *v, const char *name, uint64_t row)
{
    return ps_numbers_of(v, ps_array_of(v, METHOD, name), row);
}

/* One number a row: of an array of a single side that is the row's place. */
static double single(const ps_explain_view *v, const char *name, uint64_t row)
{
    const char *array = ps_array_of(v, METHOD, name);
    ps_numbers numbers = ps_numbers_of(v, array, ps_array_rows(v, array) > 1 ? row : 0);
    uint64_t at = ps_array_rows(v, array) > 1 ? 0 : row;
    return numbers.data && at < numbers.n ? ps_number_at(&numbers, at) : NAN;
}

static void put_cells(ps_buf *out, const ps_explain_view *v, uint64_t row)
{
    ps_numbers heads = named(v, "heads", row), mlp = named(v, "mlp", row);
    uint64_t wide = ps_array_last(v, ps_array_of(v, METHOD, "heads"));
    if (!heads.data || !wide || heads.n > PS_CELLS_MOST)
        return;
    uint64_t layers = heads.n / wide;
    double *values = ps_alloc_array((size_t)(layers * (wide + 1)) + 1, sizeof *values);
    for (uint64_t i = 0; i < layers; i++) {
        for (uint64_t k = 0; k < wide; k++)
            values[i * (wide + 1) + k] = ps_number_at(&heads, i * wide + k);
        values[i * (wide + 1) + wide] = i < mlp.n ? ps_number_at(&mlp, i) : NAN;
    }
    ps_cells_svg(out, &(ps_cells){.title = "What heads and MLPs add, a row a layer",
                                  .row = "layer",
                                  .column = "head",
                                  .rows = layers,
                                  .columns = wide + 1,
                                  .values = values,
                                  .with_sign = true,
                                  .last_apart = true,
                                  .last = "mlp"});
    ps_free(&values);
}

static void put_line(ps_buf *out, const char *label, double v)
{
    if (isfinite(v))
        ps_html(out, "%s %+.3g<br>", label, v);
}

static void put_row(ps_buf *out, const ps_explain_view *v, uint64_t row)
{
    const ps_explanation *m = v->manifest;
    ps_numbers heads = named(v, "heads", row), mlp = named(v, "mlp", row);
    ps_numbers biases = named(v, "attention_bias", row);
    ps_html(out, "<figure class=\"map keep\"><h3>%s %" PRIu64 ": ", *m->data ? "Row" : "Prompt",
            m->rows[row].row);
    ps_output_html(out, v, m->rows[row].target);
    ps_buf_puts(out, "</h3>");
    put_cells(out, v, row);
    ps_buf_puts(out, "<figcaption>");
    put_line(out, "the token", single(v, "embed", row));
    put_line(out, "its place", single(v, "pos_embed", row));
    if (heads.data)
        put_line(out, "all heads", ps_numbers_sum(&heads));
    if (biases.data)
        put_line(out, "biases of attention", ps_numbers_sum(&biases));
    if (mlp.data)
        put_line(out, "all MLPs", ps_numbers_sum(&mlp));
    put_line(out, "bias of the last norm", single(v, "norm_bias", row));
    if (isfinite(m->rows[row].score))
        ps_html(out, "%s %.4g", m->score, m->rows[row].score);
    ps_buf_puts(out, "</figcaption></figure>\n");
}

static void put_direct(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    uint64_t rows = ps_rows_shown(v), shown = 0;
    bool room = true;
    ps_buf row = PS_BUF_EMPTY;
    ps_buf_puts(out, "<div class=\"maps\">\n");
    for (; room && shown < rows && shown < ROWS; shown += room) {
        put_row(&row, v, ps_row_shown(v, shown));
        room = ps_room_take(&r->room, &row, out);
    }
    ps_buf_free(&row);
    ps_buf_puts(out, "</div>\n");
    if (!room)
        ps_room_left_out(&r->room, "%" PRIu64 " of %" PRIu64 " rows of the parts", rows - shown,
                         rows);
    if (shown < rows)
        ps_html(out,
                "<p class=\"left-out\">%" PRIu64 " rows more are in explain.safetensors.</p>\n",
                rows - shown);
    ps_buf_puts(
        out, "<p class=\"note\">The stream before the head is a sum of what each part added; with "
             "the last norm's deviation as it is, so is the score. What this does not say: what a "
             "part does through parts behind it.</p>\n");
}

static void draw(ps_report *r, ps_buf *out)
{
    if (*ps_array_of(r->explanation, METHOD, "heads"))
        put_direct(r, out);
    ps_part_bars_html(r, out);
    ps_block_cells_html(r, out);
}

/* On a narrow screen column blocks are as large as elsewhere, and move; on paper two rows' bars
 * stand side by side. */
static void style(const ps_report *r, ps_buf *out)
{
    (void)r;
    ps_buf_puts(out, "@media screen{#parts .scroll>svg{max-width:none}}\n"
                     "@media print{#parts .map{max-width:48%}}\n");
}

const ps_report_section ps_section_parts = {
    .id = "parts", .title = "Parts", .present = present, .draw = draw, .style = style};
