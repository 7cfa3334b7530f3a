/* Representation: what layers make of the rows: how their channels are used, which layers see the
 * rows alike, where rows lie, and whether the label can be read off. */
#include "client/report/cells.h"
#include "client/report/html.h"
#include "client/report/lines.h"
#include "client/report/numbers.h"
#include "client/report/scatter.h"
#include "client/report/section_rows.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>

enum { LAYERS_DRAWN = 12, ROWS_DRAWN = 512, TABLE_SIDE = 64 };

static const struct {
    const char *method, *array;
} known[] = {{"activations", "statistics"},
             {"similarity", "cka"},
             {"pca", "coordinates"},
             {"probes", "accuracy"}};

static bool present(const ps_report *r)
{
    for (size_t i = 0; r->explanation && i < sizeof known / sizeof *known; i++)
        if (*ps_array_of(r->explanation, known[i].method, known[i].array))
            return true;
    return false;
}

/* As float64, NaN behind the array's end; to be freed. */
static double *doubles_of(const ps_explain_view *v, const char *array, uint64_t n)
{
    ps_numbers numbers = ps_numbers_whole(v, array);
    double *values = ps_alloc_array((size_t)n + 1, sizeof *values);
    for (uint64_t i = 0; i < n; i++)
        values[i] = i < numbers.n ? ps_number_at(&numbers, i) : NAN;
    return values;
}

static void put_piece(ps_report *r, ps_buf *piece, ps_buf *out, const char *what)
{
    if (!ps_room_take(&r->room, piece, out)) {
        ps_html(out, "<p class=\"left-out\">%s is left out; explain.safetensors has it.</p>\n",
                what);
        ps_room_left_out(&r->room, "%s", what);
    }
}

/* ---- activations ---- */

typedef struct layer_use {
    uint64_t channels;
    double mean, deviation; /* of its channels, on the mean */
} layer_use;

static layer_use use_of(const ps_explain_view *v, uint64_t layer)
{
    const char *array = ps_array_of(v, "activations", "statistics");
    ps_numbers all = ps_numbers_of(v, array, layer);
    uint64_t each = ps_array_last(v, array);
    layer_use use = {0};
    for (uint64_t at = 0; each && at + each <= all.n; at += each) {
        const ps_numbers channel = {.data = all.data + at * sizeof(float), .n = each};
        double mean = ps_number_called(v, "activations", "statistics", &channel, "mean");
        double deviation = ps_number_called(v, "activations", "statistics", &channel, "deviation");
        if (!isfinite(mean) || !isfinite(deviation))
            continue;
        use.channels++;
        use.mean += (mean - use.mean) / (double)use.channels;
        use.deviation += (deviation - use.deviation) / (double)use.channels;
    }
    return use;
}

static void put_dead(ps_buf *out, const ps_explain_view *v, uint64_t layers)
{
    double *dead = doubles_of(v, ps_array_of(v, "activations", "dead"), layers);
    ps_buf_puts(out, "<div class=\"scroll\"><table class=\"sort\"><thead><tr><th class=\"n\">Layer"
                     "</th><th class=\"n\">Channels</th><th class=\"n\">Dead</th></tr></thead>"
                     "<tbody>\n");
    for (uint64_t i = 0; i < layers; i++) {
        ps_html(out, "<tr><td class=\"n\">%" PRIu64 "</td><td class=\"n\">%" PRIu64 "</td>", i,
                use_of(v, i).channels);
        if (isfinite(dead[i]))
            ps_html(out, "<td class=\"n\">%.0f</td></tr>\n", dead[i]);
        else
            ps_buf_puts(out, "<td class=\"n\"></td></tr>\n");
    }
    ps_buf_puts(out, "</tbody></table></div>\n");
    ps_free(&dead);
}

