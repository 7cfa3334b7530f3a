/* finish: the model is written, again and again if need be; then comes the kind's `answered`. With
 * the mutex. */
#ifndef PS_SCHED_FINISH_H
#define PS_SCHED_FINISH_H

#include "server/sched/core.h"

void ps_finish_begin(ps_job *job, const ps_job_outcome *outcome); /* sets job->waiting */
/* The answer; error NULL: it is written. */
void ps_finish_answered(ps_sched *sched, uint64_t job_id, const ps_error *error);
/* The same of a draft: the job's, from now on. */
void ps_finish_drafted(ps_sched *sched, uint64_t job_id, const ps_error *error,
                       const ps_draft *draft);
void ps_finish_tick(ps_job *job, uint64_t now); /* of a running job */

#endif
