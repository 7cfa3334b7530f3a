/* task: one task as the thread that runs it sees it: what it has to do, what it has at hand, and
 * how it reports. All on that thread. */
#ifndef PS_TASK_TASK_H
#define PS_TASK_TASK_H

#include "common/base/one_thread.h"
#include "common/format/metric_list.h"
#include "gpu/backend.h"
#include "psd/v1/workers.pb-c.h"
#include "worker/conf/worker_options.h"
#include "worker/remote/remote.h"

#include <stdatomic.h>

struct ps_job_cache;
struct ps_served_model;

/* What all tasks of the process share. */
typedef struct ps_worker_env {
    const char *version; /* of psworker; NULL: a test's */
    const ps_worker_conf *conf;
    ps_backend *backend;
    ps_loop *loop;
    ps_channel *channel; /* for data; lives on loop */
    const ps_clock *clock;
    uint64_t incarnation;
} ps_worker_env;

/* Where the reports of a task go. The messages become the callee's. */
typedef struct ps_task_sink {
    void (*progress)(void *user, Psd__V1__TaskProgress *progress);
    void (*output)(void *user, Psd__V1__TaskOutput *output);
    void *user;
} ps_task_sink;

/* Handed to a kind's run function; its thread's only. */
typedef struct ps_task_run {
    ps_one_thread mine;
    const ps_worker_env *env;
    const Psd__V1__Task *task;
    ps_remote *remote;              /* gate included */
    struct ps_job_cache *cache;     /* what the thread keeps between tasks, */
    struct ps_served_model *served; /* and between jobs; may be NULL */
    const atomic_bool *stop;        /* end where that loses nothing, with PS_CANCELLED */
    ps_task_sink sink;
    /* private to report.c: what has not left yet */
    Psd__V1__TaskProgress pending; /* numbers */
    ps_metric_list metric_sums;    /* of pending */
    uint64_t reported_ms;
    Psd__V1__Output *generated; /* tokens; NULL: none */
    size_t generated_capacity;
    uint64_t generated_ms;             /* when the last left */
    uint64_t quiet_since_ms, quiet_ms; /* when there was last news, and how long none is fine */
    bool begun; /* rows were pushed or reported, or tokens: the task cannot begin anew here */
} ps_task_run;

enum { PS_TASK_REPORT_MS = 500, PS_TASK_OUTPUT_MS = 25 };
/* How long a task may work without a report before it says where it is: at first, and at most. */
enum { PS_TASK_QUIET_MS = 15000, PS_TASK_QUIET_MAX_MS = 300000 };

bool ps_task_stopping(const ps_task_run *run);
/* Adds numbers; they leave at most every PS_TASK_REPORT_MS, and at the end. position as in
 * TaskProgress. */
void ps_task_report(ps_task_run *run, uint64_t position, const Psd__V1__TaskProgress *numbers);
/* The job's index-th token was generated. A task's first leaves at once, others at most every
 * PS_TASK_OUTPUT_MS: fast enough to be read, and no flood of messages from a small model. */
void ps_task_generated(ps_task_run *run, uint64_t index, int32_t token);
/* Is it time for a line of ps_task_log that says where a long computation is? Not when there was a
 * report lately; after each yes it is to be quiet for twice as long. To be asked between batches.
 */
bool ps_task_quiet_long(ps_task_run *run);
/* A line for those who follow the job. */
void ps_task_log(ps_task_run *run, int level, const char *format, ...) PS_PRINTF(3, 4);

#endif
