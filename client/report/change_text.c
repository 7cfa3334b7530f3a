/* Happy path: the figures of each tensor are found by the names that the manifest has for them, and
 * put in order: by the part of the loss that went through it where that is known, else by the size
 * of its change. What is not there is left out. Cannot fail. */
#include "client/report/change_text.h"

#include "client/report/numbers.h"
#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BAR = 16 };

/* What is known of a tensor. */
typedef struct line {
    const char *name;
    double loss, change, sqnr, largest; /* NaN: not known */
    double weight;                      /* that it is placed by */
} line;

/* ---- figures ---- */

static const ps_explanation_array *array_of(const ps_explain_view *v, const char *method,
                                            const char *name)
{
    for (size_t i = 0; i < v->manifest->n_results; i++)
        if (!strcmp(v->manifest->results[i].method, method))
            return ps_explanation_find(&v->manifest->results[i], name);
    return NULL;
}

/* NaN: there is no such number. */
static double figure(const ps_explain_view *v, const ps_explanation_array *a, uint64_t row,
                     const char *entry)
{
    if (!a)
        return NAN;
    ps_numbers numbers = ps_numbers_of(v, a->array, row);
    for (size_t i = 0; numbers.data && i < a->n_entries && i < numbers.n; i++)
        if (!strcmp(a->entries[i], entry))
            return ps_number_at(&numbers, i);
    return NAN;
}

static double part_of_loss(const ps_explain_view *v, uint64_t tensor)
{
    ps_numbers all = ps_numbers_of(v, ps_array_of(v, "loss_path", "by_tensor"), 0);
    return all.data && tensor < all.n ? ps_number_at(&all, tensor) : NAN;
}

static int by_weight(const void *a, const void *b)
{
    const line *x = a, *y = b;
    return (x->weight < y->weight) - (x->weight > y->weight);
}

/* Freed by the caller. */
static line *lines_of(const ps_explain_view *v, size_t *n)
{
    const ps_explanation *m = v->manifest;
    const ps_explanation_array *statistics = array_of(v, "weight_change", "statistics");
    line *lines = ps_alloc_array(m->n_tensors + 1, sizeof *lines);
    for (*n = 0; *n < m->n_tensors; ++*n) {
        line *l = &lines[*n];
        *l = (line){.name = m->tensors[*n],
                    .loss = part_of_loss(v, *n),
                    .change = figure(v, statistics, *n, "change"),
                    .sqnr = figure(v, statistics, *n, "sqnr"),
                    .largest = figure(v, statistics, *n, "largest")};
        double weight = isfinite(l->loss) ? fabs(l->loss) : l->change;
        l->weight = isnan(weight) ? -1 : weight;
    }
    qsort(lines, *n, sizeof *lines, by_weight);
    return lines;
}

/* ---- the table ---- */

static void put_bar(ps_table *t, const ps_style *style, const line *l, double most)
{
    char bar[3 * BAR + 1] = "";
    int n = most > 0 && l->weight > 0 ? (int)(fmin(l->weight / most, 1) * BAR + 0.5) : 0;
    const char *block = style->utf8 ? "\xe2\x96\x88" : l->loss < 0 ? "-" : "+";
    for (int i = 0; i < n; i++)
        memcpy(bar + (size_t)i * strlen(block), block, strlen(block) + 1);
    ps_table_color(t, l->loss < 0 ? PS_COLOR_GREEN : PS_COLOR_RED, bar);
}

static void put_number(ps_table *t, const char *format, double value)
{
    char text[40] = "";
    if (isfinite(value))
        (void)snprintf(text, sizeof text, format, value); /* one of this file's */
    ps_table_text(t, text);
}

static void put_line(ps_table *t, const ps_style *style, const line *l, double most, bool loss)
{
    ps_table_text(t, l->name);
    if (loss)
        put_number(t, "%+.3g", l->loss);
    put_number(t, "%.3g %%", 100 * l->change);
    if (l->change == 0)
        ps_table_text(t, "the same");
    else
        put_number(t, "%.1f dB", l->sqnr);
    put_number(t, "%.3g", l->largest);
    put_bar(t, style, l, most);
}

static void put_tensors(ps_buf *out, const ps_style *style, const ps_explain_view *v, size_t most)
{
    static const char *const with[] = {"tensor", ">loss", ">change", ">SQNR", ">largest", "", NULL},
                             *const without[] = {"tensor",   ">change", ">SQNR",
                                                 ">largest", "",        NULL};
    bool loss = *ps_array_of(v, "loss_path", "by_tensor");
    size_t n = 0;
    line *lines = lines_of(v, &n);
    ps_table *t = ps_table_new(loss ? with : without);
    for (size_t i = 0; i < n && i < most; i++)
        put_line(t, style, &lines[i], lines[0].weight, loss);
    ps_table_render(t, style, out);
    if (n > most)
        ps_buf_printf(out, "and %zu tensors more, which --json has\n", n - most);
    ps_table_free(&t);
    ps_free(&lines);
}

/* ---- what became of the loss, and of the answers ---- */

static void put_path(ps_buf *out, const ps_explain_view *v)
{
    const ps_explanation_array *a = array_of(v, "loss_path", "summary");
    if (!a)
        return;
    ps_buf_printf(out,
                  "loss %s to %s on %.0f rows: %+.4g; what went through the tensors adds up to "
                  "%+.4g (at most %.0f segments)\n",
                  ps_human_value(figure(v, a, 0, "loss")).text,
                  ps_human_value(figure(v, a, 0, "other_loss")).text, figure(v, a, 0, "rows"),
                  figure(v, a, 0, "difference"), figure(v, a, 0, "sum"),
                  figure(v, a, 0, "segments"));
}

