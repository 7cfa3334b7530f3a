/* model_job: what kinds of jobs on a stored model have in common: one task, over all the rows; psd
 * does not know how many there are, so the task's row_end is 0, which means to the end; or over the
 * rows that the job asks for. The model is of the version of the job's submission, whatever is done
 * to it meanwhile. A restart of psd begins the task anew.
 *
 * A kind is a file of two rows, the job's (PS_MODEL_JOB) and its task's (PS_MODEL_TASK), whose
 * `done` says what the worker's result means: ps_model_task_done, where it means no more than
 * itself. With the mutex.
 *
 * Fails: the model does not exist (at submission), the task fails three times or says that no other
 * worker would do better.
 */
#ifndef PS_SCHED_KINDS_MODEL_JOB_H
#define PS_SCHED_KINDS_MODEL_JOB_H

#include "server/sched/core.h"

typedef struct ps_model_job {
    bool out;
    ps_row_range piece;
    uint64_t samples; /* reported */
} ps_model_job;

/* Of kinds that ask a model for its classes: the rows' hook check. PS_INVALID_ARGUMENT: it has
 * none.
 */
PS_MUST_CHECK ps_status ps_model_job_check_classes(const ps_job_spec *spec,
                                                   const ps_spec_model *model);
void ps_model_job_start(ps_job *job); /* the rows' hook start; job->work is a ps_model_job then */
void ps_model_job_free(void *work);
bool ps_model_job_next(ps_job *job, ps_worker *worker, ps_lease *task);
void ps_model_job_show(ps_job *job);
void ps_model_task_progress(ps_job *job, ps_lease *lease, const ps_task_report *report);
/* The job is done, and its result what the worker has said. */
void ps_model_task_done(ps_job *job, ps_lease *lease, ps_task_result *result);
void ps_model_task_back(ps_job *job, ps_lease *lease, bool failed, const char *message);

double ps_model_job_seconds(const ps_job *job); /* since it runs */

#define PS_MODEL_JOB                                                         \
    .inference = true, .free = ps_model_job_free, .next = ps_model_job_next, \
    .show = ps_model_job_show
#define PS_MODEL_TASK .progress = ps_model_task_progress, .back = ps_model_task_back

#endif
