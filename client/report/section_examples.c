/* Examples: rows and what of each made the model answer as it does, one method beside the other;
 * and what each method took, and by how much its sum is off. */
#include "client/report/heat.h"
#include "client/report/html.h"
#include "client/report/section_rows.h"
#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 48, BARS = 10 };

static bool present(const ps_report *r)
{
    return r->explanation && r->explanation->manifest->n_rows;
}

/* "integrated gradients" */
static char *words_of(const char *method)
{
    char *words = ps_strdup(method);
    for (char *c = words; *c; c++)
        if (*c == '_')
            *c = ' ';
    return words;
}

static ps_numbers named_of(const ps_explain_view *v, const ps_explanation_result *result,
                           const char *name, uint64_t row)
{
    const ps_explanation_array *array = ps_explanation_find(result, name);
    return array ? ps_numbers_of(v, array->array, row) : (ps_numbers){NULL};
}

/* What it found of a row; data NULL: it has none of rows. */
static ps_numbers values_of(const ps_explain_view *v, const ps_explanation_result *result,
                            uint64_t row)
{
    return named_of(v, result, "values", row);
}

/* ---- a row ---- */

static void put_head(ps_buf *out, const ps_explain_view *v, const ps_explanation_row *row)
{
    const ps_explanation *m = v->manifest;
    const char *what = *m->data ? "Row" : "Prompt";
    ps_html(out, "<h3>%s %" PRIu64 "</h3>\n<p class=\"said\">", what, row->row);
    if (m->classes) {
        ps_html(out, "<span class=\"%s\">predicted <b>",
                row->label < 0                  ? ""
                : row->label == row->prediction ? "ok"
                                                : "bad");
        ps_output_html(out, v, row->prediction);
        ps_html(out, "</b>, %.1f&#8239;%%</span>", 100 * row->confidence);
    }
    if (row->label >= 0 && row->label != row->prediction) {
        ps_buf_puts(out, " <span>label <b>");
        ps_output_html(out, v, row->label);
        ps_buf_puts(out, "</b></span>");
    }
    if (m->classes && row->target != row->prediction) {
        ps_buf_puts(out, " <span>explained <b>");
        ps_output_html(out, v, row->target);
        ps_buf_puts(out, "</b></span>");
    }
    if (isfinite(row->score))
        ps_html(out, " <span>%s %.4g</span>", m->score, row->score);
    ps_buf_puts(out, "</p>\n");
}

static void put_map(ps_buf *out, const ps_explain_view *v, size_t method, uint64_t row)
{
    const ps_explanation_result *result = &v->manifest->results[method];
    ps_numbers numbers = values_of(v, result, row),
               contents = ps_numbers_of(v, v->manifest->contents, row);
    if (!numbers.data)
        return;
    uint32_t side = v->manifest->language ? 0 : ps_image_side(numbers.n);
    char *words = words_of(result->method);
    ps_html(out, "<figure class=\"map\" data-when=\"%zu\">", method);
    if (side)
        ps_heat_image(out, &numbers, side, true, words);
    else if (v->manifest->language && contents.data)
        ps_heat_tokens(out, v, &numbers, &contents);
    else
        ps_heat_bars(out, &numbers, &contents, BARS);
    /* of groups, each counts once; where parts overlap, or have no sign, a sum says nothing */
    ps_numbers groups = named_of(v, result, "groups", row);
    ps_html(out, "<figcaption><b>%s</b> <span>", words);
    if (result->has_residual)
        ps_html(out, "sum %.4g, ", ps_numbers_sum(groups.data ? &groups : &numbers));
    ps_html(out, "colours to ±%.2g", ps_numbers_limit(&numbers));
    ps_buf_puts(out, "</span></figcaption></figure>\n");
    ps_free(&words);
}

