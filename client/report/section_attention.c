/* Attention: heads, most first (head_table.h); of each, how wide it looks, how far back, and how
 * much at the first token, on average over the rows; and what it looks for, on random tokens that
 * repeat. */
#include "client/report/cells.h"
#include "client/report/head_table.h"
#include "client/report/html.h"
#include "client/report/numbers.h"
#include "client/report/palette.h"
#include "client/report/png.h"
#include "client/report/section_rows.h"
#include "common/base/base64.h"
#include "common/base/mem.h"

#include <math.h>

#define METHOD "attention"
#define SCORES "head_scores"

static const struct {
    const char *array, *title, *says;
} maps[] = {
    {"entropy", "Width", "entropy of where it looks, in nats: light looks at many tokens"},
    {"distance", "Distance", "how many tokens back, on average"},
    {"first", "First token", "the share that rests there, often a place to look at nothing"},
};

static bool present(const ps_report *r)
{
    return r->explanation && (*ps_array_of(r->explanation, METHOD, "entropy") ||
                              ps_head_table_present(r->explanation));
}

/* The mean of all rows, [layer, head]; NULL: there are none. */
static double *mean_of(const ps_explain_view *v, const char *array, uint64_t *layers,
                       uint64_t *heads)
{
    ps_numbers first = ps_numbers_of(v, array, 0);
    *heads = ps_array_last(v, array);
    if (!first.data || !*heads || !first.n || first.n > PS_CELLS_MOST)
        return NULL;
    *layers = first.n / *heads;
    double *mean = ps_alloc_array((size_t)first.n, sizeof *mean);
    for (uint64_t i = 0; i < first.n; i++)
        mean[i] = ps_array_mean(v, array, i);
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

/* ---- what each head looks for ---- */

static void put_look(ps_report *r, ps_buf *out, const ps_head_look *look)
{
    ps_buf map = PS_BUF_EMPTY;
    const char *array = ps_array_of(r->explanation, SCORES, look->array);
    ps_numbers all = ps_numbers_whole(r->explanation, array);
    uint64_t heads = ps_array_last(r->explanation, array);
    if (!all.data || !heads || !all.n || all.n > PS_CELLS_MOST)
        return;
    double *values = ps_alloc_array((size_t)all.n, sizeof *values);
    for (uint64_t i = 0; i < all.n; i++)
        values[i] = ps_number_at(&all, i);
    ps_cells_svg(&map, &(ps_cells){.title = look->array,
                                   .row = "layer",
                                   .column = "head",
                                   .rows = all.n / heads,
                                   .columns = heads,
                                   .values = values});
    ps_buf_puts(out, "<figure class=\"map\"><h3>");
    ps_buf_puts(out, look->title);
    ps_buf_puts(out, "</h3>");
    if (!ps_room_take(&r->room, &map, out))
        ps_room_left_out(&r->room, "a map of what heads look for");
    ps_buf_puts(out, "</figure>\n");
    ps_buf_free(&map);
    ps_free(&values);
}

/* The head that takes most of what stands about the match. */
static void put_best(ps_buf *out, const ps_explain_view *v)
{
    const char *array = ps_array_of(v, SCORES, "best");
    ps_numbers best = ps_numbers_whole(v, array),
               offset = ps_numbers_whole(v, ps_array_of(v, SCORES, "best_offset"));
    uint64_t heads = ps_array_last(v, array), found = 0;
    if (!heads || !best.n || best.n > offset.n)
        return;
    for (uint64_t i = 1; i < best.n; i++)
        if (!(ps_number_at(&best, i) <= ps_number_at(&best, found)) &&
            isfinite(ps_number_at(&best, i)))
            found = i;
    if (!isfinite(ps_number_at(&best, found)) || !isfinite(ps_number_at(&offset, found)))
        return;
    ps_html(out,
            "<p>Head %d.%d takes most of it: %.2f of what it looks at stands at match %+.0f.</p>\n",
            (int)(found / heads), (int)(found % heads), ps_number_at(&best, found),
            ps_number_at(&offset, found));
}

static void put_looks(ps_report *r, ps_buf *out)
{
    if (!*ps_array_of(r->explanation, SCORES, "induction"))
        return;
    ps_buf_puts(out, "<h3>What each head looks for</h3>\n");
    put_best(out, r->explanation);
    ps_buf_puts(out, "<div class=\"maps\">\n");
    for (const ps_head_look *look = ps_head_looks; look->array; look++)
        put_look(r, out, look);
    ps_buf_puts(out, "</div>\n<p class=\"note\">The share of its attention, on random tokens that "
                     "repeat after a period that is drawn for each row: at the token before, and "
                     "about where its own token stood before, the match.</p>\n");
}

/* ---- where each head looks, of the first row ---- */

enum { THUMB = 46, SIDE_MOST = 256, HEADS_MOST = 400, LEVELS = 65 };

static void put_thumb(ps_buf *out, const ps_numbers *all, uint64_t from, uint64_t side, int x,
                      int y)
{
    ps_rgb palette[LEVELS];
    ps_buf png = PS_BUF_EMPTY;
    uint8_t *pixels = ps_alloc((size_t)(side * side));
    for (int i = 0; i < LEVELS; i++)
        palette[i] = ps_palette_sequential((double)i / (LEVELS - 1));
    for (uint64_t i = 0; i < side * side; i++) {
        double p = ps_number_at(all, from + i);
        pixels[i] = (uint8_t)lround((LEVELS - 1) * (isfinite(p) ? fmin(fmax(p, 0), 1) : 0));
    }
    ps_png(&png, pixels, (uint32_t)side, (uint32_t)side, palette, LEVELS);
    ps_html(out,
            "<image x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
            "preserveAspectRatio=\"none\" href=\"data:image/png;base64,",
            x, y, THUMB, THUMB);
    ps_base64_write(out, ps_buf_slice(&png));
    ps_buf_puts(out, "\"/>");
    ps_free(&pixels);
    ps_buf_free(&png);
}

static void put_thumbs(ps_report *r, ps_buf *out, const ps_numbers *all, uint64_t layers,
                       uint64_t heads, uint64_t side)
{
    enum { LEFT = 26, TOP = 18, GAP = 4 };
    ps_buf thumb = PS_BUF_EMPTY;
    uint64_t left_out = 0;
    int width = LEFT + (int)heads * (THUMB + GAP), height = TOP + (int)layers * (THUMB + GAP);
    ps_html(out,
            "<svg class=\"figure\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "role=\"group\"><title>Where each head looks: a row of a picture a token, a column a "
            "token that it looks at</title>\n",
            width, height, width, height);
    for (uint64_t i = 0; i < layers * heads; i++) {
        uint64_t layer = i / heads, head = i % heads;
        int x = LEFT + (int)head * (THUMB + GAP), y = TOP + (int)layer * (THUMB + GAP);
        if (!layer)
            ps_html(out, "<text class=\"what\" text-anchor=\"middle\" x=\"%d\" y=\"11\">%d</text>",
                    x + THUMB / 2, (int)head);
        if (!head)
            ps_html(out, "<text class=\"what\" text-anchor=\"end\" x=\"20\" y=\"%d\">%d</text>",
                    y + THUMB / 2 + 4, (int)layer);
        ps_html(out,
                "<g class=\"cell\" data-cell=\"%d,%d\" data-key=\"head-%d-%d\"><title>layer %d, "
                "head %d</title>",
                (int)layer, (int)head, (int)layer, (int)head, (int)layer, (int)head);
        put_thumb(&thumb, all, i * side * side, side, x, y);
        bool room = ps_room_take_of(&r->room, PS_ROOM_HEADS, &thumb, out);
        left_out += !room;
        ps_html(out,
                room ? "<rect class=\"edge\" fill=\"none\" x=\"%d\" y=\"%d\" width=\"%d\" "
                       "height=\"%d\"/></g>\n"
                     : "<rect class=\"none\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></g>\n",
                x, y, THUMB, THUMB);
    }
    ps_buf_puts(out, "</svg>\n");
    ps_buf_free(&thumb);
    if (left_out)
        ps_room_left_out(&r->room, "where %d of %d heads look, which are empty boxes",
                         (int)left_out, (int)(layers * heads));
}

static void put_patterns(ps_report *r, ps_buf *out)
{
    const ps_explain_view *v = r->explanation;
    const char *array = ps_array_of(v, METHOD, "patterns");
    size_t row = ps_row_shown(v, 0);
    ps_numbers all = ps_numbers_of(v, array, row);
    uint64_t side = ps_array_last(v, array),
             heads = ps_array_last(v, ps_array_of(v, METHOD, "entropy"));
    uint64_t n = side && side <= SIDE_MOST && all.data ? all.n / (side * side) : 0;
    if (!n || !heads || n > HEADS_MOST || n % heads || all.n != n * side * side)
        return;
    ps_html(out, "<h3>%s %d: where each head looks</h3>\n<figure class=\"scroll\">",
            *v->manifest->data ? "Row" : "Prompt", (int)v->manifest->rows[row].row);
    put_thumbs(r, out, &all, n / heads, heads, side);
    ps_buf_puts(
        out, "<figcaption class=\"note\">Of a picture, a row is a token and a column one that it "
             "looks at; light is much.<span class=\"with-js\">Enter, or a click, shows a head "
             "larger, and beside it what each token looks at.</span></figcaption></figure>\n<div "
             "class=\"look with-js\" id=\"look\"></div>\n");
}

static void draw(ps_report *r, ps_buf *out)
{
    ps_head_table_html(r, out);
    ps_buf_puts(out, "<div class=\"maps\">\n");
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        put_map(r, i, out);
    ps_buf_puts(out, "</div>\n");
    if (ps_rows_shown(r->explanation))
        put_patterns(r, out);
    put_looks(r, out);
    ps_buf_puts(
        out, "<p class=\"note\">A row a layer, a column a head. What this does not say: "
             "where a head looks is not yet what it does; it may carry little from there.</p>\n");
}

static void style(const ps_report *r, ps_buf *out)
{
    (void)r;
    ps_buf_puts(out,
                ".js .look:not(:empty){display:flex;flex-wrap:wrap;gap:1.2rem 2rem;margin:1rem 0 "
                "0;align-items:flex-start}\n.look canvas{width:min(336px,100%);image-rendering:"
                "pixelated;border:1px solid var(--line);border-radius:4px;flex:none}\n.look>div{"
                "flex:1 1 18rem;min-width:0}\n.look h3{margin:0 0 .6rem}\n.look .tokens span{"
                "cursor:pointer;border-radius:3px;padding:.14em 0}\n.look .from{outline:2px solid "
                "var(--accent)}\n@media print{.look{display:none!important}}\n@media "
                "screen{#attention .scroll>svg{max-width:none}}\n");
}

/* What the page's script needs to read a head's picture: whose tokens they are, and the colours. */
static void data(const ps_report *r, ps_json_writer *w)
{
    enum { STEPS = 16 };
    const ps_explain_view *v = r->explanation;
    size_t row = ps_rows_shown(v) ? ps_row_shown(v, 0) : 0;
    ps_numbers tokens = ps_numbers_of(v, v->manifest->contents, row);
    ps_json_key(w, "attention");
    ps_json_object(w);
    ps_json_key(w, "palette");
    ps_json_array(w);
    for (int i = 0; i <= STEPS; i++)
        ps_json_string(w, ps_rgb_hex(ps_palette_sequential((double)i / STEPS)).text);
    ps_json_array_end(w);
    ps_json_key(w, "tokens");
    ps_json_array(w);
    for (uint64_t i = 0; v->token && tokens.data && i < tokens.n && i < SIDE_MOST; i++) {
        double id = ps_number_at(&tokens, i);
        ps_buf text = PS_BUF_EMPTY;
        if (id >= 0 && id < 1e9)
            v->token(v->user, (uint32_t)id, &text);
        ps_json_string(w, ps_buf_cstr(&text));
        ps_buf_free(&text);
    }
    ps_json_array_end(w);
    ps_json_object_end(w);
}

const ps_report_section ps_section_attention = {.id = "attention",
                                                .title = "Attention",
                                                .present = present,
                                                .draw = draw,
                                                .style = style,
                                                .data = data};
