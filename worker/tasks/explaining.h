/* explaining: what a task of a job of kind explain has at hand: the model, its data, which rows the
 * items are, what they are explained against, and what was merged before. The task's thread's (not
 * asserted: it is a local of the task). */
#ifndef PS_TASKS_EXPLAINING_H
#define PS_TASKS_EXPLAINING_H

#include "common/explain/stages.h"
#include "worker/explain/baseline.h"
#include "worker/explain/items.h"
#include "worker/explain/part_file.h"
#include "worker/explain/selection.h"
#include "worker/job/job_cache.h"
#include "worker/tasks/explain_other.h"
#include "worker/tasks/spool.h"

typedef struct ps_explain_task {
    ps_task_run *run;
    ps_job_entry *entry;
    const ps_spec_explain *spec;
    ps_explain_stage stage;
    size_t n_methods;
    ps_explaining x;
    ps_explain_baseline baseline;
    ps_explain_second second;       /* ps_spec_explain_second; zeros: there is none */
    ps_selection selection;         /* of a stage of rows, unless there are prompts */
    ps_explain_parts before;        /* what the pass before has left; of the first: empty */
    ps_explain_sources checkpoints; /* those that a method has gone through */
    uint64_t first;                 /* of a stage of rows: the items that are being explained, */
    size_t n;                       /* so many; 0: none is yet */
} ps_explain_task;

/* The job and the stage that the task's epoch names. PS_INVALID_ARGUMENT: it is none. */
PS_MUST_CHECK ps_status ps_explain_task_begin(ps_task_run *run, ps_explain_task *out);
/* Then, of one that computes: data, model, rows, baseline, and what is there of the pass before. */
PS_MUST_CHECK ps_status ps_explain_task_open(ps_explain_task *task);
void ps_explain_task_close(ps_explain_task *task); /* in any case */

/* x->check of the task, which is its user: whether it is to end. Where items take long, a line says
 * so, for those who follow the job. */
PS_MUST_CHECK ps_status ps_explain_task_check(void *task);

/* Parts that another task left with the job, of at most so many rows; what the pass before this
 * one left. PS_CORRUPT, ... */
PS_MUST_CHECK ps_status ps_explain_task_fetch(const ps_explain_task *task, const char *name,
                                              uint64_t rows, ps_explain_parts *out);
PS_MUST_CHECK ps_status ps_explain_task_fetch_before(const ps_explain_task *task,
                                                     ps_explain_parts *out);
/* PS_OUT_OF_RANGE: it is more than is read again, with the method that has the most. */
PS_MUST_CHECK ps_status ps_explain_task_fits(const ps_explain_task *task,
                                             const ps_explain_parts *parts);
/* Leaves what is spooled, which fits: writes parts to psd under that name. */
PS_MUST_CHECK ps_status ps_explain_task_leave(const ps_explain_task *task, const char *name,
                                              const ps_explain_parts *parts,
                                              Psd__V1__TaskResult *result);
/* Which version of a model beside its own the job has; NULL: the task does not say. */
const char *ps_explain_other_version(const Psd__V1__Task *task, const char *name);

/* Says in parts who this worker is; of one that has computed also which files it read. Files of
 * data that cannot be read again are left out: the rows were there. */
void ps_explain_task_sources(const ps_explain_task *task, bool computed, ps_explain_parts *parts);
/* For writers of safetensors; state is a ps_spool. */
ps_status ps_explain_spool_write(void *spool, const void *data, size_t len);

#endif
