/* retry: a task that was not done is tried again, but not for ever. With the mutex. */
#ifndef PS_SCHED_KINDS_RETRY_H
#define PS_SCHED_KINDS_RETRY_H

#include "server/sched/core.h"

/* How often one task may fail on workers before its job fails, and how often in a row workers may
 * be lost on it without a row done. */
enum { PS_TASK_FAILURES_MAX = 3, PS_TASK_LOSSES_MAX = 8 };

/* Counts a failure or a loss of the task in lease->piece (a failed one is given to another worker,
 * and not at once). true: it may be tried again; false: the job has been failed. */
bool ps_task_retry(ps_job *job, ps_lease *lease, bool failed, const char *message);

#endif
