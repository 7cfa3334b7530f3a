/* job_model: from a job file's model to one that can be made on this machine. Any thread. */
#ifndef PS_JOB_JOB_MODEL_H
#define PS_JOB_JOB_MODEL_H

#include "common/conf/job_spec.h"
#include "gpu/backend.h"
#include "worker/models/model.h"

/* The job file's model as the table of models wants it; borrows. */
ps_model_config ps_job_model_config(const ps_spec_model *model);

/* Is there memory for its parameters, and for their gradients unless it is for inference? name is
 * for the message; options has inference, or decode, and forms. PS_NO_MEMORY: what it needs, and
 * what there is. */
PS_MUST_CHECK ps_status ps_job_model_room(const char *name, const ps_model_config *config,
                                          const ps_model_options *options,
                                          const ps_backend *backend);

#endif
