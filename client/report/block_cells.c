/* A row a matrix, of the first that there are room for; its bias at the end. Cannot fail. */
#include "client/report/block_cells.h"

#include "client/report/html.h"
#include "client/report/numbers.h"
#include "client/report/palette.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define METHOD "blocks"
#define SMALL  0.01

enum {
    TENSORS_MOST = 64,
    BLOCKS_MOST = 64,
    LEFT = 250,
    WIDE = 44,
    HIGH = 20,
    HEAD = 18,
    FOOT = 20
};

typedef struct means {
    uint64_t tensors, blocks;
    double *shares, *bias; /* [tensors, blocks], [tensors]; NaN of what is no matrix */
    double most;
} means;

bool ps_block_cells_present(const ps_explain_view *view)
{
    return *ps_array_of(view, METHOD, "contributions");
}

static void add_rows(const ps_explain_view *v, const char *array, uint64_t n, double *out)
{
    uint64_t rows = ps_array_rows(v, array);
    rows = rows < v->manifest->n_rows ? rows : v->manifest->n_rows;
    for (uint64_t row = 0; row < rows; row++) {
        ps_numbers numbers = ps_numbers_of(v, array, row);
        for (uint64_t i = 0; i < n; i++)
            out[i] += (i < numbers.n ? ps_number_at(&numbers, i) : NAN) / (double)rows;
    }
}

static means means_of(const ps_explain_view *v)
{
    const char *shares = ps_array_of(v, METHOD, "contributions");
    means m = {.tensors = v->manifest->n_tensors, .blocks = ps_array_last(v, shares)};
    if (!m.blocks || m.blocks > BLOCKS_MOST)
        return (means){0};
    m.shares = ps_alloc_array((size_t)(m.tensors * m.blocks) + 1, sizeof *m.shares);
    m.bias = ps_alloc_array((size_t)m.tensors + 1, sizeof *m.bias);
    add_rows(v, shares, m.tensors * m.blocks, m.shares);
    add_rows(v, ps_array_of(v, METHOD, "bias"), m.tensors, m.bias);
    for (uint64_t i = 0; i < m.tensors * m.blocks; i++)
        m.most = fmax(m.most, fabs(m.shares[i]));
    for (uint64_t i = 0; i < m.tensors; i++)
        m.most = fmax(m.most, fabs(m.bias[i]));
    return m;
}

/* In two digits of the largest, so that it is as wide as its cell; "": nothing of it is left. */
static ps_human number_text(double v, double most)
{
    ps_human out = {.text = ""};
    int places = 1 - (int)floor(log10(most));
    bool plain = places <= 3 && most < 1e5;
    places = places > 0 ? places : 0;
    if (fabs(v) < SMALL * most || (plain && fabs(v) < 0.5 * pow(10, -places)))
        return out;
    (void)snprintf(out.text, sizeof out.text, plain ? "%+.*f" : "%+.*e", plain ? places : 0, v);
    return out;
}

static void put_cell(ps_buf *out, const means *m, uint64_t row, uint64_t column, double v)
{
    ps_rgb ground = ps_palette_diverging(m->most > 0 ? v / m->most : 0);
    uint64_t x = LEFT + column * WIDE + (column == m->blocks ? 8 : 0), y = HEAD + row * HIGH;
    ps_html(out, "<g class=\"cell\" data-cell=\"%" PRIu64 ",%" PRIu64 "\"><title>", row, column);
    if (column == m->blocks)
        ps_html(out, "bias\n%+.4g", v);
    else
        ps_html(out, "block %" PRIu64 "\n%+.4g", column, v);
    ps_html(out,
            "</title><rect class=\"fill\" x=\"%" PRIu64 "\" y=\"%" PRIu64
            "\" width=\"%d\" height=\"%d\" rx=\"2\" fill=\"%s\"/>",
            x, y, WIDE - 2, HIGH - 2, ps_rgb_hex(ground).text);
    ps_human text = number_text(v, m->most);
    if (*text.text) /* else its tip says it, and there it has room */
        ps_html(out,
                "<text class=\"in\" text-anchor=\"middle\" x=\"%" PRIu64 "\" y=\"%" PRIu64
                "\" fill=\"%s\">%s</text>",
                x + WIDE / 2 - 1, y + 13, ps_rgb_hex(ps_palette_on(ground)).text, text.text);
    ps_buf_puts(out, "</g>\n");
}

