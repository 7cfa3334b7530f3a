/* Happy path: a uv_timer_t in a struct of its own, which the close callback frees. Cannot fail. */
#include "common/loop/loop_internal.h"

#include "common/base/mem.h"
#include "common/base/require.h"

struct ps_timer {
    uv_timer_t uv;
    ps_timer_cb cb;
    void *user;
};

static void timer_cb(uv_timer_t *handle)
{
    ps_timer *timer = handle->data;
    timer->cb(timer->user);
}

static void closed_cb(uv_handle_t *handle)
{
    free(handle->data);
}

void ps_timer_create(ps_loop *loop, ps_timer_cb cb, void *user, ps_timer **out)
{
    PS_REQUIRE(cb);
    ps_loop_require_on(loop);
    ps_timer *timer = ps_new(ps_timer);
    uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    timer->cb = cb;
    timer->user = user;
    *out = timer;
}

void ps_timer_start(ps_timer *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
    ps_loop_require_on(timer->uv.loop->data);
    /* libuv counts from the start of this round; a round may have been long. */
    uv_update_time(timer->uv.loop);
    uv_timer_start(&timer->uv, timer_cb, delay_ms, repeat_ms);
}

void ps_timer_stop(ps_timer *timer)
{
    ps_loop_require_on(timer->uv.loop->data);
    uv_timer_stop(&timer->uv);
}

void ps_timer_free(ps_timer **timer)
{
    if (!*timer)
        return;
    ps_loop_require_on((*timer)->uv.loop->data);
    uv_close((uv_handle_t *)&(*timer)->uv, closed_cb);
    *timer = NULL;
}
