#include "server/sched/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static bool continues(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the well-formed character at t (RFC 3629, section 4); 0: there is none. */
static size_t character(const uint8_t *t)
{
    if (t[0] < 0x80)
        return t[0] < 0x20 || t[0] == 0x7f ? 0 : 1;
    if (t[0] >= 0xc2 && t[0] <= 0xdf)
        return continues(t[1]) ? 2 : 0;
    if (t[0] >= 0xe0 && t[0] <= 0xef) {
        uint8_t low = t[0] == 0xe0 ? 0xa0 : 0x80, high = t[0] == 0xed ? 0x9f : 0xbf;
        return t[1] >= low && t[1] <= high && continues(t[2]) ? 3 : 0;
    }
    if (t[0] >= 0xf0 && t[0] <= 0xf4) {
        uint8_t low = t[0] == 0xf0 ? 0x90 : 0x80, high = t[0] == 0xf4 ? 0x8f : 0xbf;
        return t[1] >= low && t[1] <= high && continues(t[2]) && continues(t[3]) ? 4 : 0;
    }
    return 0;
}

void ps_text_clean(char *text)
{
    for (uint8_t *t = (uint8_t *)text; *t;) {
        size_t n = character(t);
        if (n == 0) {
            *t = '?';
            n = 1;
        }
        t += n;
    }
}
