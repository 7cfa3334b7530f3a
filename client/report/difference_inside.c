/* Numbers are bytes of a file that others have left; what is not finite is not drawn. Fails never:
 * what does not fit into the report is left out, and said. */
#include "client/report/difference_inside.h"

#include "client/report/cells.h"
#include "client/report/heat.h"
#include "client/report/html.h"
#include "client/report/lines.h"
#include "client/report/numbers.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { SIDE_MOST = 64, ROWS = 12, BARS = 12 };

static void put_piece(ps_report *r, ps_buf *piece, ps_buf *out, const char *what)
{
    if (!ps_room_take(&r->room, piece, out)) {
        ps_html(out, "<p class=\"left-out\">%s is left out; explain.safetensors has it.</p>\n",
                what);
        ps_room_left_out(&r->room, "%s", what);
    }
    ps_buf_free(piece);
}

/* ---- layers ---- */

typedef struct alike {
    uint64_t layers, its;
    double *cka, *debiased; /* [layers, its] */
} alike;

static double *cells_of(const ps_explain_view *v, const char *name, uint64_t n)
{
    ps_numbers all = ps_numbers_whole(v, ps_array_of(v, "representation_change", name));
    double *values = ps_alloc_array((size_t)n + 1, sizeof *values);
    for (uint64_t i = 0; i < n; i++)
        values[i] = i < all.n ? ps_number_at(&all, i) : NAN;
    return values;
}

static void put_diagonal(const alike *a, ps_buf *out)
{
    double *plain = ps_alloc_array((size_t)a->layers, sizeof *plain);
    double *debiased = ps_alloc_array((size_t)a->layers, sizeof *debiased);
    for (uint64_t i = 0; i < a->layers; i++) {
        plain[i] = a->cka[i * a->its + i];
        debiased[i] = a->debiased[i * a->its + i];
    }
    const ps_line lines[] = {{.name = "CKA", .values = plain},
                             {.name = "without bias", .values = debiased}};
    ps_lines_html(out, &(ps_lines){.title = "How alike a layer and the other's see the rows",
                                   .across = "layer",
                                   .last = (double)(a->layers - 1),
                                   .n = a->layers,
                                   .lines = lines,
                                   .n_lines = 2});
    ps_free(&plain);
    ps_free(&debiased);
}

static void put_cells(const alike *a, ps_buf *out)
{
    static const char title[] = "Each layer beside each of the other's: CKA";
    ps_html(out, "<figure class=\"map keep\"><h3>%s</h3>", title);
    ps_cells_svg(out, &(ps_cells){.title = title,
                                  .row = "layer",
                                  .column = "the other's",
                                  .rows = a->layers,
                                  .columns = a->its,
                                  .values = a->cka});
    ps_buf_puts(out, "</figure>\n");
}

void ps_difference_layers(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    const char *array = ps_array_of(v, "representation_change", "cka");
    alike a = {.layers = ps_array_rows(v, array), .its = ps_array_last(v, array)};
    ps_buf piece = PS_BUF_EMPTY;
    if (!a.layers || !a.its || a.layers > SIDE_MOST || a.its > SIDE_MOST ||
        ps_numbers_whole(v, array).n != a.layers * a.its)
        return;
    a.cka = cells_of(v, "cka", a.layers * a.its);
    a.debiased = cells_of(v, "cka_debiased", a.layers * a.its);
    ps_buf_puts(&piece, "<h3>Layer by layer</h3>\n<div class=\"maps\">\n");
    if (a.layers == a.its && a.layers > 1)
        put_diagonal(&a, &piece);
    put_cells(&a, &piece);
    ps_buf_puts(&piece, "</div>\n");
    put_piece(r, &piece, out, "how alike layers are");
    ps_free(&a.cka);
    ps_free(&a.debiased);
}

/* ---- attributions ---- */

enum { RANK, COSINE, DISTANCE, SHOWN };
static const char *const shown[SHOWN] = {"rank", "cosine", "distance"};

typedef struct changed {
    uint64_t place;
    double numbers[SHOWN];
} changed;

