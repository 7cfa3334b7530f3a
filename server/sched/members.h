/* members: the workers of a job that are in its consistency controller. With the mutex. */
#ifndef PS_SCHED_MEMBERS_H
#define PS_SCHED_MEMBERS_H

#include "server/sched/core.h"

void ps_members_add(ps_job *job, const char *worker); /* it gets a training task, and enters */
/* Those without a training task of the job leave. */
void ps_members_leave_unused(ps_job *job);
void ps_members_leave_unused_of_all(ps_sched *sched);

#endif
