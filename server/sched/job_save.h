/* job_save: a job's state into the catalog, and what waits for that: its end. With the mutex. */
#ifndef PS_SCHED_JOB_SAVE_H
#define PS_SCHED_JOB_SAVE_H

#include "server/sched/core.h"

void ps_job_save(ps_job *job); /* writes the record as it is now, by the outbox */
/* It has ended: the outside is told, once the catalog knows. */
void ps_job_tell_ended(ps_job *job);

#endif
