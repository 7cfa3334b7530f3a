#include "client/show/explain_view.h"

#include "client/show/human.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BAR = 20, NAME = 24, LAYERS = 64, COLUMNS = 80 };

/* ---- arrays ---- */

/* An array of numbers of rows; file NULL: there is none such. */
typedef struct matrix {
    const uint8_t *data;
    uint64_t rows, columns;
} matrix;

static matrix matrix_of(const ps_explain_view *v, const char *name)
{
    const ps_safetensors_tensor *t = v->file ? ps_safetensors_find(v->file, name) : NULL;
    if (!t || t->dtype != PS_SAFETENSORS_F32 || t->n_dims != 2)
        return (matrix){NULL};
    return (matrix){.data = v->arrays.data + v->file->data_start + t->begin,
                    .rows = t->shape[0],
                    .columns = t->shape[1]};
}

static double at(const matrix *m, uint64_t row, uint64_t column)
{
    float value;
    memcpy(&value, m->data + (row * m->columns + column) * sizeof value, sizeof value);
    return (double)value;
}

/* ---- names ---- */

static void put_output(ps_buf *out, const ps_style *style, const ps_explain_view *v, int64_t i)
{
    if (v->manifest->language && v->token && i >= 0) {
        ps_buf text = PS_BUF_EMPTY;
        v->token(v->user, (uint32_t)i, &text);
        ps_buf_putc(out, '\'');
        ps_put_clean(out, style, ps_buf_cstr(&text), NAME);
        ps_buf_putc(out, '\'');
        ps_buf_free(&text);
    } else if (i >= 0 && (uint64_t)i < v->n_names) {
        ps_put_clean(out, style, v->names[i], NAME);
    } else {
        ps_buf_printf(out, "%" PRId64, i);
    }
}

/* Of an image, its row and column; else its number. */
static void put_feature(ps_buf *out, uint64_t feature, uint64_t features)
{
    uint64_t side = (uint64_t)(sqrt((double)features) + 0.5);
    if (features >= 16 && side * side == features)
        ps_buf_printf(out, "row %-3" PRIu64 " column %-3" PRIu64, feature / side, feature % side);
    else
        ps_buf_printf(out, "feature %-6" PRIu64, feature);
}

/* ---- one row ---- */

static void put_bar(ps_buf *out, const ps_style *style, double value, double most)
{
    char bar[3 * BAR + 1] = "";
    int n = most > 0 ? (int)(fabs(value) / most * BAR + 0.5) : 0;
    const char *block = style->utf8 ? "\xe2\x96\x88" : value < 0 ? "-" : "+";
    for (int i = 0; i < n && i < BAR; i++)
        memcpy(bar + (size_t)i * strlen(block), block, strlen(block) + 1);
    ps_buf_printf(out, "%+11.4g  ", value);
    ps_put_text(out, style, value < 0 ? PS_COLOR_RED : PS_COLOR_GREEN, bar);
}

/* The columns of a row by the size of their numbers; those that are no numbers are left out. */
static size_t strongest(const matrix *m, uint64_t row, size_t most, uint64_t *out)
{
    size_t n = 0;
    for (uint64_t k = 0; k < m->columns; k++) {
        double value = fabs(at(m, row, k));
        if (!isfinite(value) || value == 0)
            continue;
        size_t place = n < most ? n++ : most;
        while (place > 0 && fabs(at(m, row, out[place - 1])) < value) {
            if (place < most)
                out[place] = out[place - 1];
            place--;
        }
        if (place < most)
            out[place] = k;
    }
    return n;
}

static void put_features(ps_buf *out, const ps_style *style, const ps_explain_view *v,
                         const matrix *m, uint64_t row)
{
    enum { MOST = 64 };
    uint64_t which[MOST];
    size_t n = strongest(m, row, v->strongest < MOST ? v->strongest : MOST, which);
    for (size_t i = 0; i < n; i++) {
        ps_buf_puts(out, "    ");
        put_feature(out, which[i], m->columns);
        put_bar(out, style, at(m, row, which[i]), fabs(at(m, row, which[0])));
        ps_buf_putc(out, '\n');
    }
}

