/* Lens: what a language model would answer if it stopped before each block, a row a text, a column
 * a layer: the likeliest token in the cell, coloured by its probability. The stream is read out as
 * it is, or translated by a tuned lens; of both, how far from the answer each layer is. */
#include "client/report/cells.h"
#include "client/report/html.h"
#include "client/report/numbers.h"
#include "client/report/palette.h"
#include "client/report/section_rows.h"

#include <inttypes.h>
#include <math.h>

enum { ROWS = 24, STEPS = 16, TOP_MOST = 100, LENSES = 2 };

static const struct {
    const char *method, *title;
} lenses[LENSES] = {{"logit_lens", "As it is"}, {"tuned_lens", "Translated by the tuned lens"}};

typedef struct lens {
    const ps_explain_view *v;
    const char *method;
} lens;

static bool there(const ps_explain_view *v, const char *method)
{
    return *ps_array_of(v, method, "top") != '\0';
}

static bool present(const ps_report *r)
{
    return r->explanation &&
           (there(r->explanation, lenses[0].method) || there(r->explanation, lenses[1].method));
}

static ps_numbers named(const lens *l, const char *name, uint64_t row)
{
    return ps_numbers_of(l->v, ps_array_of(l->v, l->method, name), row);
}

static double at(const ps_numbers *numbers, uint64_t i)
{
    return numbers->data && i < numbers->n ? ps_number_at(numbers, i) : NAN;
}

static void put_token(ps_buf *out, const ps_explain_view *v, double id)
{
    if (id >= 0 && id < 1e9)
        ps_output_html(out, v, (int64_t)id);
}

/* All that is known of a layer, a line each. */
static void put_title(ps_buf *out, const lens *l, uint64_t row, uint64_t layer, uint64_t layers)
{
    const ps_explain_view *v = l->v;
    ps_numbers top = named(l, "top", row), p = named(l, "top_log_probability", row);
    ps_numbers rank = named(l, "rank", row), target = named(l, "log_probability", row);
    ps_numbers entropy = named(l, "entropy", row), far = named(l, "divergence", row);
    uint64_t each = top.n / layers;
    if (layer + 1 < layers)
        ps_html(out, "before block %" PRIu64, layer);
    else
        ps_buf_puts(out, "the answer");
    for (uint64_t i = layer * each; i < (layer + 1) * each && i < layer * each + TOP_MOST; i++) {
        ps_buf_puts(out, "\n");
        put_token(out, v, at(&top, i));
        if (isfinite(at(&p, i)))
            ps_html(out, " %.1f %%", 100 * exp(at(&p, i)));
    }
    if (isfinite(at(&rank, layer)) && isfinite(at(&target, layer)))
        ps_html(out, "\nthe target is number %.0f, %.2g %%", at(&rank, layer),
                100 * exp(at(&target, layer)));
    if (isfinite(at(&entropy, layer)))
        ps_html(out, "\nentropy %.2f", at(&entropy, layer));
    if (isfinite(at(&far, layer)))
        ps_html(out, ", %.2g from the answer", at(&far, layer));
}

static void put_row(ps_buf *out, const lens *l, uint64_t row, uint64_t layers)
{
    const ps_explanation *m = l->v->manifest;
    ps_numbers top = named(l, "top", row), p = named(l, "top_log_probability", row);
    uint64_t each = top.n / layers;
    ps_html(out, "<tr><th scope=\"row\">%s %" PRIu64 "</th>", *m->data ? "Row" : "Prompt",
            m->rows[row].row);
    for (uint64_t layer = 0; each && layer < layers; layer++) {
        double likely = exp(at(&p, layer * each));
        int step = isfinite(likely) ? (int)lround(STEPS * fmin(fmax(likely, 0), 1)) : 0;
        ps_html(out, "<td class=\"q%d\" data-cell=\"%" PRIu64 ",%" PRIu64 "\" title=\"", step, row,
                layer);
        put_title(out, l, row, layer, layers);
        ps_buf_puts(out, "\">");
        put_token(out, l->v, at(&top, layer * each));
        ps_buf_puts(out, "</td>");
    }
    ps_buf_puts(out, "</tr>\n");
}

static void put_heads(ps_buf *out, uint64_t layers)
{
    ps_buf_puts(out, "<div class=\"scroll\"><table class=\"lens\" data-grid><thead><tr><th></th>");
    for (uint64_t layer = 0; layer + 1 < layers; layer++)
        ps_html(out, "<th>%" PRIu64 "</th>", layer);
    ps_buf_puts(out, "<th>answer</th></tr></thead><tbody>\n");
}