static void put_row(ps_buf *out, const ps_explain_view *v, size_t i)
{
    const ps_explanation *m = v->manifest;
    const ps_explanation_row *row = &m->rows[i];
    ps_numbers contents = ps_numbers_of(v, m->contents, i);
    uint32_t side = contents.data && !m->language ? ps_image_side(contents.n) : 0;
    ps_html(out,
            "<article class=\"example keep\" id=\"row-%" PRIu64 "\" data-key=\"row-%" PRIu64
            "\" data-find=\"%s %" PRIu64 "\"",
            row->row, row->row, *m->data ? "row" : "prompt", row->row);
    if (row->label >= 0)
        ps_html(out, " data-also=\"taken-%" PRId64 "-%" PRId64 "\"", row->label, row->prediction);
    ps_buf_puts(out, ">\n");
    put_head(out, v, row);
    ps_buf_puts(out, "<div class=\"maps\">\n");
    if (side) {
        ps_buf_puts(out, "<figure class=\"map\">");
        ps_heat_image(out, &contents, side, false, "the row itself");
        ps_buf_puts(out, "<figcaption><b>the row</b></figcaption></figure>\n");
    }
    for (size_t k = 0; k < m->n_results; k++)
        put_map(out, v, k, i);
    ps_buf_puts(out, "</div>\n</article>\n");
}

/* ---- the methods ---- */

static void put_number(ps_buf *out, double v)
{
    ps_html(out, "<td class=\"n\">%s</td>", isfinite(v) ? ps_human_value(v).text : "");
}

/* "steps 50, tolerance 0.01": the members of a JSON object but the method's name. */
static void put_arguments(ps_buf *out, const char *object)
{
    ps_json_reader json;
    ps_json_token key;
    const char *comma = "";
    ps_json_reader_init(&json, ps_slice_str(object));
    ps_status st = ps_json_expect(&json, PS_JSON_OBJECT, &key);
    while (ps_json_member(&json, &key, &st)) {
        char *name = ps_strdup((const char *)key.text.data);
        ps_slice value;
        st = ps_json_value(&json, &value);
        bool empty = !st && value.len == 2 && value.data[0] == '"';
        if (!st && !empty && strcmp(name, "method") != 0) {
            bool quoted = value.len >= 2 && value.data[0] == '"';
            char *text =
                ps_asprintf("%.*s", (int)value.len - 2 * quoted, (const char *)value.data + quoted);
            ps_html(out, "%s%s %s", comma, name, text);
            ps_free(&text);
            comma = ", ";
        }
        ps_free(&name);
    }
    ps_json_reader_free(&json);
}

static void put_method(ps_buf *out, const ps_explanation_result *result)
{
    bool tolerance = result->has_residual && result->tolerance > 0;
    char *words = words_of(result->method);
    ps_html(out, "<tr><td class=\"wide\"><span class=\"%s\">%s</span><br><small>",
            !tolerance      ? ""
            : result->unmet ? "bad"
                            : "ok",
            words);
    put_arguments(out, result->arguments);
    ps_buf_puts(out, "</small></td>");
    ps_free(&words);
    put_number(out, result->has_residual ? result->relative_median : NAN);
    put_number(out, result->has_residual ? result->relative_max : NAN);
    put_number(out, tolerance ? result->tolerance : NAN);
    put_number(out, result->standard_error);
    ps_buf_puts(out, "<td class=\"n\">");
    if (isfinite(result->steps_median))
        ps_html(out, "%.0f", result->steps_median);
    ps_html(out, "</td><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%s</td></tr>\n",
            result->evaluations, ps_human_duration(result->seconds).text);
}

static void put_methods(ps_buf *out, const ps_explanation *m)
{
    ps_buf_puts(out,
                "<h3>How it was found</h3>\n<div class=\"scroll\"><table><thead><tr><th>Method</th>"
                "<th class=\"n\">Residual</th><th class=\"n\">Largest</th><th class=\"n\">Tolerance"
                "</th><th class=\"n\">Standard error</th><th class=\"n\">Steps</th><th class=\"n\">"
                "Evaluations</th><th class=\"n\">Time</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < m->n_results; i++)
        put_method(out, &m->results[i]);
    ps_html(
        out,
        "</tbody></table></div>\n<p class=\"note\">The residual is by how much the numbers of a "
        "row do not add up to what they should, relative: the median of all rows, and the "
        "largest. Seed %" PRIu64 ". What this does not say: a number is a share of this answer "
        "against this baseline, by this model. It is no cause in the world, and another baseline "
        "gives other numbers.</p>\n",
        m->seed);
}

static void put_switch(ps_buf *out, const ps_explanation *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_results; i++)
        n += ps_explanation_find(&m->results[i], "values") != NULL;
    if (n < 2)
        return;
    ps_buf_puts(out, "<div class=\"control with-js\"><label>Method<select data-switch><option "
                     "value=\"\">all, side by side</option>");
    for (size_t i = 0; i < m->n_results; i++) {
        char *words = words_of(m->results[i].method);
        if (ps_explanation_find(&m->results[i], "values"))
            ps_html(out, "<option value=\"%zu\">%s</option>", i, words);
        ps_free(&words);
    }
    ps_buf_puts(out, "</select></label></div>\n");
}

