#include "common/base/utf8.h"

typedef struct form {
    uint8_t low, high, second_low, second_high;
    size_t n;
} form;

static const form *form_of(uint8_t first)
{
    static const form forms[] = {
        /* the table of RFC 3629 section 4 */
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (first >= forms[i].low && first <= forms[i].high)
            return &forms[i];
    return NULL;
}

/* How many bytes at the start fit the form; at most f->n. */
static size_t fitting(const form *f, ps_slice text)
{
    size_t n = 1;
    while (n < f->n && n < text.len) {
        uint8_t c = text.data[n];
        if (n == 1 ? c < f->second_low || c > f->second_high : (c & 0xc0) != 0x80)
            break;
        n++;
    }
    return n;
}

size_t ps_utf8_length(ps_slice text)
{
    if (text.len == 0 || text.data[0] < 0x80)
        return text.len != 0;
    const form *f = form_of(text.data[0]);
    return f && fitting(f, text) == f->n ? f->n : 0;
}

size_t ps_utf8_partial(ps_slice text)
{
    const form *f = text.len ? form_of(text.data[0]) : NULL;
    size_t n = f ? fitting(f, text) : 0;
    return f && n < f->n ? n : 0;
}

bool ps_utf8_is(ps_slice text)
{
    size_t at = 0, n = 1;
    for (; at < text.len && n; at += n)
        n = ps_utf8_length(ps_slice_of(text.data + at, text.len - at));
    return n > 0;
}

uint32_t ps_utf8_decode(ps_slice text)
{
    static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t n = ps_utf8_length(text);
    uint32_t cp = text.data[0] & masks[n];
    for (size_t i = 1; i < n; i++)
        cp = cp << 6 | (text.data[i] & 0x3f);
    return cp;
}

size_t ps_utf8_encode(uint32_t cp, uint8_t out[4])
{
    size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; cp >>= 6)
        out[i] = (uint8_t)(0x80 | (cp & 0x3f));
    out[0] = (uint8_t)(first[n] | cp);
    return n;
}
