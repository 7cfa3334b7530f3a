/* Numbers are bytes of a file that others have left: those that are not finite are not drawn.
 * Cannot fail. */
#include "client/report/heat.h"

#include "client/report/html.h"
#include "client/report/palette.h"
#include "client/report/png.h"
#include "common/base/base64.h"
#include "common/base/mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE_LEAST = 8, SIDE_MOST = 256, LEVELS = 65, STEPS = 8, SHOWN = 112, BAR = 90 };
enum { TOKENS_MOST = 1 << 15 };

/* ---- images ---- */

uint32_t ps_image_side(uint64_t features)
{
    uint64_t side = (uint64_t)lround(sqrt((double)features));
    return side >= SIDE_LEAST && side <= SIDE_MOST && side * side == features ? (uint32_t)side : 0;
}

/* -1..1 for signs; else 0..1. */
static double place_of(double value, bool with_sign, double least, double most)
{
    if (!isfinite(value) || !(most > least))
        return 0;
    return with_sign ? fmin(fmax(value / most, -1), 1) : (value - least) / (most - least);
}

static void put_pixels(ps_buf *png, const ps_numbers *numbers, uint32_t side, bool with_sign)
{
    ps_rgb palette[LEVELS];
    double most = with_sign ? ps_numbers_limit(numbers) : -INFINITY,
           least = with_sign ? -most : INFINITY;
    uint8_t *pixels = ps_alloc((size_t)side * side);
    for (int i = 0; i < LEVELS; i++) {
        uint8_t grey = (uint8_t)(255 * i / (LEVELS - 1));
        palette[i] = with_sign ? ps_palette_diverging(2.0 * i / (LEVELS - 1) - 1)
                               : (ps_rgb){grey, grey, grey};
    }
    for (uint64_t i = 0; !with_sign && i < numbers->n; i++)
        if (isfinite(ps_number_at(numbers, i))) {
            least = fmin(least, ps_number_at(numbers, i));
            most = fmax(most, ps_number_at(numbers, i));
        }
    for (uint64_t i = 0; i < (uint64_t)side * side; i++) {
        double place = place_of(ps_number_at(numbers, i), with_sign, least, most);
        pixels[i] = (uint8_t)lround((LEVELS - 1) * (with_sign ? (place + 1) / 2 : place));
    }
    ps_png(png, pixels, side, side, palette, LEVELS);
    ps_free(&pixels);
}

void ps_heat_image(ps_buf *out, const ps_numbers *numbers, uint32_t side, bool with_sign,
                   const char *title)
{
    ps_buf png = PS_BUF_EMPTY;
    put_pixels(&png, numbers, side, with_sign);
    ps_html(out,
            "<svg class=\"heat\" role=\"img\" viewBox=\"0 0 %u %u\" width=\"%d\" height=\"%d\">"
            "<title>%s</title><image width=\"%u\" height=\"%u\" href=\"data:image/png;base64,",
            side, side, SHOWN, SHOWN, title, side, side);
    ps_base64_write(out, ps_buf_slice(&png));
    ps_buf_puts(out, "\"/></svg>");
    ps_buf_free(&png);
}

/* ---- bars ---- */

/* The places of the largest by size, in that order. */
static size_t find_largest(const ps_numbers *numbers, uint64_t *out, size_t most)
{
    size_t n = 0;
    for (uint64_t i = 0; i < numbers->n; i++) {
        double size = fabs(ps_number_at(numbers, i));
        if (!isfinite(size) || size == 0)
            continue;
        size_t at = n < most ? n++ : most;
        for (; at && fabs(ps_number_at(numbers, out[at - 1])) < size; at--)
            if (at < most)
                out[at] = out[at - 1];
        if (at < most)
            out[at] = i;
    }
    return n;
}

void ps_heat_bars(ps_buf *out, const ps_numbers *numbers, const ps_numbers *values, size_t most)
{
    enum { MOST = 32 };
    uint64_t places[MOST];
    size_t n = find_largest(numbers, places, most < MOST ? most : MOST);
    double limit = n ? fabs(ps_number_at(numbers, places[0])) : 1;
    ps_buf_puts(out, "<table class=\"bars\"><tbody>\n");
    for (size_t i = 0; i < n; i++) {
        double v = ps_number_at(numbers, places[i]), w = BAR * fabs(v) / limit;
        ps_html(out, "<tr><td>feature %" PRIu64, places[i]);
        if (values->data && places[i] < values->n)
            ps_html(out, " = %.4g", ps_number_at(values, places[i]));
        ps_html(out,
                "</td><td class=\"n\">%+.3g</td><td><svg width=\"%d\" height=\"10\" "
                "aria-hidden=\"true\"><rect x=\"%.1f\" width=\"%.1f\" height=\"10\" rx=\"2\" "
                "fill=\"%s\"/></svg></td></tr>\n",
                v, 2 * BAR, v < 0 ? BAR - w : BAR, w,
                ps_rgb_hex(ps_palette_diverging(v < 0 ? -0.75 : 0.75)).text);
    }
    ps_buf_puts(out, "</tbody></table>\n");
}

