/* Influence: for each row that was asked about, the rows of training that lowered its loss and
 * those that raised it, with what is in them where the job shows it; and the rows that weigh most
 * for themselves, among which are those with wrong labels. Rows of training are found by their
 * numbers: all of it are bytes that others have left. */
#include "client/report/checkpoints.h"
#include "client/report/heat.h"
#include "client/report/html.h"
#include "client/report/influence_text.h"
#include "client/report/section_rows.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { QUERIES = 24, SHOWN = 6, LISTED = 10 };

/* A method, and its arrays. */
typedef struct influence {
    const ps_explain_view *view;
    const ps_explanation_result *result;
    ps_numbers queries, shown_rows;
    const char *shown; /* "": what is in rows is not shown */
} influence;

static ps_numbers array_row(const influence *f, const char *name, uint64_t row)
{
    const ps_explanation_array *array = ps_explanation_find(f->result, name);
    return array ? ps_numbers_of(f->view, array->array, row) : (ps_numbers){NULL};
}

static bool open_result(const ps_explain_view *v, size_t i, influence *out)
{
    *out = (influence){.view = v, .result = &v->manifest->results[i]};
    const ps_explanation_array *queries = ps_explanation_find(out->result, "queries"),
                               *shown = ps_explanation_find(out->result, "shown"),
                               *rows = ps_explanation_find(out->result, "shown_rows");
    if (strcmp(out->result->kind, "influence") != 0 || !queries ||
        !ps_explanation_find(out->result, "helping"))
        return false;
    out->queries = ps_numbers_whole(v, queries->array);
    out->shown = shown && rows ? shown->array : "";
    if (rows)
        out->shown_rows = ps_numbers_whole(v, rows->array);
    return out->queries.n > 0;
}

static bool present(const ps_report *r)
{
    influence f;
    for (size_t i = 0; r->explanation && i < r->explanation->manifest->n_results; i++)
        if (open_result(r->explanation, i, &f))
            return true;
    return false;
}

/* What is in a row of training; data NULL: it is not shown. */
static ps_numbers contents_of(const influence *f, double row)
{
    for (uint64_t i = 0; *f->shown && i < f->shown_rows.n; i++)
        if (ps_number_at(&f->shown_rows, i) == row)
            return ps_numbers_of(f->view, f->shown, i);
    return (ps_numbers){NULL};
}

static void put_contents(ps_buf *out, const ps_explain_view *v, const ps_numbers *contents,
                         const char *title)
{
    uint32_t side = v->manifest->language ? 0 : ps_image_side(contents->n);
    if (side)
        ps_heat_image(out, contents, side, false, title);
    else if (v->manifest->language)
        ps_heat_tokens(out, v, contents, contents);
    else
        ps_heat_bars(out, contents, contents, SHOWN);
}

/* A label is a class, or a number. */
static void put_label(ps_buf *out, const ps_explain_view *v, double label)
{
    if (v->manifest->classes && label >= 0 && label <= INT32_MAX)
        ps_output_html(out, v, (int64_t)label);
    else if (isfinite(label))
        ps_html(out, "%.4g", label);
}

/* ---- rows of training ---- */

typedef struct listed {
    ps_numbers rows, scores, labels;
} listed;

/* Of a query, or NULL at its end. */
static listed list_of(const influence *f, const char *what, uint64_t query)
{
    char scores[48], labels[48];
    (void)snprintf(scores, sizeof scores, "%s_scores", what);
    (void)snprintf(labels, sizeof labels, "%s_labels", what);
    listed l = {array_row(f, what, query), array_row(f, scores, query),
                array_row(f, labels, query)};
    if (!l.rows.data || !l.scores.data || !l.labels.data || l.scores.n != l.rows.n ||
        l.labels.n != l.rows.n)
        return (listed){{NULL}};
    return l;
}

static void put_pictures(ps_buf *out, const influence *f, const listed *l)
{
    ps_buf_puts(out, "<div class=\"maps\">\n");
    for (uint64_t i = 0; i < l->rows.n && i < SHOWN; i++) {
        double row = ps_number_at(&l->rows, i);
        ps_numbers contents = contents_of(f, row);
        if (!isfinite(row) || !contents.data)
            continue;
        char title[48];
        (void)snprintf(title, sizeof title, "training row %.0f", row);
        ps_buf_puts(out, "<figure class=\"map\">");
        put_contents(out, f->view, &contents, title);
        ps_buf_puts(out, "<figcaption><b>");
        put_label(out, f->view, ps_number_at(&l->labels, i));
        ps_html(out, "</b><span>row %.0f, %+.4g</span></figcaption></figure>\n", row,
                ps_number_at(&l->scores, i));
    }
    ps_buf_puts(out, "</div>\n");
}

