/* buf: bytes that grow. Small growth aborts when memory is out (see mem.h); a buf whose size a peer
 * chooses has a limit and fails with PS_RESOURCE_EXHAUSTED beyond it. Not thread-safe (not
 * asserted: plain data of whoever has it). */
#ifndef PS_BASE_BUF_H
#define PS_BASE_BUF_H

#include "common/base/slice.h"
#include "common/base/status.h"

typedef struct ps_buf {
    uint8_t *data;
    size_t len;
    size_t capacity;
} ps_buf;

#define PS_BUF_EMPTY ((ps_buf){0})

void ps_buf_free(ps_buf *buf); /* leaves it empty and usable */
void ps_buf_clear(ps_buf *buf);
void ps_buf_reserve(ps_buf *buf, size_t more); /* room for `more` bytes after len */
void ps_buf_append(ps_buf *buf, const void *data, size_t len);
void ps_buf_puts(ps_buf *buf, const char *s);
void ps_buf_putc(ps_buf *buf, char c);
/* A number in little-endian order; a double by its bits. */
void ps_buf_put_u32le(ps_buf *buf, uint32_t v);
void ps_buf_put_u64le(ps_buf *buf, uint64_t v);
void ps_buf_put_f64le(ps_buf *buf, double v);
void ps_buf_printf(ps_buf *buf, const char *format, ...) PS_PRINTF(2, 3);
void ps_buf_consume(ps_buf *buf, size_t len); /* drops the first len bytes */
PS_MUST_CHECK ps_status ps_buf_append_limited(ps_buf *buf, const void *data, size_t len,
                                              size_t limit);
/* The text with a terminating zero that is not counted in len. Valid until the next change. */
const char *ps_buf_cstr(ps_buf *buf);
static inline ps_slice ps_buf_slice(const ps_buf *buf)
{
    return ps_slice_of(buf->data, buf->len);
}

#endif