static int by_distance(const void *a, const void *b)
{
    const changed *x = a, *y = b;
    if (x->numbers[DISTANCE] != y->numbers[DISTANCE])
        return x->numbers[DISTANCE] < y->numbers[DISTANCE] ? 1 : -1;
    return (x->place > y->place) - (x->place < y->place);
}

static uint64_t find_changed(const ps_explain_view *v, changed **out)
{
    const char *array = ps_array_of(v, "attribution_change", "rows");
    uint64_t n = ps_array_rows(v, array), count = 0;
    n = n < v->manifest->n_rows ? n : v->manifest->n_rows;
    changed *rows = ps_alloc_array((size_t)n + 1, sizeof *rows);
    for (uint64_t i = 0; i < n; i++) {
        ps_numbers numbers = ps_numbers_of(v, array, i);
        changed row = {.place = i};
        for (size_t k = 0; k < SHOWN; k++)
            row.numbers[k] =
                numbers.data ? ps_number_called(v, "attribution_change", "rows", &numbers, shown[k])
                             : NAN;
        if (isfinite(row.numbers[DISTANCE]))
            rows[count++] = row;
    }
    qsort(rows, (size_t)count, sizeof *rows, by_distance);
    *out = rows;
    return count;
}

static void put_number(ps_buf *out, double value, double times, const char *after)
{
    if (isfinite(value))
        ps_html(out, "<td class=\"n\" data-v=\"%g\">%.3g%s</td>", value, times * value, after);
    else
        ps_buf_puts(out, "<td class=\"n\" data-v=\"-1e99\"></td>");
}

static void put_rows(const ps_explain_view *v, ps_buf *out)
{
    changed *rows = NULL;
    uint64_t n = find_changed(v, &rows);
    if (n)
        ps_buf_puts(out, "<div class=\"scroll\"><table class=\"sort\"><thead><tr><th class=\"n\">"
                         "Row</th><th>Explained</th><th class=\"n\">Changed by</th><th class=\"n\">"
                         "Order</th><th class=\"n\">Cosine</th></tr></thead><tbody>\n");
    for (uint64_t i = 0; i < n && i < ROWS; i++) {
        const ps_explanation_row *row = &v->manifest->rows[rows[i].place];
        ps_html(out, "<tr><td class=\"n\">%" PRIu64 "</td><td>", row->row);
        ps_output_html(out, v, row->target);
        ps_buf_puts(out, "</td>");
        put_number(out, rows[i].numbers[DISTANCE], 100, " %");
        put_number(out, rows[i].numbers[RANK], 1, "");
        put_number(out, rows[i].numbers[COSINE], 1, "");
        ps_buf_puts(out, "</tr>\n");
    }
    if (n)
        ps_buf_puts(out, "</tbody></table></div>\n");
    ps_free(&rows);
}

/* On the mean of all rows, which of tokens says nothing: a place holds another one in each. */
static void put_features(const ps_explain_view *v, ps_buf *out)
{
    ps_numbers mean = ps_numbers_whole(v, ps_array_of(v, "attribution_change", "mean")),
               none = {.data = NULL};
    uint32_t side = ps_image_side(mean.n);
    if (!mean.data || !mean.n || v->manifest->language)
        return;
    ps_buf_puts(out, "<figure class=\"map keep\">");
    if (side)
        ps_heat_image(out, &mean, side, true, "change of each feature, on the mean");
    else
        ps_heat_bars(out, &mean, &none, BARS);
    ps_html(out,
            "<figcaption><b>change of each feature</b> <span>on the mean of the rows, to "
            "±%.2g</span></figcaption></figure>\n",
            ps_numbers_limit(&mean));
}

void ps_difference_attributions(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    ps_buf piece = PS_BUF_EMPTY;
    if (!*ps_array_of(v, "attribution_change", "rows"))
        return;
    ps_buf_puts(&piece, "<h3>Whose explanation changed most</h3>\n<div class=\"maps\">\n");
    put_features(v, &piece);
    put_rows(v, &piece);
    ps_buf_puts(&piece, "</div>\n");
    put_piece(r, &piece, out, "whose explanation changed");
}