static void put_table(ps_buf *out, const influence *f, const listed *l)
{
    ps_buf_puts(out, "<div class=\"scroll\"><table class=\"bars\"><thead><tr><th class=\"n\">Row"
                     "</th><th>Label</th><th class=\"n\">Influence</th></tr></thead><tbody>\n");
    for (uint64_t i = 0; i < l->rows.n && i < LISTED; i++) {
        double row = ps_number_at(&l->rows, i);
        if (!isfinite(row))
            continue;
        ps_html(out, "<tr><td class=\"n\">%.0f</td><td>", row);
        put_label(out, f->view, ps_number_at(&l->labels, i));
        ps_html(out, "</td><td class=\"n\">%+.4g</td></tr>\n", ps_number_at(&l->scores, i));
    }
    ps_buf_puts(out, "</tbody></table></div>\n");
}

static void put_list(ps_buf *out, const influence *f, const char *what, const char *heading,
                     uint64_t query)
{
    listed l = list_of(f, what, query);
    if (!l.rows.data || !l.rows.n)
        return;
    ps_html(out, "<h4 class=\"who\">%s</h4>\n", heading);
    if (!isfinite(ps_number_at(&l.rows, 0)))
        ps_buf_puts(out, "<p class=\"note\">None.</p>\n");
    else if (*f->shown)
        put_pictures(out, f, &l);
    else
        put_table(out, f, &l);
}

/* ---- pushes ---- */

static void put_push(ps_buf *out, const influence *f, double push, double score)
{
    ps_influence_said said;
    if (!ps_influence_push_said(f->view, f->result, push, &said))
        return;
    ps_html(out, "<tr><td class=\"n\">%.0f</td><td>", push + 1);
    ps_html_text(out, said.worker);
    ps_html(out, "</td><td class=\"n\">%.0f</td><td class=\"n\">", said.epoch + 1);
    if (said.end > 0)
        ps_html(out, "%.0f–%.0f", said.begin, said.end - 1);
    ps_html(out, "</td><td class=\"n\">%+.4g</td></tr>\n", score);
}

static void put_pushes(ps_buf *out, const influence *f, const char *what, const char *heading,
                       uint64_t query)
{
    char scores[48];
    (void)snprintf(scores, sizeof scores, "%s_scores", what);
    ps_numbers pushes = array_row(f, what, query), values = array_row(f, scores, query);
    if (!pushes.data || !values.data || pushes.n != values.n)
        return;
    ps_html(
        out,
        "<h4 class=\"who\">%s</h4>\n<div class=\"scroll\"><table class=\"bars\"><thead><tr><th "
        "class=\"n\">Push</th><th>Worker</th><th class=\"n\">Epoch</th><th class=\"n\">Rows</th>"
        "<th class=\"n\">Influence</th></tr></thead><tbody>\n",
        heading);
    for (uint64_t i = 0; i < pushes.n && i < LISTED; i++)
        put_push(out, f, ps_number_at(&pushes, i), ps_number_at(&values, i));
    ps_buf_puts(out, "</tbody></table></div>\n");
}

/* ---- a query ---- */

/* Where the manifest has that row; n_rows: nowhere. */
static size_t find_row(const ps_explanation *m, double row)
{
    size_t i = 0;
    while (i < m->n_rows && (double)m->rows[i].row != row)
        i++;
    return i;
}

