/* job_kind: what a running job of a kind has to be done, task by task: a row of hooks for the job,
 * and one for each kind of task that workers do for it. The scheduler knows kinds by these only;
 * they are in kinds/, where a new kind is a new file and a word in kinds.h.
 *
 * All hooks are called with the scheduler's mutex held (not asserted here: what they call asks) and
 * must not touch disk or network; they say what happens to the job by ps_job_fail, ps_job_move,
 * ps_create_begin and ps_finish_begin. */
#ifndef PS_SCHED_JOB_KIND_H
#define PS_SCHED_JOB_KIND_H

#include "common/base/buf.h"
#include "common/conf/job_spec.h"
#include "server/catalog/catalog.h"
#include "server/sched/output.h"
#include "server/sched/sched.h"
#include "server/sched/task.h"
#include "server/sched/task_result.h"

typedef struct ps_job ps_job;
typedef struct ps_worker ps_worker;
typedef struct ps_lease ps_lease;
typedef struct ps_parcel ps_parcel;

/* What workers are asked for under one name, for jobs of one kind. */
typedef struct ps_task_kind {
    const char *name;   /* as on the wire: "train" */
    const char *phrase; /* "a train task", for a sentence */
    const char *also;   /* a worker that does tasks of this name does these, too; NULL: none */
    bool trains;        /* its rows are booked (book.h), its worker is a member of the controller */
    bool late;          /* goes out behind what was decided with it (send.h) */
    bool optional;      /* its job can do without it: any failure of it goes to `back` */
    /* Of one that trains: the tensor, by its number in the job's store, that its pushes set and no
     * other's (ledger.h). NULL: none. */
    uint32_t (*sets)(const ps_lease *lease);
    /* What only this kind's tasks have: into parcel->task. May be NULL. */
    void (*fill)(const ps_lease *lease, ps_parcel *parcel);
    /* The worker is further on. May be NULL. */
    void (*progress)(ps_job *job, ps_lease *lease, const ps_task_report *report);
    /* The worker has generated more. May be NULL. */
    void (*output)(ps_job *job, ps_lease *lease, const ps_tokens *output);
    /* It is done, with code 0: what the result means. What is taken over of it becomes NULL. */
    void (*done)(ps_job *job, ps_lease *lease, ps_task_result *result);
    /* It is not going to be done under this lease: what is left must be given out again. failed:
     * the worker said so, and another may succeed (this may fail the job, at the third time), or
     * the kind is optional;
     * otherwise the worker was lost (message "") or is stopping. */
    void (*back)(ps_job *job, ps_lease *lease, bool failed, const char *message);
    /* Do other workers wait for what this task does? Then it is taken from a worker whose
     * connection has ended much sooner than at the lease's timeout. NULL: never. */
    bool (*waited_for)(const ps_job *job);
} ps_task_kind;

typedef struct ps_job_kind {
    const char *name;         /* as in the job file */
    const ps_task_kind *task; /* what a worker must do to be of use to it */
    /* Works on a stored model: its tasks may run beside a training, and go first. */
    bool inference;
    /* A worker keeps the model of its last such task loaded: the next on that model goes there. */
    bool keeps_model;
    /* At submission, without the mutex: what can be known to be wrong by now. model: of the stored
     * model that the job uses, NULL: none. May be NULL. */
    ps_status (*check)(const ps_job_spec *spec, const ps_spec_model *model);
    /* The job begins to run: sets job->work. */
    void (*start)(ps_job *job);
    void (*free)(void *work);
    /* A task for this worker, which has a free slot and fewer leases than others: fills task->kind
     * and task->piece. false: there is none for it now. */
    bool (*next)(ps_job *job, ps_worker *worker, ps_lease *task);
    /* psd has done what it was asked to by ps_create_begin or ps_finish_begin. NULL: never asked.
     */
    void (*answered)(ps_job *job);
    /* The same of ps_finish_begin with an outcome that drafts. NULL: never asked. */
    void (*drafted)(ps_job *job, const ps_draft *draft);
    /* Fills what only the kind knows of record->progress. */
    void (*show)(ps_job *job);
    /* For checkpoints; NULL: a restart begins the job anew. load comes in place of start. What save
     * gives begins with its version, a word, of which `saves` is the newest that load knows. */
    uint32_t saves;
    ps_status (*save)(ps_job *job, ps_buf *blob);
    ps_status (*load)(ps_job *job, ps_slice blob);
} ps_job_kind;

/* The row of that name; NULL when there is none. kinds: as in ps_sched_conf. */
const ps_job_kind *ps_job_kind_find(const ps_job_kind *const *kinds, const char *name);

#endif
