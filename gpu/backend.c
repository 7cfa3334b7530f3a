/* What all backends share: the calls of backend.h that are not an operation. Each is one call
 * through the table; a stream that has failed takes nothing more. */
#include "gpu/backend.h"

#include "common/base/require.h"
#include "gpu/ops.h"

#include <stdio.h>

void ps_backend_close(ps_backend **b)
{
    if (*b)
        (*b)->ops->close(*b);
    *b = NULL;
}

const char *ps_backend_describe(const ps_backend *b, char *out, size_t size)
{
    if (b->info.reason[0])
        (void)snprintf(out, size, "%s (%s)", b->info.label, b->info.reason);
    else
        (void)snprintf(out, size, "%s", b->info.label);
    return out;
}

ps_status ps_backend_check(ps_backend *b)
{
    ps_stream *s;
    ps_status st = ps_stream_new_copies(b, &s);
    if (st)
        return st;
    st = ps_stream_sync(s);
    ps_stream_free(&s);
    return st;
}

ps_status ps_buffer_new(ps_backend *b, size_t bytes, ps_buffer **out)
{
    return b->ops->buffer_new(b, bytes, out);
}

ps_status ps_buffer_new_sparse(ps_backend *b, size_t bytes, ps_buffer **out)
{
    ps_status st = ps_buffer_new(b, bytes, out);
    if (!st && b->ops->buffer_sparse)
        b->ops->buffer_sparse(b, *out);
    return st;
}

void ps_buffer_free(ps_backend *b, ps_buffer **buffer)
{
    if (*buffer)
        b->ops->buffer_free(b, *buffer);
    *buffer = NULL;
}

ps_status ps_host_new(ps_backend *b, size_t bytes, void **out)
{
    return b->ops->host_new(b, bytes, out);
}

void ps_host_free(ps_backend *b, void **memory)
{
    if (*memory)
        b->ops->host_free(b, *memory);
    *memory = NULL;
}

ps_status ps_stream_new(ps_backend *b, ps_stream **out)
{
    return b->ops->stream_new(b, out);
}

ps_status ps_stream_new_copies(ps_backend *b, ps_stream **out)
{
    return b->ops->stream_new_copies(b, out);
}

void ps_stream_free(ps_stream **s)
{
    if (*s)
        (*s)->backend->ops->stream_free(*s);
    *s = NULL;
}

ps_status ps_stream_sync(ps_stream *s)
{
    ps_status st = s->backend->ops->stream_sync(s);
    return s->error.code ? ps_error_raise(&s->error) : st;
}

void ps_stream_settle(ps_stream *s)
{
    ps_error before;
    ps_error_save(&before, PS_UNKNOWN);
    (void)!s->backend->ops->stream_sync(s);
    (void)ps_error_raise(&before);
}

void ps_stream_fail(ps_stream *s, ps_status code)
{
    if (!s->error.code)
        ps_error_save(&s->error, code);
}

ps_status ps_event_new(ps_backend *b, ps_event **out)
{
    return b->ops->event_new(b, out);
}

void ps_event_free(ps_backend *b, ps_event **e)
{
    if (*e)
        b->ops->event_free(b, *e);
    *e = NULL;
}

void ps_event_record(ps_stream *s, ps_event *e)
{
    if (!s->error.code)
        s->backend->ops->event_record(s, e);
    e->error.code = PS_OK;
    if (s->error.code)
        e->error = s->error;
}

void ps_event_wait(ps_stream *s, ps_event *e)
{
    if (e->error.code && !s->error.code)
        s->error = e->error;
    if (!s->error.code)
        s->backend->ops->event_wait(s, e);
}

ps_status ps_event_sync(ps_backend *b, ps_event *e)
{
    ps_status st = b->ops->event_sync(b, e);
    return e->error.code ? ps_error_raise(&e->error) : st;
}

void ps_copy_to_device(ps_stream *s, ps_tensor dst, const void *src, size_t bytes)
{
    PS_REQUIRE(bytes <= ps_tensor_bytes(dst));
    if (!s->error.code)
        s->backend->ops->copy_to_device(s, dst, src, bytes);
}

ps_status ps_copy_to_host(ps_stream *s, void *dst, ps_tensor src, size_t bytes)
{
    PS_REQUIRE(bytes <= ps_tensor_bytes(src));
    if (s->error.code)
        return ps_error_raise(&s->error);
    return s->backend->ops->copy_to_host(s, dst, src, bytes);
}

void ps_copy_to_host_async(ps_stream *s, void *dst, ps_tensor src, size_t bytes)
{
    PS_REQUIRE(bytes <= ps_tensor_bytes(src));
    if (!s->error.code)
        s->backend->ops->copy_to_host_async(s, dst, src, bytes);
}

void ps_copy(ps_stream *s, ps_tensor dst, ps_tensor src)
{
    PS_REQUIRE(ps_tensor_bytes(dst) == ps_tensor_bytes(src));
    if (!s->error.code)
        s->backend->ops->copy(s, dst, src, ps_tensor_bytes(src));
}

void *ps_tensor_host(const ps_backend *b, ps_tensor t)
{
    return b->info.host_addressable ? ps_tensor_address(t) : NULL;
}
