/* job_model: from a job file's model to one that can be made on this machine. Any thread. */
#ifndef PS_JOB_JOB_MODEL_H
#define PS_JOB_JOB_MODEL_H

#include "common/conf/job_spec.h"
#include "gpu/backend.h"
#include "worker/models/model.h"

/* The job file's model as the table of models wants it; borrows. */
ps_model_config ps_job_model_config(const ps_spec_model *model);
/* The same of a job's own model: with the adapters that it trains, and what it freezes. Borrows the
 * job, too. */
ps_model_config ps_job_trained_config(const ps_job_spec *spec, const ps_spec_model *model);

/* A model that is to be made. */
typedef struct ps_job_model_need {
    const char *name; /* for messages */
    const ps_model_config *config;
    const ps_model_options *options; /* inference, decode, explain, forms are looked at */
    uint64_t activations; /* bytes that it needs besides, where they are known; explain */
    const struct ps_job_model_need *beside; /* one that is needed together with it; NULL: none */
} ps_job_model_need;

/* Is there memory for the parameters, and for their gradients unless they are for inference?
 * PS_NO_MEMORY: what it needs, and what there is. */
PS_MUST_CHECK ps_status ps_job_model_room(const ps_job_model_need *need, const ps_backend *backend);

#endif