static void put_head(ps_buf *out, const influence *f, double row)
{
    const ps_explanation *m = f->view->manifest;
    size_t i = find_row(m, row);
    ps_html(out, "<h3>Row %.0f</h3>\n<p class=\"said\">", row);
    if (i < m->n_rows && m->rows[i].label >= 0) {
        ps_buf_puts(out, "<span>label <b>");
        ps_output_html(out, f->view, m->rows[i].label);
        ps_buf_puts(out, "</b></span>");
    }
    if (i < m->n_rows && m->classes) {
        ps_html(out, " <span class=\"%s\">predicted <b>",
                m->rows[i].label < 0                        ? ""
                : m->rows[i].label == m->rows[i].prediction ? "ok"
                                                            : "bad");
        ps_output_html(out, f->view, m->rows[i].prediction);
        ps_html(out, "</b>, %.1f&#8239;%%</span>", 100 * m->rows[i].confidence);
    }
    ps_buf_puts(out, "</p>\n");
    ps_numbers contents =
        i < m->n_rows ? ps_numbers_of(f->view, m->contents, i) : (ps_numbers){NULL};
    if (!contents.data)
        return;
    ps_buf_puts(out, "<div class=\"maps\"><figure class=\"map\">");
    put_contents(out, f->view, &contents, "the row that is asked about");
    ps_buf_puts(out, "<figcaption><b>the row</b></figcaption></figure></div>\n");
}

static void put_query(ps_buf *out, const influence *f, uint64_t i)
{
    double row = ps_number_at(&f->queries, i);
    ps_html(out, "<article class=\"example\" data-find=\"influence on row %.0f\">\n", row);
    put_head(out, f, row);
    if (ps_explanation_find(f->result, "pushes")) {
        put_pushes(out, f, "helping", "These pushes lowered its loss", i);
        put_pushes(out, f, "hurting", "These raised it", i);
    }
    put_list(out, f, "helping", "Training on these lowers its loss", i);
    put_list(out, f, "hurting", "Training on these raises it", i);
    ps_buf_puts(out, "</article>\n");
}

/* ---- a method ---- */

static void put_queries(ps_report *r, ps_buf *out, const influence *f)
{
    ps_buf row = PS_BUF_EMPTY;
    uint64_t shown = 0;
    bool room = true;
    for (; room && shown < f->queries.n && shown < QUERIES; shown += room) {
        put_query(&row, f, shown);
        room = ps_room_take(&r->room, &row, out);
    }
    ps_buf_free(&row);
    if (!room)
        ps_room_left_out(&r->room, "%" PRIu64 " of %" PRIu64 " rows and what influenced them",
                         f->queries.n - shown, f->queries.n);
    if (shown < f->queries.n)
        ps_html(out,
                "<p class=\"left-out\">%" PRIu64 " rows more are in explain.safetensors.</p>\n",
                f->queries.n - shown);
}

static void put_strongest(ps_report *r, ps_buf *out, const influence *f)
{
    ps_buf list = PS_BUF_EMPTY;
    put_list(&list, f, "strongest", "Rows that weigh most for themselves", 0);
    if (list.len)
        ps_buf_puts(&list, "<p class=\"note\">What is unusual, or has a wrong label, has to be "
                           "learnt by itself: look at these first.</p>\n");
    if (!ps_room_take(&r->room, &list, out))
        ps_room_left_out(&r->room, "rows that weigh most for themselves");
    ps_buf_free(&list);
}

static void put_method(ps_report *r, ps_buf *out, const influence *f)
{
    ps_buf models = PS_BUF_EMPTY;
    ps_checkpoints_text(f->result, &models);
    ps_html(out, "<h3>By %s</h3>\n", f->result->method);
    if (models.len)
        ps_html(out, "<p class=\"note\">Over %s.</p>\n", ps_buf_cstr(&models));
    ps_buf_free(&models);
    put_strongest(r, out, f);
    put_queries(r, out, f);
}

static void draw(ps_report *r, ps_buf *out)
{
    influence f;
    for (size_t i = 0; i < r->explanation->manifest->n_results; i++)
        if (open_result(r->explanation, i, &f))
            put_method(r, out, &f);
    ps_buf_puts(
        out, "<p class=\"note\">A row helps when a small step of training on it lowers the loss "
             "of the row that is asked about, by gradients at this model, or at those named: "
             "tracin takes them as "
             "they are, ekfac and trak by what all of the data make of them. What this does not "
             "say: what the model would be had it never seen the row; later steps make up for "
             "earlier ones. Numbers of one method compare with each other alone. recorded is of "
             "what each push of the training really changed; rows of a push are positions of its "
             "epoch's permutation.</p>\n");
}

static void style(const ps_report *r, ps_buf *out)
{
    ps_buf_puts(out, ".who{font-size:.88rem;font-weight:600;margin:1.2rem 0 0}"
                     ".who+.maps,.who+.scroll{margin-top:.5rem}\n");
}

const ps_report_section ps_section_influence = {
    .id = "influence", .title = "Influence", .present = present, .draw = draw, .style = style};
