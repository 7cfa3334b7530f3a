/* task_kind: the table of what a task can be. A kind is one file, which ends with its row, and one
 * word here. */
#ifndef PS_TASKS_TASK_KIND_H
#define PS_TASKS_TASK_KIND_H

#include "worker/task/result.h"
#include "worker/task/task.h"

/* Each is ps_worker_kind_NAME in worker/tasks/NAME.c; a psworker says in this order what it does.
 */
#define PS_WORKER_KINDS(row)                                                            \
    row(plan) row(train) row(probe) row(evaluate) row(predict) row(generate) row(embed) \
        row(describe) row(compare) row(calibrate) row(measure) row(solve) row(explain)  \
            row(explain_merge)

typedef struct ps_worker_kind {
    const char *name; /* as in Task.kind */
    /* Runs the task to its end on the caller's thread, and tells by task/result.h what it came to;
     * code and message are made of what it returns, and after a failure nothing else counts. */
    ps_status (*run)(ps_task_run *run, Psd__V1__TaskResult *result);
    bool once;   /* what is wrong with it here is wrong with its job: no other worker is asked */
    bool fenced; /* PS_FAILED_PRECONDITION is of a clock or of the job's state: welcome later */
} ps_worker_kind;

#define PS_WORKER_KIND_DECLARE(name) extern const ps_worker_kind ps_worker_kind_##name;
PS_WORKER_KINDS(PS_WORKER_KIND_DECLARE)

extern const ps_worker_kind *const ps_worker_kinds[]; /* a NULL behind the last */

const ps_worker_kind *ps_worker_kind_find(const char *name); /* NULL when there is none */

#endif
