/* Behaviour: what the model's answers to labelled rows come to: which classes it takes for which,
 * whether it is right as often as it says, and where it is most wrong. */
#include "client/report/cells.h"
#include "client/report/html.h"
#include "client/report/numbers.h"
#include "client/report/palette.h"
#include "client/report/section_rows.h"
#include "client/report/slice_tables.h"
#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { CLASSES_MOST = 64, WORST = 12, CONFUSED = 10 };

static bool present(const ps_report *r)
{
    return r->explanation && (*ps_array_of(r->explanation, "confusion", "counts") ||
                              *ps_array_of(r->explanation, "calibration", "summary") ||
                              *ps_array_of(r->explanation, "losses", "rows") ||
                              ps_slice_tables_present(r->explanation));
}

/* ---- figures ---- */

static void put_summary(ps_buf *out, const ps_explain_view *v)
{
    static const char *const names[] = {"Right", "Loss", "Brier score", "Calibration error",
                                        "Its largest"};
    ps_numbers s = ps_numbers_of(v, ps_array_of(v, "calibration", "summary"), 0);
    if (!s.data || s.n < 5)
        return;
    ps_buf_puts(out, "<dl class=\"tiles\">\n");
    for (size_t i = 0; i < 5; i++)
        if (isfinite(ps_number_at(&s, i)))
            ps_html(out, "<div><dt>%s</dt><dd>%s</dd></div>\n", names[i],
                    ps_human_value(ps_number_at(&s, i)).text);
    ps_buf_puts(out, "</dl>\n");
}

/* ---- confusion ---- */

typedef struct cell {
    uint64_t label, answer;
    double rows, share;
} cell;

static double sum_of(const ps_numbers *row)
{
    return fmax(ps_numbers_sum(row), 0);
}

static void put_cell(ps_buf *out, const ps_explain_view *v, const cell *c, int left, int side)
{
    int x = left + (int)c->answer * side, y = (int)c->label * side;
    ps_html(out, "<g class=\"cell\" data-cell=\"%" PRIu64 ",%" PRIu64 "\"", c->label, c->answer);
    if (c->rows > 0)
        ps_html(out, " data-key=\"taken-%" PRIu64 "-%" PRIu64 "\"", c->label, c->answer);
    ps_buf_puts(out, "><title>label ");
    ps_output_html(out, v, (int64_t)c->label);
    ps_buf_puts(out, ", answered ");
    ps_output_html(out, v, (int64_t)c->answer);
    ps_html(out,
            "\n%.0f rows, %.1f %% of the label's</title><rect class=\"%s\" x=\"%d\" y=\"%d\" "
            "width=\"%d\" height=\"%d\"",
            c->rows, 100 * c->share, c->rows > 0 ? "fill" : "none", x, y, side - 1, side - 1);
    ps_rgb ground = ps_palette_sequential(c->share);
    if (c->rows > 0)
        ps_html(out, " fill=\"%s\"", ps_rgb_hex(ground).text);
    ps_buf_puts(out, "/>");
    if (c->rows > 0 && side >= 30)
        ps_html(
            out,
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" class=\"in\" fill=\"%s\">%.0f</text>",
            x + (side - 1) / 2, y + side / 2 + 4, ps_rgb_hex(ps_palette_on(ground)).text, c->rows);
    ps_buf_puts(out, "</g>\n");
}

static void put_matrix(ps_buf *out, const ps_explain_view *v, const char *array, uint64_t n)
{
    int side = n <= 12 ? 40 : n <= 24 ? 22 : 12, left = 92, foot = v->n_names ? 100 : 44;
    int width = left + (int)n * side + 30, height = (int)n * side + foot;
    ps_html(out,
            "<svg class=\"figure\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "role=\"group\"><title>"
            "Labels, a row each, and what was answered, a column each</title>\n",
            width, height, width, height);
    ps_html(out,
            "<text class=\"what\" text-anchor=\"middle\" transform=\"translate(12 %d) "
            "rotate(-90)\">label</text><text class=\"what\" text-anchor=\"middle\" x=\"%d\" "
            "y=\"%d\">answered</text>\n",
            (int)n * side / 2, left + (int)n * side / 2, height - 6);
    for (uint64_t label = 0; label < n; label++) {
        ps_numbers row = ps_numbers_of(v, array, label);
        double whole = sum_of(&row);
        ps_html(out, "<text class=\"what\" text-anchor=\"end\" x=\"%d\" y=\"%d\">", left - 8,
                (int)label * side + side / 2 + 4);
        ps_output_html(out, v, (int64_t)label);
        ps_html(out,
                "</text><text class=\"what\" text-anchor=\"%s\" transform=\"translate(%d %d) "
                "rotate(%d)\">",
                v->n_names ? "start" : "middle",
                left + (int)label * side + side / 2 - (v->n_names ? 3 : 0), (int)n * side + 14,
                v->n_names ? 40 : 0);
        ps_output_html(out, v, (int64_t)label);
        ps_buf_puts(out, "</text>\n");
        for (uint64_t answer = 0; answer < n && answer < row.n; answer++) {
            double rows = ps_number_at(&row, answer);
            rows = isfinite(rows) && rows > 0 ? rows : 0;
            put_cell(out, v, &(cell){label, answer, rows, whole > 0 ? rows / whole : 0}, left,
                     side);
        }
    }
    ps_buf_puts(out, "</svg>\n");
}

