/* Attention: of each head, how wide it looks, how far back, and how much at the first token, on
 * average over the rows. */
#include "client/report/cells.h"
#include "client/report/html.h"
#include "client/report/numbers.h"
#include "client/report/section_rows.h"
#include "common/base/mem.h"

#include <math.h>

#define METHOD "attention"

static const struct {
    const char *array, *title, *says;
} maps[] = {
    {"entropy", "Width", "entropy of where it looks, in nats: light looks at many tokens"},
    {"distance", "Distance", "how many tokens back, on average"},
    {"first", "First token", "the share that rests there, often a place to look at nothing"},
};

static bool present(const ps_report *r)
{
    return r->explanation && *ps_array_of(r->explanation, METHOD, "entropy");
}

/* The mean of all rows, [layer, head]; NULL: there are none. */
static double *mean_of(const ps_explain_view *v, const char *array, uint64_t *layers,
                       uint64_t *heads)
{
    ps_numbers first = ps_numbers_of(v, array, 0);
    uint64_t rows = ps_array_rows(v, array);
    *heads = ps_array_last(v, array);
    if (!first.data || !*heads || !first.n || first.n > PS_CELLS_MOST)
        return NULL;
    *layers = first.n / *heads;
    double *mean = ps_alloc_array((size_t)first.n, sizeof *mean);
    for (uint64_t row = 0; row < rows; row++) {
        ps_numbers numbers = ps_numbers_of(v, array, row);
        for (uint64_t i = 0; i < numbers.n; i++)
            mean[i] += ps_number_at(&numbers, i) / (double)rows;
    }
    return mean;
}

static void put_map(ps_report *r, size_t which, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    uint64_t layers = 0, heads = 0;
    double *mean = mean_of(v, ps_array_of(v, METHOD, maps[which].array), &layers, &heads);
    if (!mean)
        return;
    ps_buf map = PS_BUF_EMPTY;
    ps_cells_svg(&map, &(ps_cells){.title = maps[which].title,
                                   .row = "layer",
                                   .column = "head",
                                   .rows = layers,
                                   .columns = heads,
                                   .values = mean});
    ps_html(out, "<figure class=\"map\"><h3>%s</h3>", maps[which].title);
    if (!ps_room_take(&r->room, &map, out))
        ps_room_left_out(&r->room, "a map of attention");
    ps_html(out, "<figcaption>%s</figcaption></figure>\n", maps[which].says);
    ps_buf_free(&map);
    ps_free(&mean);
}

static void draw(ps_report *r, ps_buf *out)
{
    ps_buf_puts(out, "<div class=\"maps\">\n");
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        put_map(r, i, out);
    ps_buf_puts(
        out, "</div>\n<p class=\"note\">A row a layer, a column a head. What this does not say: "
             "where a head looks is not yet what it does; it may carry little from there.</p>\n");
}

const ps_report_section ps_section_attention = {
    .id = "attention", .title = "Attention", .present = present, .draw = draw};
