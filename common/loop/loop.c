/* Happy path: a callback of libuv defers tasks; the check handle runs them when this round of I/O
 * is over, the prepare handle those of timers, before the loop sleeps. A post takes the lock,
 * appends and wakes; the wake callback takes the whole list at once and runs it in order.
 *
 * Failure: only creation can fail (no file descriptors left). */
#include "common/loop/loop.h"

#include "common/loop/loop_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"

#include <sched.h>

#define PULSE_MS 500

#define ROUNDS_OF_DEFERRED 4 /* tasks that defer tasks, before I/O gets its turn again */
/* Longer than it takes to wake a thread and to serve a small call: before both sides of a
 * connection look, one of them waits for that. */
#define BUSY_POLL_NS 200000u

static _Thread_local const ps_loop *runs_here;

void ps_loop_task_init(ps_loop_task *task, ps_loop_task_cb cb)
{
    PS_REQUIRE(cb);
    ps_list_init(&task->link);
    task->cb = cb;
    task->queued = false;
}

/* Runs what is in the list now; what the tasks append waits for the next call. */
static void run_tasks(ps_list *list)
{
    ps_list batch;
    ps_list_init(&batch);
    while (!ps_list_empty(list)) {
        ps_list *node = list->next;
        ps_list_remove(node);
        ps_list_append(&batch, node);
    }
    while (!ps_list_empty(&batch)) {
        ps_loop_task *task = ps_container(batch.next, ps_loop_task, link);
        ps_list_remove(&task->link);
        task->queued = false;
        task->cb(task);
    }
}

static void run_deferred(ps_loop *loop)
{
    for (int i = 0; i < ROUNDS_OF_DEFERRED && !ps_list_empty(&loop->deferred); i++)
        run_tasks(&loop->deferred);
}

static void run_posted(ps_loop *loop)
{
    ps_list batch;
    ps_list_init(&batch);
    ps_mutex_lock(&loop->lock);
    while (!ps_list_empty(&loop->posted)) {
        ps_loop_task *task = ps_container(loop->posted.next, ps_loop_task, link);
        ps_list_remove(&task->link);
        ps_list_append(&batch, &task->link);
        task->queued = false;
    }
    ps_mutex_unlock(&loop->lock);
    while (!ps_list_empty(&batch)) {
        ps_loop_task *task = ps_container(batch.next, ps_loop_task, link);
        ps_list_remove(&task->link);
        task->cb(task);
    }
}

static void check_cb(uv_check_t *handle)
{
    run_deferred(handle->data);
}

static void idle_cb(uv_idle_t *handle)
{
    (void)handle; /* its being active is what counts */
}

static void prepare_cb(uv_prepare_t *handle)
{
    ps_loop *loop = handle->data;
    run_deferred(loop);
    if (ps_list_empty(&loop->deferred))
        uv_idle_stop(&loop->idle);
    else
        uv_idle_start(&loop->idle, idle_cb);
    if (loop->until && *loop->until)
        uv_stop(&loop->uv); /* so that this round does not sleep */
}

static void turn(ps_loop *loop)
{
    atomic_store(&loop->turned_ms, ps_clock_ms(&ps_clock_system));
}

static void pulse_cb(uv_timer_t *handle)
{
    turn(handle->data);
}

uint64_t ps_loop_stands_ms(const ps_loop *loop)
{
    uint64_t turned = atomic_load(&loop->turned_ms), now = ps_clock_ms(&ps_clock_system);
    return turned && now > turned && !ps_loop_is_current(loop) ? now - turned : 0;
}

static void wake_cb(uv_async_t *handle)
{
    ps_loop *loop = handle->data;
    ps_loop_woken(&loop->uv);
    run_posted(loop);
    if (atomic_load(&loop->stop))
        uv_stop(&loop->uv);
}

ps_status ps_loop_create(ps_loop **out)
{
    ps_loop *loop = ps_new(ps_loop);
    int rc = uv_loop_init(&loop->uv);
    if (rc)
        goto free_loop;
    rc = uv_async_init(&loop->uv, &loop->wake, wake_cb);
    if (rc)
        goto close_uv;
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_check_init(&loop->uv, &loop->check);
    uv_idle_init(&loop->uv, &loop->idle);
    uv_timer_init(&loop->uv, &loop->pulse);
    loop->uv.data = loop->wake.data = loop->prepare.data = loop->check.data = loop->idle.data =
        loop->pulse.data = loop;
    uv_prepare_start(&loop->prepare, prepare_cb);
    uv_check_start(&loop->check, check_cb);
    atomic_store(&loop->owner, (unsigned long)pthread_self());
    ps_loop_set_busy_poll(loop, false);
    ps_list_init(&loop->deferred);
    ps_list_init(&loop->posted);
    ps_mutex_init(&loop->lock);
    *out = loop;
    return PS_OK;
close_uv:
    uv_loop_close(&loop->uv);
free_loop:
    ps_free(&loop);
    return ps_fail(PS_IO, "event loop: %s", uv_strerror(rc));
}

