/* Difference: from this model to the other that it was compared with: which tensors changed and by
 * how much, through which of them the loss became another one, which layers see the rows otherwise,
 * and whose answers and explanations changed most. */
#include "client/report/change_text.h"
#include "client/report/difference_inside.h"
#include "client/report/html.h"
#include "client/report/numbers.h"
#include "client/report/section_rows.h"
#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { ROWS = 12, BAR = 60, HIGH = 12 };

static bool present(const ps_report *r)
{
    return r->explanation && ps_change_any(r->explanation);
}

/* NaN: there is no such number. */
static double called(const ps_explain_view *v, const char *method, const char *name, uint64_t row,
                     const char *entry)
{
    ps_numbers numbers = ps_numbers_of(v, ps_array_of(v, method, name), row);
    return numbers.data ? ps_number_called(v, method, name, &numbers, entry) : NAN;
}

/* ---- the whole ---- */

static void put_tiles(ps_buf *out, const ps_explain_view *v)
{
    static const struct {
        const char *method, *entry, *title;
    } tiles[] = {{"loss_path", "loss", "Loss"},
                 {"loss_path", "other_loss", "The other's"},
                 {"loss_path", "difference", "Difference"},
                 {"loss_path", "residual", "Not accounted for"},
                 {"answer_change", "rows", "Rows"},
                 {"answer_change", "divergence", "Divergence"},
                 {"answer_change", "flips", "Answered otherwise"},
                 {"attribution_change", "rank", "Explanations in the same order"},
                 {"attribution_change", "distance", "Explanations changed by"}};
    ps_buf_puts(out, "<dl class=\"tiles\">\n");
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++) {
        double value = called(v, tiles[i].method, "summary", 0, tiles[i].entry);
        if (isfinite(value))
            ps_html(out,
                    fabs(value) < 0.01 ? "<div><dt>%s</dt><dd>%.2g</dd></div>\n"
                                       : "<div><dt>%s</dt><dd>%.4g</dd></div>\n",
                    tiles[i].title, value);
    }
    ps_buf_puts(out, "</dl>\n");
}

/* ---- tensors ---- */

typedef struct scale {
    double loss, change; /* the largest sizes */
} scale;

static double loss_of(const ps_explain_view *v, uint64_t tensor)
{
    ps_numbers all = ps_numbers_whole(v, ps_array_of(v, "loss_path", "by_tensor"));
    return tensor < all.n ? ps_number_at(&all, tensor) : NAN;
}

static double change_of(const ps_explain_view *v, uint64_t tensor, const char *entry)
{
    return called(v, "weight_change", "statistics", tensor, entry);
}

static scale scale_of(const ps_explain_view *v)
{
    scale s = {0};
    for (uint64_t i = 0; i < v->manifest->n_tensors; i++) {
        double loss = fabs(loss_of(v, i)), change = change_of(v, i, "change");
        s.loss = isfinite(loss) ? fmax(s.loss, loss) : s.loss;
        s.change = isfinite(change) ? fmax(s.change, change) : s.change;
    }
    return s;
}

/* The number is beside it. A change has a side, a size has none. */
static void put_bar(ps_buf *out, double value, double most, bool with_sign)
{
    double wide = most > 0 && isfinite(value) ? BAR * fmin(fabs(value) / most, 1) : 0;
    int whole = with_sign ? 2 * BAR : BAR;
    double from = !with_sign ? 0 : value < 0 ? BAR - wide : BAR;
    ps_html(out,
            "<td><svg class=\"figure\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "aria-hidden=\"true\"><rect class=\"area\" x=\"%.1f\" width=\"%.1f\" height=\"%d\"/>",
            whole, HIGH, whole, HIGH, from, wide, HIGH);
    if (with_sign)
        ps_html(out, "<path class=\"axis\" d=\"M%d 0V%d\"/>", BAR, HIGH);
    ps_buf_puts(out, "</svg></td>");
}

static void put_number(ps_buf *out, double value, const char *after, bool with_sign)
{
    if (!isfinite(value))
        ps_buf_puts(out, "<td class=\"n\" data-v=\"-1e99\"></td>");
    else
        ps_html(out,
                with_sign ? "<td class=\"n\" data-v=\"%g\">%+.3g%s</td>"
                          : "<td class=\"n\" data-v=\"%g\">%.3g%s</td>",
                value, value, after);
}

static void put_tensor(ps_buf *out, const ps_explain_view *v, uint64_t i, scale s)
{
    double loss = loss_of(v, i), change = change_of(v, i, "change");
    ps_html(out, "<tr><td><code>%s</code></td>", v->manifest->tensors[i]);
    if (s.loss > 0) {
        put_number(out, loss, "", true);
        put_bar(out, loss, s.loss, true);
    }
    put_number(out, 100 * change, " %", false);
    put_bar(out, change, s.change, false);
    put_number(out, change_of(v, i, "sqnr"), " dB", false);
    put_number(out, change_of(v, i, "largest"), "", false);
    ps_buf_puts(out, "</tr>\n");
}

