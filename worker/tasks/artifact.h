/* artifact: a file that a task leaves with its job. */
#ifndef PS_TASKS_ARTIFACT_H
#define PS_TASKS_ARTIFACT_H

#include "worker/task/task.h"
#include "worker/tasks/spool.h"

/* Sends what is spooled, and names it in the result. It is psd's from then on, replacing what the
 * job had of that name; a task that fails later has left it all the same. PS_FAILED_PRECONDITION:
 * psd has no room for it. */
PS_MUST_CHECK ps_status ps_artifact_leave(ps_task_run *run, const char *name, ps_spool *spool,
                                          Psd__V1__TaskResult *result);

#endif
