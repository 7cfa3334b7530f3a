/* Happy path: libuv's thread pool runs `work`, then the loop runs `done`. Cannot fail; a loop that
 * is freed waits for what is still in the pool. */
#include "common/loop/loop_internal.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/signal_mask.h"

#include <stdio.h>
#include <stdlib.h>

static void work_cb(uv_work_t *request)
{
    ps_work *w = request->data;
    w->work(w);
}

static void done_cb(uv_work_t *request, int status)
{
    (void)status; /* never cancelled */
    ps_work *w = request->data;
    ps_loop_woken(request->loop);
    free(request);
    w->priv = NULL;
    w->done(w);
}

void ps_work_submit(ps_loop *loop, ps_work *w)
{
    PS_REQUIRE(w->work && w->done);
    ps_loop_require_on(loop);
    uv_work_t *request = ps_new(uv_work_t);
    request->data = w;
    w->priv = request;
    sigset_t mask;
    ps_signals_hold(&mask); /* the pool has the mask of who starts it */
    int rc = uv_queue_work(&loop->uv, request, work_cb, done_cb);
    ps_signals_let(&mask);
    PS_REQUIRE(rc == 0);
}

/* libuv reads it at the first work; there is no other way to say it */
void ps_work_set_threads(unsigned n)
{
    char text[16];
    PS_REQUIRE(n >= 1 && n <= 1024);
    (void)snprintf(text, sizeof text, "%u", n);
    (void)setenv("UV_THREADPOOL_SIZE", text, 1);
}
