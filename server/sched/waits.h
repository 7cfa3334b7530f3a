/* waits: why a job is queued, or runs and no worker does anything for it. With the mutex. */
#ifndef PS_SCHED_WAITS_H
#define PS_SCHED_WAITS_H

#include "server/sched/core.h"

enum { PS_WAITS_MAX = 192 };
/* As a line for people; "": it does not wait. */
void ps_job_waits_for(const ps_job *job, char out[PS_WAITS_MAX]);

#endif
