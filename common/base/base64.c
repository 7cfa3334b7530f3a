/* Happy path: three bytes are four letters. */
#include "common/base/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void ps_base64_write_bare(ps_buf *out, ps_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t word = (uint32_t)bytes.data[i] << 16 |
                        (left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0) |
                        (left > 2 ? bytes.data[i + 2] : 0u);
        ps_buf_putc(out, letters[word >> 18]);
        ps_buf_putc(out, letters[word >> 12 & 63]);
        if (left > 1)
            ps_buf_putc(out, letters[word >> 6 & 63]);
        if (left > 2)
            ps_buf_putc(out, letters[word & 63]);
    }
}

void ps_base64_write(ps_buf *out, ps_slice bytes)
{
    ps_base64_write_bare(out, bytes);
    for (size_t n = bytes.len; n % 3; n++)
        ps_buf_putc(out, '=');
}

/* 0 to 63; 64: none. */
static uint32_t value_of(uint8_t letter)
{
    const char *at = letter ? strchr(letters, letter) : NULL;
    return at ? (uint32_t)(at - letters) : 64;
}

/* Of the last four letters, 0 to 2 are padding. */
static size_t padding_of(ps_slice text)
{
    size_t n = 0;
    while (n < 2 && n < text.len && text.data[text.len - 1 - n] == '=')
        n++;
    return n;
}

static ps_status read_four(ps_slice text, size_t at, size_t padding, ps_buf *out)
{
    uint32_t word = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i + padding < 4 ? value_of(text.data[at + i]) : 0;
        if (value > 63)
            return ps_fail(PS_CORRUPT, "letter %zu is none of base64", at + i);
        word = word << 6 | value;
    }
    const uint8_t bytes[] = {(uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
    for (size_t i = 3 - padding; i < 3; i++)
        if (bytes[i])
            return ps_fail(PS_CORRUPT, "the last letter before the padding says too much");
    ps_buf_append(out, bytes, 3 - padding);
    return PS_OK;
}

/* padding: how many letters the last four lack. */
static ps_status read_all(ps_slice text, size_t padding, ps_buf *out)
{
    const size_t before = out->len;
    ps_status st = PS_OK;
    for (size_t at = 0; !st && at < text.len; at += 4)
        st = read_four(text, at, at + 4 >= text.len ? padding : 0, out);
    if (st)
        out->len = before;
    return st;
}

ps_status ps_base64_read(ps_slice text, ps_buf *out)
{
    if (text.len % 4)
        return ps_fail(PS_CORRUPT, "%zu letters are no base64: it is padded to fours", text.len);
    return read_all(text, padding_of(text), out);
}

ps_status ps_base64_read_bare(ps_slice text, ps_buf *out)
{
    if (text.len % 4 == 1)
        return ps_fail(PS_CORRUPT, "%zu letters are no base64", text.len);
    return read_all(text, (4 - text.len % 4) % 4, out);
}
