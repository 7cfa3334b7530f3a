/* job_inputs: a job's data and the numbers that a model keeps of its inputs; private to common/conf
 * (others use the functions of job_spec.h). */
#ifndef PS_CONF_JOB_INPUTS_H
#define PS_CONF_JOB_INPUTS_H

#include "common/conf/job_spec.h"

/* Does the file say what can be done, and nothing that contradicts the model: the job's own, or the
 * stored one that it works on or begins from (NULL: not known)? PS_INVALID_ARGUMENT with file, line
 * and key. */
PS_MUST_CHECK ps_status ps_job_inputs_check(const ps_job_spec *spec, const ps_spec_model *model,
                                            const ps_conf_doc *doc);

#endif
