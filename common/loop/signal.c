/* Happy path: libuv's signal watcher, which writes to a pipe of its own from the handler and calls
 * back on the loop. Fails for a number that cannot be caught. */
#include "common/loop/loop_internal.h"

#include "common/base/mem.h"
#include "common/base/require.h"

struct ps_signal {
    uv_signal_t uv;
    ps_signal_cb cb;
    void *user;
};

static void signal_cb(uv_signal_t *handle, int number)
{
    ps_signal *signal = handle->data;
    signal->cb(signal->user, number);
}

static void closed_cb(uv_handle_t *handle)
{
    free(handle->data);
}

ps_status ps_signal_watch(ps_loop *loop, int number, ps_signal_cb cb, void *user, ps_signal **out)
{
    ps_loop_require_on(loop);
    PS_REQUIRE(cb);
    ps_signal *signal = ps_new(ps_signal);
    int rc = uv_signal_init(&loop->uv, &signal->uv);
    if (rc) {
        ps_free(&signal);
        return ps_fail(PS_IO, "signal %d: %s", number, uv_strerror(rc));
    }
    signal->uv.data = signal;
    signal->cb = cb;
    signal->user = user;
    rc = uv_signal_start(&signal->uv, signal_cb, number);
    if (rc) {
        ps_signal_free(&signal);
        return ps_fail(PS_IO, "signal %d: %s", number, uv_strerror(rc));
    }
    *out = signal;
    return PS_OK;
}

void ps_signal_free(ps_signal **signal)
{
    if (!*signal)
        return;
    ps_loop_require_on((*signal)->uv.loop->data);
    uv_close((uv_handle_t *)&(*signal)->uv, closed_cb);
    *signal = NULL;
}
