/* partly_check: of a job that trains a part of a stored model (train.freeze) or adapters beside it
 * (train.lora), whether what its words mean is there; known when it is submitted. Any thread. */
#ifndef PS_MODEL_PARTLY_CHECK_H
#define PS_MODEL_PARTLY_CHECK_H

#include "common/conf/job_spec.h"

typedef struct ps_partly_model {
    const char *name, *config; /* as it is stored */
    const char *const *tensors;
    size_t n;
} ps_partly_model;

/* Does the job train a part of the model that it begins from? */
bool ps_partly_asks(const ps_job_spec *spec);
/* PS_INVALID_ARGUMENT with file, line and key: a word that means nothing of the model, or nothing
 * is left to be trained. Any other job is fine. */
PS_MUST_CHECK ps_status ps_partly_check(const ps_job_spec *spec, const ps_partly_model *model,
                                        const ps_conf_doc *doc);

#endif
