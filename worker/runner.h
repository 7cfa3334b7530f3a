/* runner: the threads that run tasks.
 *
 * The loop hands a task to a thread of the runner; the thread runs it through the table of kinds
 * (task_kind.h) with plain blocking code, and its reports come back on the loop.
 */
#ifndef PS_WORKER_RUNNER_H
#define PS_WORKER_RUNNER_H

#include "worker/task/task.h"

typedef struct ps_runner ps_runner;

/* All on the loop. */
typedef struct ps_runner_events {
    void (*progress)(void *user, const Psd__V1__TaskProgress *progress);
    void (*output)(void *user, const Psd__V1__TaskOutput *output); /* may be NULL */
    void (*result)(void *user, Psd__V1__TaskResult *result);       /* owned by the callee */
    void (*lost)(void *user, const char *why); /* the device, to this process; after the result of
                                                  the task that found it; may be NULL */
    void (*stopped)(void *user);               /* after ps_runner_stop: no thread left */
    void *user;
} ps_runner_events;

/* The first slot is for jobs that train, the others for those on stored models, so that a short one
 * need not wait for a long one; a single slot takes both. Each is a thread with caches of its own.
 * A task that finds no memory, and has done nothing yet, runs once more alone: when the others have
 * ended theirs and given up what they keep. */
enum { PS_RUNNER_TRAIN_SLOTS = 1 };

/* env and events are copied. */
void ps_runner_create(const ps_worker_env *env, unsigned slots, const ps_runner_events *events,
                      ps_runner **out);
/* Owns the task; exactly one result follows. */
void ps_runner_start(ps_runner *runner, Psd__V1__Task *task);
void ps_runner_cancel(ps_runner *runner, uint64_t lease_id, const char *reason);
/* Running tasks end soon, waiting ones at once, both with PS_CANCELLED and worth a retry. */
void ps_runner_stop(ps_runner *runner);
/* Ends the threads, when what they keep is released; stopped() follows. */
void ps_runner_quit(ps_runner *runner);
/* After stopped(), or in it: the threads are gone, and post nothing to the loop any more. */
void ps_runner_join(ps_runner *runner);
/* Joins, if that was not done. When calls of its tasks may be under way that nobody waits for: only
 * after the channel and the loop are gone, for their ends still use the runner's gates. */
void ps_runner_free(ps_runner **runner);

#endif
