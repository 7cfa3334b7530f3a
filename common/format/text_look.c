/* Happy path: ASCII, eight bytes at a time. A sequence that the end of a piece cuts waits for the
 * next one. */
#include "common/format/text_look.h"

#include "common/base/utf8.h"

#include <string.h>

static uint64_t count_zeros(ps_slice bytes)
{
    uint64_t zeros = 0;
    for (size_t i = 0; i < bytes.len; i++)
        zeros += bytes.data[i] == 0;
    return zeros;
}

static size_t ascii_length(ps_slice bytes)
{
    size_t n = 0;
    for (uint64_t eight; n + sizeof eight <= bytes.len; n += sizeof eight) {
        memcpy(&eight, bytes.data + n, sizeof eight);
        if (eight & 0x8080808080808080u)
            break;
    }
    while (n < bytes.len && bytes.data[n] < 0x80)
        n++;
    return n;
}

static ps_slice after(ps_slice bytes, size_t n)
{
    return ps_slice_of(bytes.data + n, bytes.len - n);
}

/* A byte more for the sequence that waits. */
static void complete(ps_text_look *look, uint8_t byte)
{
    look->carry[look->carry_len++] = byte;
    ps_slice sequence = ps_slice_of(look->carry, look->carry_len);
    size_t n = ps_utf8_length(sequence);
    look->foreign = !n && !ps_utf8_partial(sequence);
    if (!n)
        return;
    look->at += n;
    look->carry_len = 0;
}

void ps_text_look_feed(ps_text_look *look, ps_slice bytes)
{
    look->zeros += count_zeros(bytes);
    while (look->carry_len && bytes.len && !look->foreign) {
        complete(look, bytes.data[0]);
        bytes = after(bytes, 1);
    }
    while (bytes.len && !look->foreign) {
        size_t n = ascii_length(bytes);
        n += ps_utf8_length(after(bytes, n));
        look->at += n;
        bytes = after(bytes, n);
        if (n)
            continue;
        look->carry_len = ps_utf8_partial(bytes);
        look->foreign = look->carry_len < bytes.len;
        memcpy(look->carry, bytes.data, look->carry_len);
        return;
    }
}

void ps_text_look_end(ps_text_look *look)
{
    look->foreign |= look->carry_len > 0;
}