static int by_rows(const void *a, const void *b)
{
    const cell *x = a, *y = b;
    return (x->rows < y->rows) - (x->rows > y->rows);
}

static void put_confused(ps_buf *out, const ps_explain_view *v, const char *array, uint64_t n)
{
    cell *cells = ps_alloc_array((size_t)(n * n) + 1, sizeof *cells);
    size_t count = 0;
    for (uint64_t label = 0; label < n; label++) {
        ps_numbers row = ps_numbers_of(v, array, label);
        double whole = sum_of(&row);
        for (uint64_t answer = 0; answer < n && answer < row.n; answer++)
            if (answer != label && ps_number_at(&row, answer) > 0)
                cells[count++] = (cell){label, answer, ps_number_at(&row, answer),
                                        ps_number_at(&row, answer) / whole};
    }
    qsort(cells, count, sizeof *cells, by_rows);
    ps_buf_puts(out, "<div class=\"scroll\"><table "
                     "class=\"sort\"><thead><tr><th>Label</th><th>Answered</th><th class=\"n\">Rows"
                     "</th><th class=\"n\">Of the label's</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < count && i < CONFUSED; i++) {
        ps_html(out, "<tr data-key=\"taken-%" PRIu64 "-%" PRIu64 "\"><td>", cells[i].label,
                cells[i].answer);
        ps_output_html(out, v, (int64_t)cells[i].label);
        ps_buf_puts(out, "</td><td>");
        ps_output_html(out, v, (int64_t)cells[i].answer);
        ps_html(out,
                "</td><td class=\"n\" data-v=\"%g\">%.0f</td><td class=\"n\" "
                "data-v=\"%g\">%.1f&#8239;%%</td></tr>\n",
                cells[i].rows, cells[i].rows, cells[i].share, 100 * cells[i].share);
    }
    ps_buf_puts(out, "</tbody></table></div>\n");
    ps_free(&cells);
}

static void put_confusion(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    const char *array = ps_array_of(v, "confusion", "counts");
    uint64_t n = ps_array_rows(v, array);
    if (!n || n > 4096)
        return;
    ps_buf_puts(
        out, "<h3>What is taken for what</h3>\n<div class=\"split\"><figure class=\"scroll\">\n");
    ps_buf matrix = PS_BUF_EMPTY;
    if (n <= CLASSES_MOST)
        put_matrix(&matrix, v, array, n);
    if (n > CLASSES_MOST || !ps_room_take(&r->room, &matrix, out)) {
        ps_html(out,
                "<p class=\"left-out\">The matrix of %" PRIu64 " classes is left out; "
                "explain.safetensors has it.</p>\n",
                n);
        ps_room_left_out(&r->room, "the matrix of labels and answers");
    }
    ps_buf_free(&matrix);
    ps_buf_puts(out, "</figure>\n<div>\n");
    put_confused(out, v, array, n);
    ps_buf_puts(out,
                "<p class=\"note\">A colour is a share of the label's rows.</p></div></div>\n");
}

/* ---- calibration ---- */

static void put_bin(ps_buf *out, const ps_numbers *bin, double most, uint64_t i, uint64_t bins,
                    int side)
{
    double rows = ps_number_at(bin, 0), said = ps_number_at(bin, 1) / rows,
           right = ps_number_at(bin, 2) / rows;
    if (!(rows > 0) || !isfinite(said) || !isfinite(right))
        return;
    ps_html(out,
            "<g class=\"cell\" data-cell=\"0,%" PRIu64
            "\"><title>said %.1f %%, right in %.1f %%\n%.0f rows</title>",
            i, 100 * said, 100 * right, rows);
    double x = 40 + said * side, y = 10 + (1 - right) * side, diagonal = 10 + (1 - said) * side;
    ps_html(out,
            "<path class=\"line\" d=\"M%.1f %.1fV%.1f\"/><circle class=\"dot\" cx=\"%.1f\" "
            "cy=\"%.1f\" r=\"%.1f\"/></g>\n",
            x, diagonal, y, x, y, 3 + 6 * sqrt(rows / most));
}