static void put_answers(ps_buf *out, const ps_explain_view *v)
{
    const ps_explanation_array *a = array_of(v, "answer_change", "summary");
    if (!a)
        return;
    ps_buf_printf(out, "answers to %.0f rows: divergence %.4g, another likeliest one for %.0f\n",
                  figure(v, a, 0, "rows"), figure(v, a, 0, "divergence"), figure(v, a, 0, "flips"));
}

/* Of each layer with its own in the other model, where both have as many. */
static uint64_t same_layers(const ps_explain_view *v, const ps_explanation_array *a,
                            ps_numbers *cells)
{
    uint64_t n = a ? ps_array_rows(v, a->array) : 0;
    if (!n || n != ps_array_last(v, a->array))
        return 0;
    *cells = ps_numbers_whole(v, a->array);
    return cells->n == n * n ? n : 0;
}

static void put_layers(ps_buf *out, const ps_explain_view *v)
{
    ps_numbers cells;
    uint64_t n = same_layers(v, array_of(v, "representation_change", "cka"), &cells);
    if (!n)
        return;
    ps_buf_puts(out, "layers, how alike they see the rows (CKA):");
    for (uint64_t i = 0; i < n; i++)
        ps_buf_printf(out, " %.3f", ps_number_at(&cells, i * n + i));
    ps_buf_putc(out, '\n');
}

static void put_attributions(ps_buf *out, const ps_explain_view *v)
{
    const ps_explanation_array *a = array_of(v, "attribution_change", "summary");
    if (!a)
        return;
    ps_buf_printf(out,
                  "attributions of %.0f rows: changed by %.3g %% of their size, order %.3f "
                  "(Spearman), cosine %.3f\n",
                  figure(v, a, 0, "rows"), 100 * figure(v, a, 0, "distance"),
                  figure(v, a, 0, "rank"), figure(v, a, 0, "cosine"));
}

bool ps_change_any(const ps_explain_view *v)
{
    return array_of(v, "weight_change", "statistics") || array_of(v, "loss_path", "by_tensor") ||
           array_of(v, "answer_change", "rows") || array_of(v, "representation_change", "cka") ||
           array_of(v, "attribution_change", "rows");
}

void ps_change_text(ps_buf *out, const ps_style *style, const ps_explain_view *v, size_t most)
{
    const ps_explanation *m = v->manifest;
    if (!ps_change_any(v))
        return;
    ps_put_text(out, style, PS_COLOR_BOLD, m->model);
    ps_buf_puts(out, " and ");
    ps_put_text(out, style, PS_COLOR_BOLD, m->other);
    ps_buf_putc(out, '\n');
    if (array_of(v, "weight_change", "statistics") || array_of(v, "loss_path", "by_tensor"))
        put_tensors(out, style, v, most);
    put_path(out, v);
    put_answers(out, v);
    put_layers(out, v);
    put_attributions(out, v);
}

/* ---- JSON ---- */

static void put_entries(ps_json_writer *w, const ps_explain_view *v, const ps_explanation_array *a,
                        uint64_t row)
{
    for (size_t i = 0; a && i < a->n_entries; i++)
        ps_json_put_double(w, a->entries[i], figure(v, a, row, a->entries[i]));
}

static void put_summary(ps_json_writer *w, const ps_explain_view *v, const char *method)
{
    const ps_explanation_array *a = array_of(v, method, "summary");
    if (!a)
        return;
    ps_json_key(w, method);
    ps_json_object(w);
    put_entries(w, v, a, 0);
    ps_json_object_end(w);
}

static void put_alike(ps_json_writer *w, const ps_explain_view *v)
{
    static const char *const names[] = {"cka", "cka_debiased"};
    ps_numbers cells;
    if (!same_layers(v, array_of(v, "representation_change", names[0]), &cells))
        return;
    ps_json_key(w, "representation_change");
    ps_json_object(w);
    for (size_t k = 0; k < 2; k++) {
        uint64_t n = same_layers(v, array_of(v, "representation_change", names[k]), &cells);
        ps_json_key(w, names[k]);
        ps_json_array(w);
        for (uint64_t i = 0; i < n; i++)
            ps_json_double(w, ps_number_at(&cells, i * n + i));
        ps_json_array_end(w);
    }
    ps_json_object_end(w);
}

void ps_change_json(ps_json_writer *w, const ps_explain_view *v)
{
    const ps_explanation_array *a = array_of(v, "weight_change", "statistics");
    ps_json_key(w, "tensors");
    ps_json_array(w);
    for (size_t i = 0; i < v->manifest->n_tensors; i++) {
        double loss = part_of_loss(v, i);
        ps_json_object(w);
        ps_json_put_string(w, "name", v->manifest->tensors[i]);
        if (isfinite(loss))
            ps_json_put_double(w, "loss", loss);
        put_entries(w, v, a, i);
        ps_json_object_end(w);
    }
    ps_json_array_end(w);
    put_summary(w, v, "loss_path");
    put_summary(w, v, "answer_change");
    put_alike(w, v);
    put_summary(w, v, "attribution_change");
}