/* A table of a lens, if it was asked for and there is room. */
static void put_lens(ps_report *r, const lens *l, ps_buf *out)
{
    ps_numbers ranks = named(l, "rank", 0);
    uint64_t rows = ps_rows_shown(l->v), shown = 0;
    bool many = ranks.n > PS_CELLS_MOST, room = ranks.n > 0 && !many;
    if (room)
        put_heads(out, ranks.n);
    if (many)
        ps_room_left_out(&r->room, "the lens, of %" PRIu64 " layers", ranks.n);
    ps_buf row = PS_BUF_EMPTY;
    for (; room && shown < rows && shown < ROWS; shown += room) {
        put_row(&row, l, ps_row_shown(l->v, shown), ranks.n);
        room = ps_room_take(&r->room, &row, out);
    }
    ps_buf_free(&row);
    if (ranks.n && !many)
        ps_buf_puts(out, "</tbody></table></div>\n");
    if (ranks.n && !many && !room)
        ps_room_left_out(&r->room, "%" PRIu64 " of %" PRIu64 " rows of the lens", rows - shown,
                         rows);
    if (shown < rows)
        ps_html(out,
                "<p class=\"left-out\">%" PRIu64 " rows more are in explain.safetensors.</p>\n",
                rows - shown);
}

/* ---- how far from the answer ---- */

/* Over all rows; NaN where none has a number. */
static double mean_divergence(const lens *l, uint64_t layer)
{
    uint64_t n = 0;
    double sum = 0;
    for (uint64_t row = 0; row < l->v->manifest->n_rows; row++) {
        ps_numbers far = named(l, "divergence", row);
        double value = at(&far, layer);
        if (!isfinite(value))
            continue;
        sum += value;
        n++;
    }
    return n ? sum / (double)n : NAN;
}

static void put_means(ps_buf *out, const lens *l, const char *title, uint64_t layers)
{
    ps_html(out, "<tr><th scope=\"row\">%s</th>", title);
    for (uint64_t layer = 0; layer < layers; layer++) {
        double mean = mean_divergence(l, layer);
        ps_html(out, isfinite(mean) ? "<td>%.3g</td>" : "<td></td>", mean);
    }
    ps_buf_puts(out, "</tr>\n");
}

static void put_both(const ps_explain_view *v, ps_buf *out)
{
    const lens plain = {v, lenses[0].method}, tuned = {v, lenses[1].method};
    uint64_t layers = named(&plain, "divergence", 0).n;
    if (!layers || layers > PS_CELLS_MOST || named(&tuned, "divergence", 0).n != layers)
        return;
    ps_buf_puts(out, "<h3>How far each layer is from the answer<span class=\"note\">, KL in nats, "
                     "mean of all rows</span></h3>\n");
    put_heads(out, layers);
    put_means(out, &plain, lenses[0].title, layers);
    put_means(out, &tuned, lenses[1].title, layers);
    ps_buf_puts(out, "</tbody></table></div>\n");
}

static void draw(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    bool tuned = there(v, lenses[1].method);
    for (int i = 0; i < LENSES; i++) {
        const lens l = {v, lenses[i].method};
        if (!there(v, l.method))
            continue;
        if (tuned)
            ps_html(out, "<h3>%s</h3>\n", lenses[i].title);
        put_lens(r, &l, out);
    }
    put_both(v, out);
    ps_buf_puts(
        out,
        "<p class=\"note\">What the model would say after the last token, if it stopped before "
        "that block: the stream there, through the last norm and the head. Lighter is surer. ");
    ps_buf_puts(out, tuned ? "A translator of each layer was trained to foretell the answer: it "
                             "says what can be read there, not that the model reads it.</p>\n"
                           : "What this does not say: early layers need not speak the language of "
                             "the last one, so that nothing to be read there does not mean that "
                             "nothing is there.</p>\n");
}

static void style(const ps_report *r, ps_buf *out)
{
    for (int step = 0; step <= STEPS; step++) {
        ps_rgb ground = ps_palette_sequential((double)step / STEPS);
        ps_buf_printf(out, ".q%d{background:%s;color:%s}\n", step, ps_rgb_hex(ground).text,
                      ps_rgb_hex(ps_palette_on(ground)).text);
    }
}

const ps_report_section ps_section_lens = {
    .id = "lens", .title = "Lens", .present = present, .draw = draw, .style = style};