/* A token with its number behind it where there are no colours to say it. */
static void put_token(ps_buf *out, const ps_style *style, const ps_explain_view *v, double id,
                      double value, double most)
{
    ps_buf text = PS_BUF_EMPTY, clean = PS_BUF_EMPTY;
    bool known = v->token && id >= 0 && id < 1e9;
    if (known)
        v->token(v->user, (uint32_t)id, &text);
    else
        ps_buf_puts(&text, "?");
    ps_put_clean(&clean, style, ps_buf_cstr(&text), NAME);
    bool strong = most > 0 && fabs(value) >= most / 4;
    ps_put_text(out, style,
                !strong     ? PS_COLOR_DIM
                : value < 0 ? PS_COLOR_RED
                            : PS_COLOR_GREEN,
                ps_buf_cstr(&clean));
    if (!style->color)
        ps_buf_printf(out, "(%+.2g) ", value);
    ps_buf_free(&text);
    ps_buf_free(&clean);
}

static void put_tokens(ps_buf *out, const ps_style *style, const ps_explain_view *v,
                       const matrix *m, const matrix *tokens, uint64_t row)
{
    double most = 0;
    for (uint64_t k = 0; k < m->columns; k++)
        if (isfinite(at(m, row, k)) && fabs(at(m, row, k)) > most)
            most = fabs(at(m, row, k));
    ps_buf_puts(out, "    ");
    for (uint64_t k = 0; k < m->columns && k < tokens->columns; k++)
        if (isfinite(at(m, row, k)))
            put_token(out, style, v, at(tokens, row, k), at(m, row, k), most);
    ps_buf_putc(out, '\n');
}

static void put_result(ps_buf *out, const ps_style *style, const ps_explain_view *v,
                       const ps_explanation_result *r, uint64_t row)
{
    const ps_explanation_array *values = ps_explanation_find(r, "values");
    matrix m = values ? matrix_of(v, values->array) : (matrix){NULL},
           tokens = matrix_of(v, v->manifest->contents);
    if (!m.data || row >= m.rows)
        return;
    ps_buf_puts(out, "  ");
    ps_put_text(out, style, PS_COLOR_CYAN, r->method);
    ps_buf_putc(out, '\n');
    if (v->manifest->language && tokens.data && row < tokens.rows)
        put_tokens(out, style, v, &m, &tokens, row);
    else
        put_features(out, style, v, &m, row);
}

static void put_row(ps_buf *out, const ps_style *style, const ps_explain_view *v, size_t i)
{
    const ps_explanation *m = v->manifest;
    const ps_explanation_row *r = &m->rows[i];
    char head[48];
    (void)snprintf(head, sizeof head, "%s %" PRIu64, *m->data ? "row" : "prompt", r->row);
    ps_buf_putc(out, '\n');
    ps_put_text(out, style, PS_COLOR_BOLD, head);
    if (r->label >= 0) {
        ps_buf_puts(out, "  label ");
        put_output(out, style, v, r->label);
    }
    if (m->classes) {
        ps_buf_puts(out, "  prediction ");
        put_output(out, style, v, r->prediction);
        ps_buf_printf(out, " (%.1f%%)", 100 * r->confidence);
    }
    if (r->target != r->prediction) {
        ps_buf_puts(out, "  explained ");
        put_output(out, style, v, r->target);
    }
    ps_buf_printf(out, "  score %.5g\n", r->score);
    for (size_t k = 0; k < m->n_results; k++)
        put_result(out, style, v, &m->results[k], i);
}

/* ---- what holds of all ---- */

/* A line that goes on below, further in, where a part does not fit. */
typedef struct line {
    ps_buf *out;
    size_t begin;          /* of it, in out */
    const char *separator; /* between parts, besides a blank */
} line;

