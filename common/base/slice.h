/* slice: bytes that somebody else owns, and the one cursor with which all outside bytes are read.
 *
 * A cursor never reads past its end: the first read that would sets `failed`, returns zero, and so
 * does every read after it; the parser checks once at the end (or where a value steers it).
 */
#ifndef PS_BASE_SLICE_H
#define PS_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct ps_slice {
    const uint8_t *data;
    size_t len;
} ps_slice;

static inline ps_slice ps_slice_of(const void *data, size_t len)
{
    return (ps_slice){.data = (const uint8_t *)data, .len = len};
}

static inline ps_slice ps_slice_str(const char *s)
{
    return ps_slice_of(s, strlen(s));
}

static inline bool ps_slice_is(ps_slice s, const char *text)
{
    return s.len == strlen(text) && (!s.len || !memcmp(s.data, text, s.len));
}

typedef struct ps_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} ps_cursor;

ps_cursor ps_cursor_of(ps_slice bytes);
size_t ps_cursor_left(const ps_cursor *c);

uint8_t ps_read_u8(ps_cursor *c);
uint16_t ps_read_u16le(ps_cursor *c);
uint32_t ps_read_u32le(ps_cursor *c);
uint64_t ps_read_u64le(ps_cursor *c);
double ps_read_f64le(ps_cursor *c); /* by its bits */
uint32_t ps_read_u32be(ps_cursor *c);
/* protobuf base-128 varint, at most 10 bytes */
uint64_t ps_read_varint(ps_cursor *c);
/* The next len bytes in place; {NULL, 0} and failed when fewer are left. */
ps_slice ps_read_bytes(ps_cursor *c, size_t len);

/* For writers of fixed-size headers. */
void ps_put_u32be(uint8_t out[4], uint32_t v);
void ps_put_u32le(uint8_t out[4], uint32_t v);
void ps_put_u64le(uint8_t out[8], uint64_t v);

#endif
