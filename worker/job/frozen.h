/* frozen: the stored model whose activations are a job's data (data.activations), as a worker has
 * it: on the device while a data set is opened, and not longer, unless it is a lens's base, which
 * reads out by it. The task's thread. */
#ifndef PS_JOB_FROZEN_H
#define PS_JOB_FROZEN_H

#include "common/conf/job_spec.h"
#include "worker/data/activations.h"
#include "worker/models/model.h"
#include "worker/task/task.h"

typedef struct ps_frozen ps_frozen;

/* Of the run's task, which came with its configuration; spec is borrowed. model: the job's own.
 * PS_INVALID_ARGUMENT. */
PS_MUST_CHECK ps_status ps_frozen_create(const ps_task_run *run, const ps_job_spec *spec,
                                         const ps_spec_model *model, ps_frozen **out);
void ps_frozen_free(ps_frozen **frozen); /* NULL is nothing */

const ps_spec_model *ps_frozen_model(const ps_frozen *frozen);

/* Says what makes rows of it, but for `rows`, until ps_frozen_drop. It is loaded the first time; of
 * later ones when a row is made, which need not be: what a survey has made is kept until then.
 * tokenizer: its own; 0: not known. Fails as ps_stored_model_load; PS_NO_MEMORY;
 * PS_INVALID_ARGUMENT: it has no such point. */
PS_MUST_CHECK ps_status ps_frozen_source(ps_frozen *frozen, ps_task_run *run,
                                         ps_dataset_source *out, uint64_t *tokenizer);
void ps_frozen_drop(ps_frozen *frozen); /* gives its memory back; a base stays */

/* Of the base of a lens, loaded if need be: it, as long as `frozen`, and SHA-256 of its file. Fails
 * as ps_frozen_source, which says, too, if the lens was trained on another file:
 * PS_FAILED_PRECONDITION. */
PS_MUST_CHECK ps_status ps_frozen_base(ps_frozen *frozen, ps_task_run *run, ps_model **out);
const char *ps_frozen_sha256(const ps_frozen *frozen); /* "": not loaded yet */
bool ps_frozen_failed(const ps_frozen *frozen);        /* the device under it has */

#endif
