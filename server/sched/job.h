/* job: its states, and what is said and shown of it. With the mutex. */
#ifndef PS_SCHED_JOB_H
#define PS_SCHED_JOB_H

#include "server/sched/core.h"

/* Takes record and file, which may be NULL. */
ps_job *ps_job_make(ps_sched *sched, ps_job_record *record, ps_job_file *file);
void ps_job_settle(ps_job *job, char **section); /* before its plan is acted on; takes the text */
void ps_job_start(ps_job *job);                  /* queued -> running */
/* Moves the state and saves it. reason and result may be NULL: as they are. An end takes the leases
 * and calls `ended`. */
void ps_job_move(ps_job *job, ps_job_state to, const char *reason, const char *result);
void ps_job_fail(ps_job *job, const char *format, ...) PS_PRINTF(2, 3);
void ps_job_cancel(ps_job *job, const char *text); /* queued or running: is to end */
/* cancelling -> cancelled, of those that hold no lease and wait for no answer any more; cheap when
 * nothing has changed. */
void ps_job_end_cancelled(ps_sched *sched);
void ps_job_say(ps_job *job, int level, const char *source, const char *format, ...)
    PS_PRINTF(4, 5);
void ps_job_show(ps_job *job); /* refreshes record->progress and, of a job that waits, ->reason */

/* One of psd's other parts answers: the job that waits for it, whose `waiting` is over; NULL:
 * nobody does any more. */
ps_job *ps_job_answered(ps_sched *sched, uint64_t job_id);

/* So long before what failed so often is tried again: 1, 2, 4, … s, then every minute. */
uint64_t ps_wait_s(uint32_t failed);
/* Why a running job does not go on. */
typedef struct ps_job_wait {
    const char *what, *why; /* "the model is not written yet", and the error */
    const char *kept;       /* "what was trained is kept" */
    uint32_t failed;        /* tries, at least 1 */
} ps_job_wait;
/* Makes it the job's reason, with what to do and when the next try is; returns that, which is the
 * record's. */
const char *ps_job_waits(ps_job *job, const ps_job_wait *wait);

#endif
