/* task_kind: the table of what a task can be (rows: plan, train, evaluate, predict,
 * generate). A new kind is one file and one row. */
#ifndef PS_TASKS_TASK_KIND_H
#define PS_TASKS_TASK_KIND_H

#include "worker/task/task.h"

typedef struct ps_worker_kind {
    const char *name; /* as in Task.kind */
    /* Runs the task to its end on the caller's thread. Fills the result's own part (plan,
     * evaluate, generate); code and message are made of what it returns. */
    ps_status (*run)(ps_task_run *run, Psd__V1__TaskResult *result);
} ps_worker_kind;

extern const ps_worker_kind ps_worker_kinds[]; /* ends with {NULL} */

const ps_worker_kind *ps_worker_kind_find(const char *name); /* NULL when there is none */

/* The rows; each in the file of its name under worker/tasks. */
ps_status ps_kind_plan(ps_task_run *run, Psd__V1__TaskResult *result);
ps_status ps_kind_train(ps_task_run *run, Psd__V1__TaskResult *result);
ps_status ps_kind_evaluate(ps_task_run *run, Psd__V1__TaskResult *result);
ps_status ps_kind_predict(ps_task_run *run, Psd__V1__TaskResult *result);
ps_status ps_kind_generate(ps_task_run *run, Psd__V1__TaskResult *result);

#endif