/* ---- tokens ---- */

static void put_token(ps_buf *out, const ps_explain_view *v, double id, double value, double limit,
                      uint64_t place)
{
    ps_buf text = PS_BUF_EMPTY;
    int level = limit > 0 ? (int)lround(STEPS * fmin(fmax(value / limit, -1), 1)) : 0;
    if (!(id >= 0 && id < 1e9))
        return;
    if (v->token)
        v->token(v->user, (uint32_t)id, &text);
    else
        ps_buf_printf(&text, "[%.0f]", id);
    const char *word = ps_buf_cstr(&text);
    ps_html(out, "<span class=\"k %s%d\" data-cell=\"0,%" PRIu64 "\" title=\"%s\n%+.4g\">",
            level < 0 ? "m" : "p", abs(level), place, word, value);
    for (const char *line = word; line;) { /* a line's end is seen, and ends it */
        size_t n = strcspn(line, "\n");
        char *part = ps_asprintf("%.*s", (int)n, line);
        ps_html_text(out, part);
        ps_free(&part);
        if (line[n])
            ps_buf_puts(out, "↵\n");
        line = line[n] ? line + n + 1 : NULL;
    }
    ps_buf_puts(out, "</span>");
    ps_buf_free(&text);
}

void ps_heat_tokens(ps_buf *out, const ps_explain_view *v, const ps_numbers *numbers,
                    const ps_numbers *tokens)
{
    double limit = ps_numbers_limit(numbers);
    uint64_t n = numbers->n < tokens->n ? numbers->n : tokens->n;
    ps_buf_puts(out, "<p class=\"tokens\" data-grid>");
    for (uint64_t i = 0; i < n && i < TOKENS_MOST; i++)
        if (isfinite(ps_number_at(numbers, i)))
            put_token(out, v, ps_number_at(tokens, i), ps_number_at(numbers, i), limit, i);
    if (n > TOKENS_MOST)
        ps_html(out, "<small> and %" PRIu64 " tokens more</small>", n - TOKENS_MOST);
    ps_buf_puts(out, "</p>\n");
}

void ps_heat_style(ps_buf *out)
{
    for (int sign = -1; sign <= 1; sign += 2)
        for (int level = 1; level <= STEPS; level++) {
            ps_rgb ground = ps_palette_diverging((double)sign * level / STEPS);
            ps_buf_printf(out, ".%c%d{background:%s;color:%s}\n", sign < 0 ? 'm' : 'p', level,
                          ps_rgb_hex(ground).text, ps_rgb_hex(ps_palette_on(ground)).text);
        }
}

void ps_heat_legend(ps_buf *out)
{
    enum { WIDTH = 260, STOPS = 12 };
    ps_html(out,
            "<svg class=\"figure\" viewBox=\"0 0 %d 30\" width=\"%d\" height=\"30\" role=\"img\">"
            "<title>Blue speaks against, orange for what is explained; white is 0</title><defs>"
            "<linearGradient id=\"signs\">",
            WIDTH, WIDTH);
    for (int i = 0; i <= STOPS; i++)
        ps_html(out, "<stop offset=\"%.3f\" stop-color=\"%s\"/>", (double)i / STOPS,
                ps_rgb_hex(ps_palette_diverging(2.0 * i / STOPS - 1)).text);
    ps_html(
        out,
        "</linearGradient></defs><rect fill=\"url(#signs)\" width=\"%d\" height=\"10\" rx=\"3\"/>"
        "<text class=\"what\" y=\"25\">− against</text><text class=\"what\" y=\"25\" x=\"%d\" "
        "text-anchor=\"middle\">0</text><text class=\"what\" y=\"25\" x=\"%d\" "
        "text-anchor=\"end\">+ for</text></svg>\n",
        WIDTH, WIDTH / 2, WIDTH);
}
