/* frozen: the stored model whose activations are a job's data (data.activations), as a worker has
 * it: on the device while a data set is opened, and not longer. The task's thread. */
#ifndef PS_JOB_FROZEN_H
#define PS_JOB_FROZEN_H

#include "common/conf/job_spec.h"
#include "worker/data/activations.h"
#include "worker/task/task.h"

typedef struct ps_frozen ps_frozen;

/* Of the run's task, which came with its configuration; spec is borrowed. PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_frozen_create(const ps_task_run *run, const ps_job_spec *spec,
                                         ps_frozen **out);
void ps_frozen_free(ps_frozen **frozen); /* NULL is nothing */

const ps_spec_model *ps_frozen_model(const ps_frozen *frozen);

/* Loads it, if need be, and says what makes rows of it, but for `rows`, until ps_frozen_drop.
 * tokenizer: its own; 0: not known. Fails as ps_stored_model_load; PS_NO_MEMORY;
 * PS_INVALID_ARGUMENT: it has no such point. */
PS_MUST_CHECK ps_status ps_frozen_source(ps_frozen *frozen, ps_task_run *run,
                                         ps_dataset_source *out, uint64_t *tokenizer);
void ps_frozen_drop(ps_frozen *frozen); /* gives its memory back */

#endif
