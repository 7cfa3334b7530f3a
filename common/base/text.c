/* Widths are utf8proc's, from the Unicode tables, and not the C library's: those depend on the
 * locale. Cannot fail. */
#include "common/base/text.h"

#include "common/base/utf8.h"

#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#define EMOJI_STYLE 0xfe0fu /* variation selector 16: as a picture, which is wide */
#define JOINER      0x200du

static bool is_fit(uint32_t cp)
{
    static const struct {
        uint32_t first, last;
    } unfit[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x61c, 0x61c},  {0x200e, 0x200f},
                 {0x2028, 0x202e}, {0x2066, 0x2069}, {0xfff9, 0xfffb}};
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
        if (cp >= unfit[i].first && cp <= unfit[i].last)
            return false;
    return true;
}

/* Its code point goes to *cp; 0 when it is not fit. */
static size_t decode(const char *text, size_t len, uint32_t *cp)
{
    ps_slice rest = ps_slice_of(text, len);
    size_t n = ps_utf8_length(rest);
    *cp = n ? ps_utf8_decode(rest) : 0;
    if (!is_fit(*cp))
        *cp = 0;
    return n || len == 0 ? n : 1;
}

size_t ps_text_character(const char *text, size_t len, bool *fit)
{
    uint32_t cp;
    size_t n = decode(text, len, &cp);
    *fit = cp != 0;
    return n;
}

void ps_text_clean(char *text)
{
    size_t len = strlen(text), to = 0;
    bool fit;
    for (size_t from = 0, n; from < len; from += n) {
        n = ps_text_character(text + from, len - from, &fit);
        if (!fit)
            text[to] = '?';
        else if (to < from)
            memmove(text + to, text + from, n);
        to += fit ? n : 1;
    }
    if (to < len)
        text[to] = 0;
}

size_t ps_text_cluster(const char *text, size_t len, size_t *columns)
{
    uint32_t cp, before;
    size_t n = decode(text, len, &cp);
    *columns = n == 0 ? 0 : cp ? (size_t)utf8proc_charwidth((utf8proc_int32_t)cp) : 1;
    while (cp && n < len) { /* '?' has no marks */
        before = cp;
        size_t more = decode(text + n, len - n, &cp);
        if (!cp || (before != JOINER && utf8proc_charwidth((utf8proc_int32_t)cp) > 0))
            break;
        if (cp == EMOJI_STYLE && *columns == 1)
            *columns = 2;
        n += more;
    }
    return n;
}

size_t ps_text_columns(const char *text, size_t len)
{
    size_t total = 0, columns;
    for (size_t at = 0; at < len; total += columns)
        at += ps_text_cluster(text + at, len - at, &columns);
    return total;
}

/* The last '*' takes more until the rest fits. */
bool ps_text_fits(const char *pattern, const char *text, size_t n)
{
    const char *star = NULL;
    size_t at = 0, from = 0;
    while (at < n) {
        if (*pattern == '*') {
            star = ++pattern;
            from = at;
        } else if (*pattern == text[at]) {
            pattern++;
            at++;
        } else if (star) {
            pattern = star;
            at = ++from;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

bool ps_text_ends(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}
