/* Happy path: one stream for the copies and two events that order them and what is computed. Fails
 * when there is no pinned memory, or as a copy did.
 *
 * `computed` is recorded once a step, at the first send: if it were recorded at each, the copy of a
 * layer would wait for the computing of those before it. A wait for an event means the point at
 * which it was last recorded, so one event serves all copies. */
#include "worker/exchange/device_put.h"

#include "common/base/mem.h"
#include "common/base/one_thread.h"
#include "common/base/require.h"

#include <string.h>

struct ps_device_put {
    ps_one_thread mine;
    ps_backend *backend;
    ps_stream *compute, *copies;
    ps_event *computed, *copied;
    bool ordered; /* copies come after what was computed before this step */
    ps_tensor *parameters;
    float **landing;
    size_t count;
    void *memory; /* pinned */
};

static ps_status make_memory(ps_device_put *u)
{
    size_t bytes = 0;
    for (size_t i = 0; i < u->count; i++)
        bytes += ps_tensor_bytes(u->parameters[i]);
    ps_status st = ps_host_new(u->backend, bytes, &u->memory);
    if (st)
        return ps_wrap(st, "pulled parameters on the host");
    memset(u->memory, 0, bytes);
    char *at = u->memory;
    for (size_t i = 0; i < u->count; i++) {
        u->landing[i] = (float *)at;
        at += ps_tensor_bytes(u->parameters[i]);
    }
    return PS_OK;
}

ps_status ps_device_put_create(const ps_device_put_options *options, ps_device_put **out)
{
    ps_device_put *u = ps_new(ps_device_put);
    u->backend = options->backend;
    u->compute = options->compute;
    u->count = options->count;
    u->landing = ps_alloc_array(u->count, sizeof *u->landing);
    u->parameters = ps_alloc_array(u->count, sizeof *u->parameters);
    memcpy(u->parameters, options->parameters, u->count * sizeof *u->parameters);
    ps_status st = ps_stream_new_copies(u->backend, &u->copies);
    if (!st)
        st = ps_event_new(u->backend, &u->computed);
    if (!st)
        st = ps_event_new(u->backend, &u->copied);
    if (!st)
        st = make_memory(u);
    if (st)
        ps_device_put_free(&u);
    else
        *out = u;
    return st;
}

void ps_device_put_free(ps_device_put **put)
{
    ps_device_put *u = *put;
    if (!u)
        return;
    ps_stream_free(&u->copies); /* first: it waits for what still uses the rest */
    ps_event_free(u->backend, &u->computed);
    ps_event_free(u->backend, &u->copied);
    ps_host_free(u->backend, &u->memory);
    ps_free(&u->landing);
    ps_free(&u->parameters);
    ps_free(put);
}

float *ps_device_put_landing(const ps_device_put *u, size_t i)
{
    PS_REQUIRE(i < u->count);
    return u->landing[i];
}

static void order(ps_device_put *u)
{
    if (u->ordered)
        return;
    ps_event_record(u->compute, u->computed);
    ps_event_wait(u->copies, u->computed);
    u->ordered = true;
}

void ps_device_put_send(ps_device_put *u, size_t i, const ps_ranges *ranges)
{
    ps_one_thread_require(&u->mine);
    PS_REQUIRE(i < u->count);
    if (!ranges->count)
        return;
    order(u);
    const ps_tensor *whole = &u->parameters[i];
    for (uint32_t r = 0; r < ranges->count; r++) {
        const ps_range *range = &ranges->list[r];
        ps_tensor part = ps_tensor_1d(whole->buffer, whole->offset + range->begin * sizeof(float),
                                      PS_DTYPE_F32, (int64_t)(range->end - range->begin));
        ps_copy_to_device(u->copies, part, u->landing[i] + range->begin, ps_tensor_bytes(part));
    }
    ps_event_record(u->copies, u->copied);
    ps_event_wait(u->compute, u->copied);
}

ps_status ps_device_put_wait(ps_device_put *u)
{
    ps_one_thread_require(&u->mine);
    u->ordered = false;
    return ps_stream_sync(u->copies);
}

bool ps_device_put_failed(const ps_device_put *u)
{
    return ps_stream_failed(u->copies);
}
