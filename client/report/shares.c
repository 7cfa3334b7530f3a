/* Parts in the order of the pass, so that a colour is the same part in each bar. Cannot fail. */
#include "client/report/shares.h"

#include "client/report/html.h"
#include "client/report/palette.h"
#include "common/base/mem.h"

#include <math.h>
#include <string.h>

enum { PARTS = PS_PALETTE_CATEGORIES - 1 };
#define SMALL 0.001

typedef struct part {
    const char *name;
    double value;
} part;

/* The largest by any additive quantity, at most PARTS of them; the rest is the last. */
static size_t find_parts(const ps_fold *f, const ps_quantity *quantity, part *out, double *whole)
{
    size_t n = 0;
    double rest = 0;
    *whole = 0;
    for (size_t i = 0; i < f->n_nodes; i++) {
        double v = quantity->of(&f->nodes[i].all);
        *whole += isfinite(v) ? v : 0;
    }
    for (size_t i = 0; i < f->n_nodes; i++) {
        double v = quantity->of(&f->nodes[i].all);
        if (!isfinite(v))
            continue;
        if (n < PARTS && v >= SMALL * *whole)
            out[n++] = (part){f->nodes[i].name, v};
        else
            rest += v;
    }
    if (rest >= SMALL * *whole)
        out[n++] = (part){"all else", rest};
    return n;
}

/* The same part has the same colour in every bar of a report. */
static ps_rgb colour_of(const char *name, size_t i)
{
    static const struct {
        const char *name;
        size_t colour;
    } known[] = {{"attention", 0}, {"mlp", 1}, {"head", 4}, {"lm_head", 4}, {"all else", 7}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (!strcmp(known[k].name, name))
            return ps_palette_category(known[k].colour);
    static const size_t others[] = {2, 3, 5, 6};
    return ps_palette_category(others[i % 4]);
}

void ps_shares_html(ps_buf *out, const ps_graph *graph, const ps_quantity *quantity)
{
    enum { WIDTH = 416 };
    part parts[PARTS + 1];
    double whole, at = 0;
    ps_fold *f = ps_fold_of(graph, PS_FOLD_HALVES);
    size_t n = find_parts(f, quantity, parts, &whole);
    ps_html(out,
            "<div class=\"shares\"><svg class=\"bar\" viewBox=\"0 0 %d 14\" width=\"%d\" "
            "height=\"14\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
            WIDTH, WIDTH);
    for (size_t i = 0; i < n; i++) {
        double w = WIDTH * parts[i].value / whole;
        ps_html(out, "<rect x=\"%.2f\" width=\"%.2f\" height=\"14\" fill=\"%s\"/>", at,
                fmax(w - 1.5, 0.5), ps_rgb_hex(colour_of(parts[i].name, i)).text);
        at += w;
    }
    ps_buf_puts(out, "</svg>\n<ul class=\"key\">\n");
    for (size_t i = 0; i < n; i++)
        ps_html(out,
                "<li><svg width=\"12\" height=\"12\" aria-hidden=\"true\"><rect width=\"12\" "
                "height=\"12\" rx=\"3\" fill=\"%s\"/></svg><span>%s</span><span "
                "class=\"n\">%s</span><span>%.1f&#8239;%%</span></li>\n",
                ps_rgb_hex(colour_of(parts[i].name, i)).text, parts[i].name,
                quantity->text(parts[i].value).text, 100 * parts[i].value / whole);
    ps_buf_puts(out, "</ul></div>\n");
    ps_fold_free(&f);
}
