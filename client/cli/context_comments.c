/* Happy path: a # begins a comment at the start of a line or behind a blank (YAML 1.2.2, section
 * 6.6), but not within quotes, which begin where a value does. */
#include "client/cli/context_comments.h"

#include <string.h>

static bool begins_value(uint8_t before)
{
    return !before || strchr(" \t\n{[,:", before) != NULL;
}

static bool stands_in(const ps_buf *out, ps_slice line)
{
    return out->len && memmem(out->data, out->len, line.data, line.len) != NULL;
}

static void take(const uint8_t *from, size_t len, ps_buf *out)
{
    while (len && (from[len - 1] == '\r' || from[len - 1] == ' '))
        len--;
    if (stands_in(out, ps_slice_of(from, len)))
        return;
    ps_buf_append(out, from, len);
    ps_buf_putc(out, '\n');
}

void ps_context_comments(ps_slice yaml, ps_buf *out)
{
    uint8_t quote = 0, before = '\n';
    for (size_t i = 0; i < yaml.len; before = yaml.data[i++]) {
        uint8_t c = yaml.data[i];
        if (quote) {
            i += quote == '"' && c == '\\' && i + 1 < yaml.len;
            quote = c == quote ? 0 : quote;
        } else if ((c == '"' || c == '\'') && begins_value(before)) {
            quote = c;
        } else if (c == '#' && (before == ' ' || before == '\t' || before == '\n')) {
            const uint8_t *end = memchr(yaml.data + i, '\n', yaml.len - i);
            size_t len = end ? (size_t)(end - yaml.data) - i : yaml.len - i;
            take(yaml.data + i, len, out);
            i += len - 1;
        }
    }
}