/* Either sleeps until something comes, or looks once whether something has. Both run the same
 * callbacks in the same order. */
static void run_round(ps_loop *loop)
{
    if (ps_spin_looks(&loop->spin, loop->spin.limit_ns ? ps_clock_ns(&ps_clock_system) : 0)) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        if (loop->spin.waiting)
            sched_yield(); /* whoever needs the core has it */
    } else {
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
}

void ps_loop_woken(struct uv_loop_s *uv)
{
    ps_loop *loop = uv->data;
    if (loop->spin.waiting)
        ps_spin_woken(&loop->spin, ps_clock_ns(&ps_clock_system));
}

void ps_loop_set_busy_poll(ps_loop *loop, bool on)
{
    ps_loop_require_on(loop);
    ps_spin_init(&loop->spin, on ? BUSY_POLL_NS : 0);
}

void ps_loop_run(ps_loop *loop)
{
    static const bool never = false;
    (void)ps_loop_run_until(loop, &never);
}

bool ps_loop_run_until(ps_loop *loop, const bool *done)
{
    PS_REQUIRE(!loop->until);
    const ps_loop *outer = runs_here;
    atomic_store(&loop->owner, (unsigned long)pthread_self());
    runs_here = loop;
    loop->until = done;
    ps_spin_forget(&loop->spin);
    turn(loop);
    uv_timer_start(&loop->pulse, pulse_cb, PULSE_MS, PULSE_MS);
    while (!*done && !atomic_load(&loop->stop))
        run_round(loop);
    uv_timer_stop(&loop->pulse);
    atomic_store(&loop->turned_ms, 0);
    loop->until = NULL;
    runs_here = outer;
    if (*done)
        return true;
    atomic_store(&loop->stop, false);
    return false;
}

void ps_loop_stop(ps_loop *loop)
{
    atomic_store(&loop->stop, true);
    uv_async_send(&loop->wake);
}

bool ps_loop_is_current(const ps_loop *loop)
{
    return atomic_load(&loop->owner) == (unsigned long)pthread_self();
}

bool ps_loop_runs_here(void)
{
    return runs_here != NULL;
}

struct uv_loop_s *ps_loop_uv(ps_loop *loop)
{
    return &loop->uv;
}

static void close_left_cb(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (uv_is_closing(handle))
        return;
    ps_log_warning("loop", "a %s was left open", uv_handle_type_name(handle->type));
    uv_close(handle, NULL);
}

static void run_what_is_left(ps_loop *loop)
{
    for (;;) {
        run_posted(loop);
        run_deferred(loop);
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        ps_mutex_lock(&loop->lock);
        bool idle = ps_list_empty(&loop->posted) && ps_list_empty(&loop->deferred);
        ps_mutex_unlock(&loop->lock);
        if (idle)
            return;
    }
}

void ps_loop_free(ps_loop **pointer)
{
    ps_loop *loop = *pointer;
    if (!loop)
        return;
    PS_REQUIRE(!loop->until);
    atomic_store(&loop->owner, (unsigned long)pthread_self());
    run_what_is_left(loop);
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    uv_close((uv_handle_t *)&loop->pulse, NULL);
    uv_walk(&loop->uv, close_left_cb, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* close callbacks, and work that is still in the pool */
    run_deferred(loop);
    int rc = uv_loop_close(&loop->uv);
    PS_REQUIRE(rc == 0);
    ps_mutex_destroy(&loop->lock);
    ps_free(pointer);
}

void ps_loop_defer(ps_loop *loop, ps_loop_task *task)
{
    ps_loop_require_on(loop);
    if (task->queued)
        return;
    task->queued = true;
    ps_list_append(&loop->deferred, &task->link);
}

void ps_loop_cancel(ps_loop *loop, ps_loop_task *task)
{
    ps_loop_require_on(loop);
    if (!task->queued)
        return;
    task->queued = false;
    ps_list_remove(&task->link);
}

void ps_loop_post(ps_loop *loop, ps_loop_task *task)
{
    PS_REQUIRE(task->cb);
    ps_mutex_lock(&loop->lock);
    PS_REQUIRE(!task->queued); /* it would be in two places of the list */
    task->queued = true;
    bool first = ps_list_empty(&loop->posted);
    ps_list_append(&loop->posted, &task->link);
    /* Under the lock: once it is released, the loop may run the task and end. */
    if (first)
        uv_async_send(&loop->wake);
    ps_mutex_unlock(&loop->lock);
}
