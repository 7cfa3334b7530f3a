/* task: one task as its thread sees it, and the threads that run tasks.
 *
 * The loop hands a task to a thread of the runner; the thread runs it through the table of kinds
 * (job_kind.h) with plain blocking code, and its reports come back on the loop.
 */
#ifndef PS_WORKER_TASK_H
#define PS_WORKER_TASK_H

#include "common/format/metric_list.h"
#include "gpu/backend.h"
#include "psd/v1/workers.pb-c.h"
#include "worker/options.h"
#include "worker/remote/remote.h"

#include <stdatomic.h>

struct ps_job_cache;
struct ps_served_model;

/* What all tasks of the process share. */
typedef struct ps_worker_env {
    const ps_worker_conf *conf;
    ps_backend *backend;
    ps_loop *loop;
    ps_channel *channel; /* for data; lives on loop */
    const ps_clock *clock;
    uint64_t incarnation;
} ps_worker_env;

/* Handed to a kind's run function; its thread's only. */
typedef struct ps_task_run {
    const ps_worker_env *env;
    const Psd__V1__Task *task;
    ps_remote *remote;              /* gate included */
    struct ps_job_cache *cache;     /* what the thread keeps between tasks, */
    struct ps_served_model *served; /* and between jobs; may be NULL */
    const atomic_bool *stop;        /* end where that loses nothing, with PS_CANCELLED */
    /* private: numbers not yet reported */
    struct ps_runner *runner;
    Psd__V1__TaskProgress pending;
    ps_metric_list metric_sums; /* of pending */
    uint64_t reported_ms;
    Psd__V1__Output *said; /* not yet on its way; NULL: nothing */
    size_t said_capacity;
    uint64_t said_ms; /* when the last went */
    bool begun;       /* rows were pushed or reported, or tokens: the task cannot begin anew here */
} ps_task_run;

enum { PS_TASK_REPORT_MS = 500, PS_TASK_OUTPUT_MS = 25 };

bool ps_task_stopping(const ps_task_run *run);
/* Adds numbers; they leave at most every PS_TASK_REPORT_MS, and at the end. position as in
 * TaskProgress. */
void ps_task_report(ps_task_run *run, uint64_t position, const Psd__V1__TaskProgress *numbers);
/* The job's index-th token. A task's first leaves at once, others at most every PS_TASK_OUTPUT_MS:
 * fast enough to be read, and no flood of messages from a small model. */
void ps_task_say(ps_task_run *run, uint64_t index, int32_t token);
/* A line for those who follow the job. */
void ps_task_log(ps_task_run *run, int level, const char *format, ...) PS_PRINTF(3, 4);

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
