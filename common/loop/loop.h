/* loop: one libuv loop, run by one thread; what belongs to a loop is touched on its thread only.
 *
 * Three ways to hop (docs/threads.md): ps_loop_defer (same loop, after the current callback),
 * ps_loop_post (from any thread to a loop), ps_work_submit (off the loop to the thread pool and
 * back). A task is a struct the caller embeds and owns; it may be freed or used again from inside
 * its own callback. Nothing here allocates a task.
 *
 * A callback never fires inside the call that asked for it; exactly one a request.
 */
#ifndef PS_LOOP_LOOP_H
#define PS_LOOP_LOOP_H

#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/require.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_loop ps_loop;
struct uv_loop_s;

PS_MUST_CHECK ps_status ps_loop_create(ps_loop **out);
/* Runs until ps_loop_stop; deferred and posted tasks first. Called by the thread that owns it. */
void ps_loop_run(ps_loop *loop);
/* The same, but also ends once *done is true, which a callback of this loop sets. Returns *done:
 * false when the loop was stopped. Not from inside a callback. */
bool ps_loop_run_until(ps_loop *loop, const bool *done);
/* Any thread, any time. The loop ends after the callbacks at hand. */
void ps_loop_stop(ps_loop *loop);
/* After run has returned: closes what is left, runs close callbacks, frees. NULL is allowed. */
void ps_loop_free(ps_loop **loop);
bool ps_loop_is_current(const ps_loop *loop);
/* At the entry of what belongs to a loop: on its thread, or while it does not run yet on that which
 * made it. */
#define ps_loop_require_on(loop) PS_REQUIRE(ps_loop_is_current(loop))
/* Is this thread in a callback of any loop? */
bool ps_loop_runs_here(void);
/* At the entry of what blocks: not in one. */
#define ps_loop_require_off() PS_REQUIRE(!ps_loop_runs_here())
/* How long ago the loop last came round, in milliseconds: under a second, unless a callback holds
 * it up. 0 while it does not run, and on its own thread, which would not ask if it stood. */
uint64_t ps_loop_stands_ms(const ps_loop *loop);
/* On: while its waits are short, the loop looks for more a little longer before it sleeps, so that
 * nobody has to wake it (spin.h). Off, as it is at first, it sleeps at once. On its thread, or
 * before it runs. */
void ps_loop_set_busy_poll(ps_loop *loop, bool on);
/* For common/loop and common/transport only. */
struct uv_loop_s *ps_loop_uv(ps_loop *loop);
void ps_loop_woken(struct uv_loop_s *uv); /* first thing in a callback of I/O */

typedef struct ps_loop_task ps_loop_task;
typedef void (*ps_loop_task_cb)(ps_loop_task *task);
struct ps_loop_task {
    ps_list link;
    ps_loop_task_cb cb;
    bool queued;
};
void ps_loop_task_init(ps_loop_task *task, ps_loop_task_cb cb);
/* On the loop's thread. A task that is queued already stays where it is. */
void ps_loop_defer(ps_loop *loop, ps_loop_task *task);
void ps_loop_cancel(ps_loop *loop, ps_loop_task *task); /* a deferred task; nothing if not queued */
/* From any thread. The caller keeps the task alive until its callback. Not cancellable. Posts from
 * one thread arrive in order. */
void ps_loop_post(ps_loop *loop, ps_loop_task *task);

/* Off the loop: `work` runs on a pool thread, then `done` on the loop's thread.
 *
 * All loops share one pool. Work may wait for the disk, for a lock, and for other work that runs
 * already; never for work that may still be in the queue, nor for a loop: so a pool of one thread
 * is slow, and never stuck. What must wait for others to come (a clock, a watch) is parked and
 * answered by a callback. */
typedef struct ps_work ps_work;
struct ps_work {
    void (*work)(ps_work *w);
    void (*done)(ps_work *w);
    void *priv; /* the loop's own */
};
void ps_work_submit(ps_loop *loop, ps_work *w);
/* How many threads the pool has, 1 to 1024; libuv's 4 otherwise. Once, at the start of the program:
 * no other thread may run but the log's, and no work have been submitted. */
void ps_work_set_threads(unsigned n);

/* Timers: one shot or repeated; freed (asynchronously) by ps_timer_free. */
typedef struct ps_timer ps_timer;
typedef void (*ps_timer_cb)(void *user);
void ps_timer_create(ps_loop *loop, ps_timer_cb cb, void *user, ps_timer **out);
void ps_timer_start(ps_timer *timer, uint64_t delay_ms, uint64_t repeat_ms); /* restarts */
void ps_timer_stop(ps_timer *timer);
void ps_timer_free(ps_timer **timer); /* no callback afterwards */

/* Signals of the process, delivered on this loop (SIGTERM, SIGHUP). */
typedef struct ps_signal ps_signal;
typedef void (*ps_signal_cb)(void *user, int number);
PS_MUST_CHECK ps_status ps_signal_watch(ps_loop *loop, int number, ps_signal_cb cb, void *user,
                                        ps_signal **out);
void ps_signal_free(ps_signal **signal);

/* Is called back, on this loop, when a name in the folder comes, goes, or its file changes; more
 * than once for one change, as a rule. PS_IO: the system gives no watch. */
typedef struct ps_folder_watch ps_folder_watch;
typedef void (*ps_folder_watch_cb)(void *user);
PS_MUST_CHECK ps_status ps_folder_watch_start(ps_loop *loop, const char *folder,
                                              ps_folder_watch_cb cb, void *user,
                                              ps_folder_watch **out);
void ps_folder_watch_free(ps_folder_watch **watch); /* no callback afterwards; NULL is allowed */

/* Threads with a loop each: ps_loops_create starts n of them (0: one a core); busy_poll: as
 * ps_loop_set_busy_poll. */
typedef struct ps_loops ps_loops;
PS_MUST_CHECK ps_status ps_loops_create(unsigned n, bool busy_poll, ps_loops **out);
unsigned ps_loops_count(const ps_loops *loops);
ps_loop *ps_loops_get(ps_loops *loops, unsigned i);
/* Stops all, joins the threads, frees. */
void ps_loops_free(ps_loops **loops);

#endif
