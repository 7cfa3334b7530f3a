/* job_check: what no single key of a job file can say; private to common/conf. */
#ifndef PS_CONF_JOB_CHECK_H
#define PS_CONF_JOB_CHECK_H

#include "common/conf/conf.h"
#include "common/conf/job_spec.h"

/* origin: the stored model that the job works on or begins from, to compare what the file says
 * with; NULL: it is not known, or the job has it already. PS_INVALID_ARGUMENT with file, line and
 * key. */
PS_MUST_CHECK ps_status ps_job_check(const ps_job_spec *spec, const ps_spec_model *origin,
                                     const ps_conf_doc *doc);

#endif
