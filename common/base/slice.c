#include "common/base/slice.h"

#include "common/base/bits.h"

ps_cursor ps_cursor_of(ps_slice bytes)
{
    /* no arithmetic with NULL, not even adding 0 (C17 6.5.6) */
    const uint8_t *start = bytes.data ? bytes.data : (const uint8_t *)"";
    return (ps_cursor){.at = start, .end = start + bytes.len, .failed = false};
}

size_t ps_cursor_left(const ps_cursor *c)
{
    return c->failed ? 0 : (size_t)(c->end - c->at);
}

ps_slice ps_read_bytes(ps_cursor *c, size_t len)
{
    if (len > ps_cursor_left(c)) {
        c->failed = true;
        return (ps_slice){0};
    }
    ps_slice out = {.data = c->at, .len = len};
    c->at += len;
    return out;
}

static uint64_t read_le(ps_cursor *c, size_t bytes)
{
    ps_slice s = ps_read_bytes(c, bytes);
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++)
        v |= (uint64_t)s.data[i] << (8 * i);
    return v;
}

uint8_t ps_read_u8(ps_cursor *c)
{
    return (uint8_t)read_le(c, 1);
}

uint16_t ps_read_u16le(ps_cursor *c)
{
    return (uint16_t)read_le(c, 2);
}

uint32_t ps_read_u32le(ps_cursor *c)
{
    return (uint32_t)read_le(c, 4);
}

uint64_t ps_read_u64le(ps_cursor *c)
{
    return read_le(c, 8);
}

double ps_read_f64le(ps_cursor *c)
{
    return ps_double_of_bits(ps_read_u64le(c));
}

uint32_t ps_read_u32be(ps_cursor *c)
{
    return __builtin_bswap32(ps_read_u32le(c));
}

uint64_t ps_read_varint(ps_cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = ps_read_u8(c);
        if (c->failed)
            return 0;
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    c->failed = true;
    return 0;
}

void ps_put_u32be(uint8_t out[4], uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(out, &v, 4);
}

void ps_put_u32le(uint8_t out[4], uint32_t v)
{
    memcpy(out, &v, 4);
}

void ps_put_u64le(uint8_t out[8], uint64_t v)
{
    memcpy(out, &v, 8);
}