/* Is it as it was, to the last number? */
static bool is_same(const ps_explain_view *v, uint64_t i)
{
    double loss = loss_of(v, i);
    return change_of(v, i, "change") == 0 && !(isfinite(loss) && loss != 0);
}

static void put_tensors(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    size_t left_out = 0, same = 0;
    scale s = scale_of(v);
    ps_buf row = PS_BUF_EMPTY;
    ps_buf_puts(out, "<h3>Tensor by tensor</h3>\n<div class=\"scroll\"><table class=\"sort\">"
                     "<thead><tr><th>Tensor</th>");
    if (s.loss > 0)
        ps_buf_puts(out, "<th class=\"n\">Part of the loss</th><th>less, more</th>");
    ps_buf_puts(out, "<th class=\"n\">Change</th><th>its size</th><th class=\"n\">SQNR</th><th "
                     "class=\"n\">Largest</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < v->manifest->n_tensors; i++) {
        if (is_same(v, i)) {
            same++;
            continue;
        }
        put_tensor(&row, v, i, s);
        left_out += !ps_room_take(&r->room, &row, out);
    }
    ps_buf_free(&row);
    ps_buf_puts(out, "</tbody></table></div>\n");
    if (same)
        ps_html(out, "<p class=\"note\">%zu of %zu tensors are the same in both.</p>\n", same,
                v->manifest->n_tensors);
    if (left_out)
        ps_room_left_out(&r->room, "%zu of %zu tensors that changed", left_out,
                         v->manifest->n_tensors);
}

/* ---- rows ---- */

typedef struct answer {
    uint64_t place;
    double divergence;
} answer;

static int by_divergence(const void *a, const void *b)
{
    const answer *x = a, *y = b;
    return (x->divergence < y->divergence) - (x->divergence > y->divergence);
}

static void put_answer(ps_buf *out, const ps_explain_view *v, const answer *a)
{
    const ps_explanation_row *row = &v->manifest->rows[a->place];
    double flip = called(v, "answer_change", "rows", a->place, "flip");
    ps_html(out, "<tr><td class=\"n\">%" PRIu64 "</td><td>", row->row);
    ps_output_html(out, v, row->prediction);
    ps_html(out, "</td><td>%s</td>", flip > 0 ? "another" : "the same");
    put_number(out, a->divergence, "", false);
    put_number(out, called(v, "answer_change", "rows", a->place, "loss"), "", false);
    put_number(out, called(v, "answer_change", "rows", a->place, "other_loss"), "", false);
    ps_buf_puts(out, "</tr>\n");
}

static void put_answers(ps_buf *out, const ps_explain_view *v)
{
    uint64_t n = ps_array_rows(v, ps_array_of(v, "answer_change", "rows")), count = 0;
    n = n < v->manifest->n_rows ? n : v->manifest->n_rows;
    answer *answers = ps_alloc_array((size_t)n + 1, sizeof *answers);
    for (uint64_t i = 0; i < n; i++) {
        double divergence = called(v, "answer_change", "rows", i, "divergence");
        if (isfinite(divergence))
            answers[count++] = (answer){i, divergence};
    }
    qsort(answers, (size_t)count, sizeof *answers, by_divergence);
    if (count)
        ps_buf_puts(out, "<h3>Whose answer changed most</h3>\n<div class=\"scroll\"><table "
                         "class=\"sort\"><thead><tr><th class=\"n\">Row</th><th>Answered</th>"
                         "<th>The other's</th><th class=\"n\">Divergence</th><th class=\"n\">Loss"
                         "</th><th class=\"n\">The other's loss</th></tr></thead><tbody>\n");
    for (uint64_t i = 0; i < count && i < ROWS; i++)
        put_answer(out, v, &answers[i]);
    if (count)
        ps_buf_puts(out, "</tbody></table></div>\n");
    ps_free(&answers);
}

static void draw(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    if (v->manifest->other && *v->manifest->other)
        ps_html(out, "<p>From %s to <b>%s</b>.</p>\n", v->manifest->model, v->manifest->other);
    put_tiles(out, v);
    if (*ps_array_of(v, "weight_change", "statistics") || *ps_array_of(v, "loss_path", "by_tensor"))
        put_tensors(r, out);
    ps_difference_layers(r, out);
    put_answers(out, v);
    ps_difference_attributions(r, out);
    ps_buf_puts(
        out,
        "<p class=\"note\">Change is the size of the difference by the tensor's own. Parts of the "
        "loss are what the change of each tensor adds on the straight way from this model to the "
        "other, and add up to the difference but for what is not accounted for. Divergence is KL "
        "of the other's answer from this one's. CKA is 1 of layers that are turns of each other. "
        "An "
        "explanation changed by the size of the difference by its own; its order is Spearman's "
        "correlation. What this does not say: what a tensor would do if "
        "it alone had changed, for another way has other parts.</p>\n");
}

const ps_report_section ps_section_difference = {
    .id = "difference", .title = "Difference", .present = present, .draw = draw};