static void put_activations(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    uint64_t layers = ps_array_rows(v, ps_array_of(v, "activations", "statistics"));
    if (!layers || layers > PS_LINES_POINTS_MOST)
        return;
    double *mean = ps_alloc_array((size_t)layers, sizeof *mean);
    double *deviation = ps_alloc_array((size_t)layers, sizeof *deviation);
    for (uint64_t i = 0; i < layers; i++) {
        layer_use use = use_of(v, i);
        mean[i] = use.channels ? use.mean : NAN;
        deviation[i] = use.channels ? use.deviation : NAN;
    }
    const ps_line lines[] = {{.name = "mean", .values = mean},
                             {.name = "deviation", .values = deviation}};
    ps_buf piece = PS_BUF_EMPTY;
    ps_lines_html(&piece, &(ps_lines){.title = "What channels hold, on average",
                                      .across = "layer",
                                      .last = (double)(layers - 1),
                                      .n = layers,
                                      .lines = lines,
                                      .n_lines = 2});
    ps_buf_puts(&piece, "<figure class=\"map\"><h3>Channels that are above 0 for no row</h3>\n");
    put_dead(&piece, v, layers);
    ps_buf_puts(&piece, "</figure>\n");
    put_piece(r, &piece, out, "the use of channels");
    ps_buf_free(&piece);
    ps_free(&mean);
    ps_free(&deviation);
}

/* ---- similarity ---- */

static void put_matrix_table(ps_buf *out, const double *values, uint64_t n)
{
    ps_buf_puts(out, "<details class=\"more\"><summary>The same in numbers</summary><div "
                     "class=\"scroll\"><table><thead><tr><th>Layer</th>");
    for (uint64_t i = 0; i < n; i++)
        ps_html(out, "<th class=\"n\">%" PRIu64 "</th>", i);
    ps_buf_puts(out, "</tr></thead><tbody>\n");
    for (uint64_t row = 0; row < n; row++) {
        ps_html(out, "<tr><th scope=\"row\">%" PRIu64 "</th>", row);
        for (uint64_t i = 0; i < n; i++)
            if (isfinite(values[row * n + i]))
                ps_html(out, "<td class=\"n\">%.3f</td>", values[row * n + i]);
            else
                ps_buf_puts(out, "<td class=\"n\"></td>");
        ps_buf_puts(out, "</tr>\n");
    }
    ps_buf_puts(out, "</tbody></table></div></details>\n");
}

static void put_similarity(ps_report *r, ps_buf *out, const char *name, const char *title)
{
    const ps_explain_view *v = r->explanation;
    const char *array = ps_array_of(v, "similarity", name);
    uint64_t n = ps_array_last(v, array);
    ps_buf piece = PS_BUF_EMPTY;
    if (!n || n != ps_array_rows(v, array) || ps_numbers_whole(v, array).n != n * n ||
        n > TABLE_SIDE)
        return;
    double *values = doubles_of(v, array, n * n);
    ps_html(&piece, "<figure class=\"map keep\"><h3>%s</h3>", title);
    ps_cells_svg(&piece, &(ps_cells){.title = title,
                                     .row = "layer",
                                     .column = "layer",
                                     .rows = n,
                                     .columns = n,
                                     .values = values});
    put_matrix_table(&piece, values, n);
    ps_buf_puts(&piece, "</figure>\n");
    put_piece(r, &piece, out, title);
    ps_buf_free(&piece);
    ps_free(&values);
}

/* ---- pca ---- */

static void put_layer(ps_buf *out, const ps_explain_view *v, const ps_labels *labels,
                      uint64_t layer, uint64_t rows)
{
    const char *array = ps_array_of(v, "pca", "coordinates");
    uint64_t each = ps_array_last(v, array);
    ps_numbers all = ps_numbers_of(v, array, layer);
    ps_numbers share = ps_numbers_of(v, ps_array_of(v, "pca", "explained"), layer);
    double *x = ps_alloc_array((size_t)rows + 1, sizeof *x);
    double *y = ps_alloc_array((size_t)rows + 1, sizeof *y);
    for (uint64_t i = 0; i < rows; i++) {
        x[i] = ps_number_at(&all, i * each);
        y[i] = each > 1 ? ps_number_at(&all, i * each + 1) : 0;
    }
    ps_buf title = PS_BUF_EMPTY;
    ps_buf_printf(&title, "Layer %" PRIu64, layer);
    for (uint64_t i = 0; i < share.n && i < each && i < 3; i++)
        if (isfinite(ps_number_at(&share, i)))
            ps_buf_printf(&title, "%s%.0f %%", i ? ", " : ": ", 100 * ps_number_at(&share, i));
    ps_scatter_html(out, v, labels,
                    &(ps_scatter){.title = ps_buf_cstr(&title),
                                  .across = "first direction",
                                  .up = each > 1 ? "the second" : "nothing",
                                  .n = rows,
                                  .x = x,
                                  .y = y});
    ps_buf_free(&title);
    ps_free(&x);
    ps_free(&y);
}