static void put_tensor(ps_buf *out, const ps_explain_view *v, const means *m, uint64_t tensor,
                       uint64_t row)
{
    ps_numbers sides = ps_numbers_whole(v, ps_array_of(v, METHOD, "side_by_side"));
    bool beside = tensor < sides.n && ps_number_at(&sides, tensor) == 1;
    ps_html(out, "<text class=\"what\" text-anchor=\"end\" x=\"%d\" y=\"%" PRIu64 "\">%s %s</text>",
            LEFT - 8, HEAD + row * HIGH + 13, v->manifest->tensors[tensor], beside ? "| |" : "+");
    for (uint64_t b = 0; b < m->blocks; b++)
        if (isfinite(m->shares[tensor * m->blocks + b]))
            put_cell(out, m, row, b, m->shares[tensor * m->blocks + b]);
    if (isfinite(m->bias[tensor]))
        put_cell(out, m, row, m->blocks, m->bias[tensor]);
}

static void put_svg(ps_buf *out, const ps_explain_view *v, const means *m, uint64_t *left_out)
{
    uint64_t rows = 0, shown = 0;
    for (uint64_t i = 0; i < m->tensors; i++)
        rows += isfinite(m->shares[i * m->blocks]);
    *left_out = rows > TENSORS_MOST ? rows - TENSORS_MOST : 0;
    rows -= *left_out;
    int width = LEFT + (int)(m->blocks + 1) * WIDE + 16, height = HEAD + (int)rows * HIGH + FOOT;
    ps_html(out,
            "<svg class=\"figure\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "role=\"group\"><title>What column blocks of matrices add, a row a matrix</title>\n",
            width, height, width, height);
    for (uint64_t b = 0; b <= m->blocks; b++) {
        uint64_t x = LEFT + b * WIDE + (b == m->blocks ? 8 : 0) + WIDE / 2 - 1;
        ps_html(out, "<text class=\"what\" text-anchor=\"middle\" x=\"%" PRIu64 "\" y=\"12\">", x);
        if (b == m->blocks)
            ps_buf_puts(out, "bias</text>");
        else
            ps_html(out, "%" PRIu64 "</text>", b);
    }
    for (uint64_t i = 0; i < m->tensors && shown < rows; i++)
        if (isfinite(m->shares[i * m->blocks]))
            put_tensor(out, v, m, i, shown++);
    ps_html(out, "<text class=\"what\" x=\"%d\" y=\"%d\">white 0, to ±%.3g</text></svg>\n", LEFT,
            height - 5, m->most);
}

void ps_block_cells_html(ps_report *r, ps_buf *out)
{
    ps_buf figure = PS_BUF_EMPTY;
    uint64_t left_out = 0;
    means m = ps_block_cells_present(r->explanation) ? means_of(r->explanation) : (means){0};
    if (m.shares) {
        ps_buf_puts(&figure, "<h3>What column blocks add</h3>\n<figure class=\"scroll\">");
        put_svg(&figure, r->explanation, &m, &left_out);
        ps_buf_puts(&figure,
                    "<figcaption class=\"note\">To first order, the mean of all rows: the gradient "
                    "at what a matrix gives, times the block's part of it; with the bias they add "
                    "up to the gradient times all of it. + : blocks are slices of the inputs, and "
                    "their parts are added. | | : of the outputs, side by side.</figcaption>"
                    "</figure>\n");
        if (!ps_room_take(&r->room, &figure, out))
            ps_room_left_out(&r->room, "what column blocks add");
        if (left_out)
            ps_room_left_out(&r->room, "%" PRIu64 " matrices of what column blocks add", left_out);
    }
    ps_buf_free(&figure);
    ps_free(&m.shares);
    ps_free(&m.bias);
}