/* A row, drawn before it is known whether there is room for it. */
typedef struct candidate {
    size_t place; /* on the page */
    double score;
    ps_buf html;
    bool fits;
} candidate;

static int by_score(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    double p = fabs(x->score), q = fabs(y->score);
    return p == q ? (x->place > y->place) - (x->place < y->place) : (p < q) - (p > q);
}

static int by_place(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    return (x->place > y->place) - (x->place < y->place);
}

/* Where there is not room for all, those of the smallest scores go first. */
static void put_rows(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    size_t all = ps_rows_shown(v), n = all < ROWS ? all : ROWS, left_out = 0;
    candidate *rows = ps_alloc_array(n + 1, sizeof *rows);
    ps_buf taken = PS_BUF_EMPTY;
    for (size_t i = 0; i < n; i++) {
        size_t place = ps_row_shown(v, i);
        rows[i] = (candidate){.place = i, .score = v->manifest->rows[place].score};
        put_row(&rows[i].html, v, place);
    }
    qsort(rows, n, sizeof *rows, by_score);
    for (size_t i = 0; i < n; i++) {
        rows[i].fits = ps_room_take_of(&r->room, PS_ROOM_ROWS, &rows[i].html, &taken);
        left_out += !rows[i].fits;
        if (rows[i].fits)
            ps_buf_append(&rows[i].html, taken.data, taken.len);
        ps_buf_clear(&taken);
    }
    qsort(rows, n, sizeof *rows, by_place);
    for (size_t i = 0; i < n; i++) {
        ps_buf_append(out, rows[i].html.data, rows[i].html.len);
        ps_buf_free(&rows[i].html);
    }
    ps_buf_free(&taken);
    ps_free(&rows);
    if (left_out)
        ps_room_left_out(&r->room, "%zu of %zu rows among the examples, of the smallest scores",
                         left_out, n);
    if (n < all)
        ps_html(
            out,
            "<p class=\"left-out\">%zu rows more are in explain.safetensors; <code>psctl report "
            "--rows</code> chooses others.</p>\n",
            all - n);
}

static void draw(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    const ps_explanation *m = v->manifest;
    ps_html(out,
            "<p class=\"note\">What is explained of each is the %s of the target (%s), against the "
            "baseline %s.</p>\n<div class=\"above\">",
            m->score, m->target, m->baseline);
    put_switch(out, m);
    ps_heat_legend(out);
    ps_buf_puts(out, "</div>\n<p class=\"note\" id=\"some\" role=\"status\" hidden></p>\n");
    put_rows(r, out);
    put_methods(out, m);
}

static void style(const ps_report *r, ps_buf *out)
{
    ps_buf_puts(out, ".example.on{background:var(--mark);box-shadow:0 0 0 .6rem var(--mark);"
                     "border-radius:2px}\n.figure .cell[data-key]{cursor:pointer}\n"
                     ".figure .cell.on rect{stroke:var(--accent);stroke-width:2.5}\n");
    if (r->explanation->manifest->language)
        ps_heat_style(out);
}

/* The manifest, but for very many rows: explain.json is it, too. */
static void data(const ps_report *r, ps_json_writer *w)
{
    enum { MANIFEST_MOST = 1 << 20 };
    ps_buf json = PS_BUF_EMPTY;
    ps_explanation_write(r->explanation->manifest, &json);
    if (json.len <= MANIFEST_MOST)
        ps_json_put_raw(w, "explanation", ps_buf_cstr(&json));
    ps_buf_free(&json);
}

const ps_report_section ps_section_examples = {.id = "examples",
                                               .title = "Examples",
                                               .present = present,
                                               .draw = draw,
                                               .style = style,
                                               .data = data};