static void put_calibration(ps_buf *out, const ps_explain_view *v)
{
    enum { SIDE = 250 };
    const char *array = ps_array_of(v, "calibration", "bins");
    uint64_t n = ps_array_rows(v, array);
    double most = 0;
    for (uint64_t i = 0; n <= PS_CELLS_MOST && i < n; i++) {
        ps_numbers bin = ps_numbers_of(v, array, i);
        most = bin.n >= 3 ? fmax(most, ps_number_at(&bin, 0)) : most;
    }
    if (!(most > 0))
        return;
    ps_html(out,
            "<h3>Is it right as often as it says?</h3>\n<figure class=\"keep\"><svg "
            "class=\"figure\" viewBox=\"0 0 %d %d\" "
            "width=\"%d\" height=\"%d\" role=\"group\"><title>Confidence, from left to right, and "
            "the share that is "
            "right, upwards</title>\n<path class=\"axis\" d=\"M40 10V%dH%d\"/><path class=\"even\" "
            "d=\"M40 %dL%d 10\"/>",
            SIDE + 60, SIDE + 44, SIDE + 60, SIDE + 44, SIDE + 10, SIDE + 40, SIDE + 10, SIDE + 40);
    for (int i = 0; i <= 4; i++)
        ps_html(out,
                "<text class=\"what\" text-anchor=\"end\" x=\"34\" y=\"%d\">%d</text><text "
                "class=\"what\" "
                "text-anchor=\"middle\" x=\"%d\" y=\"%d\">%d</text>",
                14 + SIDE - i * SIDE / 4, 25 * i, 40 + i * SIDE / 4, SIDE + 26, 25 * i);
    for (uint64_t i = 0; i < n; i++) {
        ps_numbers bin = ps_numbers_of(v, array, i);
        if (bin.n >= 3)
            put_bin(out, &bin, most, i, n, SIDE);
    }
    ps_html(
        out,
        "<text class=\"what\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">confidence, %%</text><text "
        "class=\"what\" text-anchor=\"middle\" transform=\"translate(9 %d) rotate(-90)\">right, %%"
        "</text></svg>"
        "<figcaption class=\"note\">A point is the rows of one range of confidence, larger for "
        "more of them; "
        "upwards, how many of them are right, in %%. Below the line the model is surer than it "
        "should be. "
        "</figcaption></figure>\n",
        40 + SIDE / 2, SIDE + 41, 10 + SIDE / 2);
}

/* ---- the worst ---- */

static void put_worst(ps_buf *out, const ps_explain_view *v)
{
    const ps_explanation *m = v->manifest;
    const char *array = ps_array_of(v, "losses", "rows");
    uint64_t n = ps_array_rows(v, array);
    n = n < m->n_rows ? n : m->n_rows;
    cell *rows = ps_alloc_array((size_t)n + 1, sizeof *rows);
    size_t count = 0;
    for (uint64_t i = 0; i < n; i++) {
        ps_numbers row = ps_numbers_of(v, array, i);
        if (row.n >= 3 && isfinite(ps_number_at(&row, 0)))
            rows[count++] =
                (cell){.label = i, .rows = ps_number_at(&row, 0), .share = ps_number_at(&row, 2)};
    }
    qsort(rows, count, sizeof *rows, by_rows);
    if (count)
        ps_buf_puts(out, "<h3>Where it is most wrong</h3>\n<div class=\"scroll\"><table "
                         "class=\"sort\"><thead><tr><th>Row</th><th>"
                         "Label</th><th>Answered</th><th class=\"n\">Loss</th><th class=\"n\">The "
                         "label's probability</th>"
                         "</tr></thead><tbody>\n");
    for (size_t i = 0; i < count && i < WORST; i++) {
        const ps_explanation_row *row = &m->rows[rows[i].label];
        ps_html(out, "<tr data-key=\"row-%" PRIu64 "\"><td>%" PRIu64 "</td><td>", row->row,
                row->row);
        ps_output_html(out, v, row->label);
        ps_buf_puts(out, "</td><td>");
        ps_output_html(out, v, row->prediction);
        ps_html(out,
                "</td><td class=\"n\" data-v=\"%g\">%.3f</td><td class=\"n\" "
                "data-v=\"%g\">%.2g</td></tr>\n",
                rows[i].rows, rows[i].rows, rows[i].share, rows[i].share);
    }
    if (count)
        ps_buf_puts(out, "</tbody></table></div>\n");
    ps_free(&rows);
}

static void draw(ps_report *r, ps_buf *out)
{
    put_summary(out, r->explanation);
    put_confusion(r, out);
    put_calibration(out, r->explanation);
    ps_slice_tables_html(r, out);
    put_worst(out, r->explanation);
    ps_html(out,
            "<p class=\"note\">Of the %zu rows that were chosen (seed %" PRIu64
            "); of others it may be otherwise.</p>\n",
            r->explanation->manifest->n_rows, r->explanation->manifest->seed);
}

const ps_report_section ps_section_behaviour = {
    .id = "behaviour", .title = "Behaviour", .present = present, .draw = draw};
