/* train_form: what train.weights and train.group say; private to common/conf (others use the
 * functions of job_spec.h). */
#ifndef PS_CONF_TRAIN_FORM_H
#define PS_CONF_TRAIN_FORM_H

#include "common/conf/job_spec.h"

/* Can the job's model be trained so? PS_INVALID_ARGUMENT with file, line and key. */
PS_MUST_CHECK ps_status ps_train_form_check(const ps_job_spec *spec, const ps_conf_doc *doc);

#endif
