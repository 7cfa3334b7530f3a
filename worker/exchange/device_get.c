/* Happy path: one stream for the copies, an event a tensor, and a queue of the tensors in the order
 * they were begun. Fails as the computing before a copy did, or the copy: its event says so. */
#include "worker/exchange/device_get.h"

#include "common/base/mem.h"
#include "common/base/one_thread.h"
#include "common/base/require.h"

struct ps_device_get {
    ps_one_thread mine;
    ps_backend *backend;
    ps_stream *compute, *copies;
    ps_event *computed; /* of the tensor begun last */
    ps_event **copied;  /* [count] */
    size_t *queue;      /* [count] */
    size_t count, first, last;
};

ps_status ps_device_get_create(ps_backend *backend, ps_stream *compute, size_t count,
                               ps_device_get **out)
{
    ps_device_get *d = ps_new(ps_device_get);
    *d = (ps_device_get){.backend = backend, .compute = compute, .count = count};
    d->copied = ps_alloc_array(count, sizeof *d->copied);
    d->queue = ps_alloc_array(count, sizeof *d->queue);
    ps_status st = ps_stream_new_copies(backend, &d->copies);
    if (!st)
        st = ps_event_new(backend, &d->computed);
    for (size_t i = 0; !st && i < count; i++)
        st = ps_event_new(backend, &d->copied[i]);
    if (st)
        ps_device_get_free(&d);
    else
        *out = d;
    return st;
}

void ps_device_get_free(ps_device_get **get)
{
    ps_device_get *d = *get;
    if (!d)
        return;
    ps_stream_free(&d->copies); /* first: it waits for what still uses the rest */
    ps_event_free(d->backend, &d->computed);
    for (size_t i = 0; i < d->count; i++)
        ps_event_free(d->backend, &d->copied[i]);
    ps_free(&d->copied);
    ps_free(&d->queue);
    ps_free(get);
}

void ps_device_get_begin(ps_device_get *d, size_t i, void *dst, ps_tensor src)
{
    ps_one_thread_require(&d->mine);
    PS_REQUIRE(i < d->count && d->last < d->count);
    ps_event_record(d->compute, d->computed);
    ps_event_wait(d->copies, d->computed);
    ps_copy_to_host_async(d->copies, dst, src, ps_tensor_bytes(src));
    ps_event_record(d->copies, d->copied[i]);
    d->queue[d->last++] = i;
}

ps_status ps_device_get_next(ps_device_get *d, size_t *i)
{
    ps_one_thread_require(&d->mine);
    PS_REQUIRE(d->first <= d->last);
    if (d->first == d->last) {
        d->first = d->last = 0;
        return PS_END;
    }
    *i = d->queue[d->first++];
    return ps_event_sync(d->backend, d->copied[*i]);
}

void ps_device_get_drop(ps_device_get *d)
{
    ps_one_thread_require(&d->mine);
    ps_stream_settle(d->copies);
    d->first = d->last = 0;
}

bool ps_device_get_failed(const ps_device_get *d)
{
    return ps_stream_failed(d->copies);
}
