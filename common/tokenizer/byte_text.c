/* The map is an order of 68 bytes that are not printable: the k-th of them is U+0100 + k. */
#include "common/tokenizer/byte_text.h"

#include "common/base/utf8.h"

static bool printable(uint32_t byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) ||
           (byte >= 0xae && byte <= 0xff);
}

/* 0..32, 127..160 and 173, as the k-th. */
static uint32_t order_of(uint32_t byte)
{
    return byte <= 32 ? byte : byte <= 160 ? byte - 127 + 33 : 67;
}

size_t ps_byte_text(uint8_t byte, uint8_t out[4])
{
    return ps_utf8_encode(printable(byte) ? byte : 0x100 + order_of(byte), out);
}

static bool byte_of(uint32_t letter, uint8_t *out)
{
    uint32_t k = letter - 0x100;
    if (letter < 0x100 ? !printable(letter) : k > 67)
        return false;
    *out = (uint8_t)(letter < 0x100 ? letter : k <= 32 ? k : k <= 66 ? k - 33 + 127 : 173);
    return true;
}

bool ps_byte_text_decode(ps_slice text, ps_buf *out)
{
    size_t before = out->len;
    for (size_t n; text.len; text = ps_slice_of(text.data + n, text.len - n)) {
        n = ps_utf8_length(text);
        uint8_t byte = 0;
        if (!n || n > 2 || !byte_of(ps_utf8_decode(text), &byte)) {
            out->len = before;
            return false;
        }
        ps_buf_append(out, &byte, 1);
    }
    return true;
}
