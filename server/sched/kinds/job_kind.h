/* job_kind: the table of kinds of jobs (rows: train, evaluate, predict,
 * generate): what a running job has to
 * be done, task by task. A new kind is a new file and a line in job_kind.c.
 *
 * All hooks are called with the scheduler's mutex held and must not touch disk or network; they say
 * what happens to the job by ps_job_fail, ps_job_move and ps_outbox_*.
 */
#ifndef PS_SCHED_KINDS_JOB_KIND_H
#define PS_SCHED_KINDS_JOB_KIND_H

#include "common/base/buf.h"
#include "common/conf/job_spec.h"
#include "psd/v1/workers.pb-c.h"
#include "server/catalog/catalog.h"

typedef struct ps_sched ps_sched;
typedef struct ps_job ps_job;
typedef struct ps_worker ps_worker;
typedef struct ps_lease ps_lease;

typedef struct ps_job_kind {
    const char *name; /* as in the job file */
    /* Works on a stored model: its tasks may run beside a training, and go first. */
    bool inference;
    /* At submission, without the mutex: what can be known to be wrong by now. model: of the stored
     * model that the job uses, NULL: none. May be NULL. */
    ps_status (*check)(const ps_job_spec *spec, const ps_spec_model *model);
    /* The job begins to run: sets job->work. */
    void (*start)(ps_job *job);
    void (*free)(void *work);
    /* A task for this worker, which has a free slot and fewer leases than others: fills task->kind
     * and task->piece. false: there is none for it now. */
    bool (*next)(ps_job *job, ps_worker *worker, ps_lease *task);
    /* The worker is further on. May be NULL. */
    void (*progress)(ps_job *job, ps_lease *lease, const Psd__V1__TaskProgress *report);
    /* The worker says something. May be NULL. */
    void (*output)(ps_job *job, ps_lease *lease, const Psd__V1__Output *output);
    /* It is done, with code 0. */
    void (*done)(ps_job *job, ps_lease *lease, const Psd__V1__TaskResult *result);
    /* It is not going to be done under this lease: what is left must be given out again. failed:
     * the worker said so, and another may succeed (this may fail the job, at the third time);
     * otherwise the worker was lost or is stopping. */
    void (*back)(ps_job *job, ps_lease *lease, bool failed, const char *message);
    /* Do other workers wait for what this task does? Then it is taken from a worker whose
     * connection has ended much sooner than at the lease's timeout. NULL: never. */
    bool (*waited_for)(const ps_job *job, const ps_lease *lease);
    /* psd has done what it was asked to by ps_outbox_create or ps_finish_begin. NULL: never asked.
     */
    void (*answered)(ps_job *job);
    /* Fills what only the kind knows of record->progress. */
    void (*show)(ps_job *job);
    /* For checkpoints; NULL: a restart begins the job anew. load comes in place of start. */
    ps_status (*save)(ps_job *job, ps_buf *blob);
    ps_status (*load)(ps_job *job, ps_slice blob);
} ps_job_kind;

extern const ps_job_kind ps_job_kind_train;
extern const ps_job_kind ps_job_kind_evaluate;
extern const ps_job_kind ps_job_kind_predict;
extern const ps_job_kind ps_job_kind_generate;

/* NULL when there is none of that name. */
const ps_job_kind *ps_job_kind_find(const char *name);

/* How often one task may fail on workers before its job fails, and how often in a row workers may
 * be lost on it without a row done. */
enum { PS_TASK_FAILURES_MAX = 3, PS_TASK_LOSSES_MAX = 8 };

/* For kinds: counts a failure or a loss of the task in lease->piece (a failed one is given to
 * another worker, and not at once). true: it may be tried again; false: the job has been failed. */
bool ps_job_kind_retry(ps_job *job, ps_lease *lease, bool failed, const char *message);

#endif
