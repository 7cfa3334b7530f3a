#include "common/base/buf.h"

#include "common/base/bits.h"
#include "common/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

void ps_buf_free(ps_buf *buf)
{
    ps_free(&buf->data);
    buf->len = buf->capacity = 0;
}

void ps_buf_clear(ps_buf *buf)
{
    buf->len = 0;
}

void ps_buf_reserve(ps_buf *buf, size_t more)
{
    size_t need = buf->len + more;
    if (need <= buf->capacity)
        return;
    size_t grown = buf->capacity ? buf->capacity * 2 : 64;
    buf->capacity = need > grown ? need : grown;
    buf->data = ps_realloc(buf->data, buf->capacity);
}

void ps_buf_append(ps_buf *buf, const void *data, size_t len)
{
    if (!len)
        return;
    ps_buf_reserve(buf, len);
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

void ps_buf_puts(ps_buf *buf, const char *s)
{
    ps_buf_append(buf, s, strlen(s));
}

void ps_buf_putc(ps_buf *buf, char c)
{
    ps_buf_append(buf, &c, 1);
}

void ps_buf_put_u32le(ps_buf *buf, uint32_t v)
{
    uint8_t bytes[4];
    ps_put_u32le(bytes, v);
    ps_buf_append(buf, bytes, sizeof bytes);
}

void ps_buf_put_u64le(ps_buf *buf, uint64_t v)
{
    uint8_t bytes[8];
    ps_put_u64le(bytes, v);
    ps_buf_append(buf, bytes, sizeof bytes);
}

void ps_buf_put_f64le(ps_buf *buf, double v)
{
    ps_buf_put_u64le(buf, ps_bits_of_double(v));
}

void ps_buf_printf(ps_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n > 0) {
        ps_buf_reserve(buf, (size_t)n + 1);
        (void)vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
}

void ps_buf_consume(ps_buf *buf, size_t len)
{
    if (!len)
        return;
    memmove(buf->data, buf->data + len, buf->len - len);
    buf->len -= len;
}

ps_status ps_buf_append_limited(ps_buf *buf, const void *data, size_t len, size_t limit)
{
    if (len > limit || buf->len > limit - len)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "more than %zu bytes", limit);
    ps_buf_append(buf, data, len);
    return PS_OK;
}

const char *ps_buf_cstr(ps_buf *buf)
{
    ps_buf_reserve(buf, 1);
    buf->data[buf->len] = 0;
    return (const char *)buf->data;
}
