/* settle: what a training job leaves to its data, found by its plan: the names of its classes,
 * and mean and deviation of its inputs. The task's thread. */
#ifndef PS_JOB_SETTLE_H
#define PS_JOB_SETTLE_H

#include "worker/job/job_cache.h"

/* Looks at the training data, if anything is left to them, and settles the entry's model. *model:
 * its section, as PlanResult.model; NULL: nothing was left, or is to be found; freed by the caller.
 * PS_INVALID_ARGUMENT: what the data have does not fit the model. */
PS_MUST_CHECK ps_status ps_train_settle(ps_job_entry *entry, ps_task_run *run, char **model);

#endif
