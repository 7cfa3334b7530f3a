/* The format is copied up to each conversion. Cannot fail; a conversion that is not known is a bug.
 */
#include "client/report/html.h"

#include "common/base/require.h"
#include "common/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void ps_html_text(ps_buf *out, const char *text)
{
    size_t len = strlen(text);
    bool fit;
    for (size_t at = 0, n; at < len; at += n) {
        n = ps_text_character(text + at, len - at, &fit);
        char c = text[at];
        if (c == '\n' || c == '\t')
            ps_buf_putc(out, c);
        else if (!fit)
            ps_buf_puts(out, "\xef\xbf\xbd");
        else if (c == '&')
            ps_buf_puts(out, "&amp;");
        else if (c == '<')
            ps_buf_puts(out, "&lt;");
        else if (c == '>')
            ps_buf_puts(out, "&gt;");
        else if (c == '"')
            ps_buf_puts(out, "&quot;");
        else if (c == '\'')
            ps_buf_puts(out, "&#39;");
        else
            ps_buf_append(out, text + at, n);
    }
}

#define MANY_DIGITS 1e15 /* from here on %f is said as %g: numbers of workers may be anything */

/* "%-5.2f" from the percent sign on; how it is to be read. */
typedef struct conversion {
    char text[16];
    size_t len;
    unsigned longs; /* l, z: 1; ll: 2 */
    char letter;
} conversion;

static conversion read_conversion(const char *format)
{
    conversion c = {.len = 1};
    c.len += strspn(format + c.len, "-+ 0#123456789.");
    for (; format[c.len] == 'l' || format[c.len] == 'z'; c.len++)
        c.longs++;
    c.letter = format[c.len++];
    PS_REQUIRE(c.letter && c.len < sizeof c.text);
    memcpy(c.text, format, c.len);
    return c;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the caller's was checked */
static int put_real(char text[64], const conversion *c, double value)
{
    if (c->letter == 'f' && isfinite(value) && fabs(value) >= MANY_DIGITS)
        return snprintf(text, 64, "%g", value);
    return snprintf(text, 64, c->text, value);
}

static void put_number(ps_buf *out, const conversion *c, va_list *args)
{
    char text[64];
    int n = -1;
    if (c->letter == 'g' || c->letter == 'f')
        n = put_real(text, c, va_arg(*args, double));
    else if (c->letter != 'd' && c->letter != 'u')
        PS_REQUIRE(false);
    else if (c->longs == 2)
        n = snprintf(text, sizeof text, c->text, va_arg(*args, long long));
    else if (c->longs)
        n = snprintf(text, sizeof text, c->text, va_arg(*args, long));
    else
        n = snprintf(text, sizeof text, c->text, va_arg(*args, int));
    PS_REQUIRE(n >= 0 && n < (int)sizeof text);
    ps_buf_append(out, text, (size_t)n);
}
#pragma GCC diagnostic pop

void ps_html(ps_buf *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    while (*format) {
        size_t plain = strcspn(format, "%");
        ps_buf_append(out, format, plain);
        format += plain;
        if (!*format)
            break;
        conversion c = read_conversion(format);
        format += c.len;
        if (c.letter == '%')
            ps_buf_putc(out, '%');
        else if (c.letter == 's')
            ps_html_text(out, va_arg(args, const char *));
        else
            put_number(out, &c, &args);
    }
    va_end(args);
}

void ps_html_data(ps_buf *out, const char *id, ps_slice json)
{
    ps_html(out, "<script type=\"application/json\" id=\"%s\">", id);
    for (size_t i = 0; i < json.len; i++) {
        char c = (char)json.data[i];
        if (c == '<' || c == '>' || c == '&')
            ps_buf_printf(out, "\\u%04x", (unsigned)c);
        else
            ps_buf_putc(out, c);
    }
    ps_buf_puts(out, "</script>\n");
}