static void put_pca(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    const char *array = ps_array_of(v, "pca", "coordinates");
    uint64_t layers = ps_array_rows(v, array), each = ps_array_last(v, array);
    uint64_t rows = each ? ps_numbers_of(v, array, 0).n / each : 0;
    uint64_t drawn = layers < LAYERS_DRAWN ? layers : LAYERS_DRAWN;
    rows = rows < v->manifest->n_rows ? rows : v->manifest->n_rows;
    rows = rows < ROWS_DRAWN ? rows : ROWS_DRAWN;
    if (!rows)
        return;
    ps_labels labels = ps_labels_of(v->manifest, rows);
    ps_buf piece = PS_BUF_EMPTY;
    ps_html(out,
            "<h3>Where %" PRIu64 " rows lie, in the directions in which they lie furthest "
            "apart</h3>\n",
            rows);
    ps_scatter_legend(out, v, &labels);
    ps_buf_puts(out, "<div class=\"maps\">\n");
    for (uint64_t i = 0; i < drawn; i++) { /* from the first to the last */
        put_layer(&piece, v, &labels, drawn > 1 ? i * (layers - 1) / (drawn - 1) : 0, rows);
        put_piece(r, &piece, out, "a layer's rows in the plane");
    }
    ps_buf_free(&piece);
    ps_buf_puts(out, "</div>\n");
}

/* ---- probes ---- */

static void put_probes(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    const char *array = ps_array_of(v, "probes", "accuracy");
    uint64_t n = ps_numbers_whole(v, array).n;
    if (!n || n > PS_LINES_POINTS_MOST)
        return;
    double *accuracy = doubles_of(v, array, n);
    double *control = doubles_of(v, ps_array_of(v, "probes", "control"), n);
    double *usual = doubles_of(v, ps_array_of(v, "probes", "usual"), 1);
    const ps_line lines[] = {
        {.name = "label, on rows kept apart", .values = accuracy},
        {.name = "labels dealt out by chance", .values = control},
        {.name = "always the commonest label", .values = usual, .level = true}};
    ps_buf piece = PS_BUF_EMPTY;
    ps_lines_html(&piece, &(ps_lines){.title = "How often a line reads the label off",
                                      .across = "layer",
                                      .last = (double)(n - 1),
                                      .n = n,
                                      .lines = lines,
                                      .n_lines = 3});
    put_piece(r, &piece, out, "what probes find");
    ps_buf_free(&piece);
    ps_free(&accuracy);
    ps_free(&control);
    ps_free(&usual);
}

static void draw(ps_report *r, ps_buf *out)
{
    ps_buf_puts(out, "<div class=\"maps\">\n");
    put_activations(r, out);
    put_probes(r, out);
    put_similarity(r, out, "cka", "Layers that see rows alike: CKA");
    put_similarity(r, out, "cka_debiased", "The same without bias");
    ps_buf_puts(out, "</div>\n");
    put_pca(r, out);
    ps_buf_puts(
        out,
        "<p class=\"note\">CKA is 1 of layers that are turns of each other; the plain one grows "
        "with their width, the one without bias is near 0 where nothing is alike. Percentages are "
        "shares of the variance. What this does not say: that a label can be read off a layer does "
        "not mean that the model uses it, and two directions are not all.</p>\n");
}

static void style(const ps_report *r, ps_buf *out)
{
    ps_buf_puts(out, ".marks{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;list-style:none;"
                     "padding:0;margin:.3rem 0;font-size:.86rem}\n");
}

const ps_report_section ps_section_representation = {.id = "representation",
                                                     .title = "Representation",
                                                     .present = present,
                                                     .draw = draw,
                                                     .style = style};