__attribute__((format(printf, 2, 3))) static void put_part(line *l, const char *format, ...)
{
    char part[128];
    va_list values;
    va_start(values, format);
    (void)vsnprintf(part, sizeof part, format, values);
    va_end(values);
    ps_buf_puts(l->out, l->separator);
    bool fits = l->out->len - l->begin + 1 + strlen(part) <= COLUMNS;
    if (!fits)
        l->begin = l->out->len + 1;
    ps_buf_printf(l->out, "%s%s", fits ? " " : "\n    ", part);
}

static void put_method(ps_buf *out, const ps_style *style, const ps_explanation_result *r)
{
    line l = {.out = out, .begin = out->len, .separator = ","};
    ps_put_text(out, style, PS_COLOR_NONE, r->method);
    ps_buf_printf(out, ": %" PRIu64 " evaluations, %s of workers", r->evaluations,
                  ps_human_duration(r->seconds).text);
    if (isfinite(r->steps_max))
        put_part(&l, "steps %.0f (at most %.0f)", r->steps_median, r->steps_max);
    if (r->has_residual)
        put_part(&l, "residual %.2g (largest %.2g)%s", r->relative_median, r->relative_max,
                 r->tolerance > 0 && r->unmet ? ", above the tolerance" : "");
    if (isfinite(r->standard_error))
        put_part(&l, "standard error %.2g", r->standard_error);
    ps_buf_putc(out, '\n');
}

/* Of a lens: how far from the answer each layer is, KL in nats, the mean of rows that have it. */
static void put_divergence(ps_buf *out, const ps_explain_view *v, const ps_explanation_result *r)
{
    const ps_explanation_array *a = ps_explanation_find(r, "divergence");
    bool lens = !strcmp(r->method, "logit_lens") || !strcmp(r->method, "tuned_lens");
    matrix m = a && lens ? matrix_of(v, a->array) : (matrix){NULL};
    if (!m.data || !m.columns)
        return;
    line l = {.out = out, .begin = out->len, .separator = ""};
    ps_buf_puts(out, "  from the answer, by layer:");
    for (uint64_t layer = 0; layer < m.columns && layer < LAYERS; layer++) {
        double sum = 0, n = 0;
        for (uint64_t row = 0; row < m.rows; row++) {
            double value = at(&m, row, layer);
            sum += isfinite(value) ? value : 0;
            n += isfinite(value);
        }
        if (n > 0)
            put_part(&l, "%.3g", sum / n);
        else
            put_part(&l, "-");
    }
    ps_buf_puts(out, m.columns > LAYERS ? " and so on\n" : "\n");
}

static void put_head(ps_buf *out, const ps_style *style, const ps_explanation *m)
{
    ps_table *t = ps_table_new(NULL);
    ps_table_field(t, "model", "%s (%s)", m->model, m->architecture);
    ps_table_field(t, "data", "%s", m->data);
    if (m->n_rows) { /* else it is of the model's numbers alone */
        ps_table_field(t, "explained", "%s of %s, against %s", m->score, m->target, m->baseline);
        ps_table_field(t, "rows", "%zu, seed %" PRIu64, m->n_rows, m->seed);
    }
    ps_table_render(t, style, out);
    ps_table_free(&t);
}

void ps_explain_text(ps_buf *out, const ps_style *style, const ps_explain_view *v)
{
    const ps_explanation *m = v->manifest;
    size_t rows = ps_rows_shown(v), shown = rows < v->rows || v->chosen ? rows : v->rows;
    put_head(out, style, m);
    for (size_t i = 0; i < shown; i++)
        put_row(out, style, v, ps_row_shown(v, i));
    if (shown < rows)
        ps_buf_printf(out, "\nand %zu rows more: --rows\n", rows - shown);
    ps_buf_putc(out, '\n');
    for (size_t i = 0; i < m->n_results; i++) {
        put_method(out, style, &m->results[i]);
        put_divergence(out, v, &m->results[i]);
    }
    for (size_t i = 0; i < m->n_warnings; i++) {
        ps_put_text(out, style, PS_COLOR_YELLOW, "warning: ");
        ps_put_text(out, style, PS_COLOR_NONE, m->warnings[i]);
        ps_buf_putc(out, '\n');
    }
}
