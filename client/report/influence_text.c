/* Happy path: each method's lists are found by their names in the manifest; a list ends with the
 * first entry that is no number. What is not there is left out. Cannot fail. */
#include "client/report/influence_text.h"

#include "client/report/checkpoints.h"
#include "client/report/numbers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define WHOLE 16777216.0 /* worker/explain/recorded.c: what ends in _high is in units of it */

static ps_numbers row_of(const ps_explain_view *v, const ps_explanation_result *r, const char *name,
                         uint64_t row)
{
    const ps_explanation_array *a = ps_explanation_find(r, name);
    return a ? ps_numbers_of(v, a->array, row) : (ps_numbers){NULL};
}

/* ---- a push ---- */

/* A number a byte. */
static void read_worker(const ps_numbers *bytes, char *out, size_t size)
{
    size_t n = 0;
    for (uint64_t i = 0; bytes->data && i < bytes->n && n + 1 < size; i++) {
        double byte = ps_number_at(bytes, i);
        if (!(byte > 0 && byte < 256))
            break;
        out[n++] = (char)(unsigned char)byte;
    }
    out[n] = '\0';
}

bool ps_influence_push_said(const ps_explain_view *view, const ps_explanation_result *result,
                            double push, ps_influence_said *out)
{
    enum { VERSION, EPOCH, BEGIN, END, WORKER, ALL, BEGIN_HIGH = 6, END_HIGH, ALL_HIGH };
    if (!(push >= 0 && push < 1e9))
        return false;
    ps_numbers said = row_of(view, result, "pushes", (uint64_t)push);
    if (!said.data || said.n < ALL)
        return false;
    double worker = ps_number_at(&said, WORKER);
    bool split = said.n >= ALL_HIGH;
    ps_numbers bytes = worker >= 0 && worker < 1e6
                           ? row_of(view, result, "workers", (uint64_t)worker)
                           : (ps_numbers){NULL};
    read_worker(&bytes, out->worker, sizeof out->worker);
    out->epoch = ps_number_at(&said, EPOCH);
    out->begin = ps_number_at(&said, BEGIN) + (split ? WHOLE * ps_number_at(&said, BEGIN_HIGH) : 0);
    out->end = ps_number_at(&said, END) + (split ? WHOLE * ps_number_at(&said, END_HIGH) : 0);
    return true;
}

/* ---- lists ---- */

/* A method, and a query of it. */
typedef struct asked {
    const ps_explain_view *view;
    const ps_explanation_result *result;
    uint64_t query;
    bool pushes;
} asked;

/* A class by its name; a number as it is; of tokens there is none. */
static void put_label(ps_table *t, const ps_explain_view *v, double label)
{
    bool class = v->manifest->classes && label >= 0 && label < (double)v->n_names;
    if (class)
        ps_table_text(t, v->names[(size_t)label]);
    else if (isfinite(label))
        ps_table_printf(t, "%.4g", label);
    else
        ps_table_text(t, "-");
}

static void put_push(ps_table *t, const asked *a, double push)
{
    ps_influence_said said;
    ps_table_printf(t, "%.0f", push + 1);
    if (!ps_influence_push_said(a->view, a->result, push, &said)) {
        ps_table_text(t, "-");
        ps_table_text(t, "-");
        return;
    }
    ps_table_text(t, said.worker);
    if (said.end > 0)
        ps_table_printf(t, "%.0f-%.0f", said.begin, said.end - 1);
    else
        ps_table_text(t, "-");
}

static void put_list(ps_table *t, const asked *a, const char *what, size_t top)
{
    char name[48];
    (void)snprintf(name, sizeof name, "%s_scores", what);
    ps_numbers rows = row_of(a->view, a->result, what, a->query),
               scores = row_of(a->view, a->result, name, a->query);
    (void)snprintf(name, sizeof name, "%s_labels", what);
    ps_numbers labels = row_of(a->view, a->result, name, a->query);
    for (uint64_t i = 0; rows.data && scores.data && i < rows.n && i < scores.n && i < top; i++) {
        double row = ps_number_at(&rows, i), score = ps_number_at(&scores, i);
        char text[32];
        if (!isfinite(row))
            break;
        (void)snprintf(text, sizeof text, "%+.4g", score);
        ps_table_color(t, score > 0 ? PS_COLOR_GREEN : PS_COLOR_RED, text);
        if (a->pushes) {
            put_push(t, a, row);
            continue;
        }
        ps_table_printf(t, "%.0f", row);
        put_label(t, a->view, labels.data && i < labels.n ? ps_number_at(&labels, i) : NAN);
    }
}

static void put_models(ps_buf *out, const ps_style *style, const ps_explanation_result *result)
{
    ps_buf models = PS_BUF_EMPTY;
    ps_checkpoints_text(result, &models);
    if (models.len) {
        ps_buf_puts(out, " over ");
        ps_put_text(out, style, PS_COLOR_NONE, ps_buf_cstr(&models));
    }
    ps_buf_free(&models);
}

static void put_query(ps_buf *out, const ps_style *style, const asked *a, double row, size_t top)
{
    static const char *const of_rows[] = {">INFLUENCE", ">ROW", "LABEL", NULL};
    static const char *const of_pushes[] = {">INFLUENCE", ">PUSH", "WORKER", "ROWS", NULL};
    ps_table *t = ps_table_new(a->pushes ? of_pushes : of_rows);
    put_list(t, a, "helping", top);
    put_list(t, a, "hurting", top);
    ps_buf_printf(out, "\ninfluence on row %.0f, by ", row);
    ps_put_text(out, style, PS_COLOR_NONE, a->result->method);
    put_models(out, style, a->result);
    ps_buf_puts(out, ps_table_rows(t) ? ": above 0 what lowered its loss, below what raised it\n"
                                      : ": nobody helped or hurt\n");
    if (ps_table_rows(t))
        ps_table_render(t, style, out);
    ps_table_free(&t);
}

/* The place of a row among the queries; their number: it is none. */
static uint64_t query_of(const ps_numbers *queries, double row)
{
    uint64_t i = 0;
    while (i < queries->n && ps_number_at(queries, i) != row)
        i++;
    return i;
}

void ps_influence_text(ps_buf *out, const ps_style *style, const ps_explain_view *view, size_t top)
{
    const ps_explanation *m = view->manifest;
    size_t rows = ps_rows_shown(view),
           shown = rows < view->rows || view->chosen ? rows : view->rows;
    for (size_t i = 0; i < m->n_results; i++) {
        const ps_explanation_result *r = &m->results[i];
        const ps_explanation_array *queries = ps_explanation_find(r, "queries");
        if (strcmp(r->kind, "influence") != 0 || !queries || !ps_explanation_find(r, "helping"))
            continue;
        ps_numbers all = ps_numbers_whole(view, queries->array);
        for (size_t k = 0; all.data && k < shown; k++) {
            double row = (double)m->rows[ps_row_shown(view, k)].row;
            asked a = {view, r, query_of(&all, row), ps_explanation_find(r, "pushes") != NULL};
            if (a.query < all.n)
                put_query(out, style, &a, row, top);
        }
    }
}
