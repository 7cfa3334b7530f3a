/* compare_spec: section `compare` of a job file: the stored model that model_name's is compared
 * with; likewise explain.compare_to. Both are given the same rows; so they must read, and say, the
 * same. Any thread. */
#ifndef PS_CONF_COMPARE_SPEC_H
#define PS_CONF_COMPARE_SPEC_H

#include "common/conf/conf.h"

typedef struct ps_job_spec ps_job_spec;
typedef struct ps_spec_model ps_spec_model;

typedef struct ps_spec_compare {
    char *model; /* the other stored model's name */
} ps_spec_compare;

extern const ps_conf_key ps_spec_compare_keys[];

/* Rules across keys, for job_check.c. */
PS_MUST_CHECK ps_status ps_spec_compare_check(const ps_job_spec *spec, const ps_conf_doc *doc);

/* Can rows of the job's data go into both? model: model_name's. PS_INVALID_ARGUMENT: what is in
 * the way, as "model b: ...". A job that compares nothing: PS_OK. */
PS_MUST_CHECK ps_status ps_spec_compare_match(const ps_job_spec *spec, const ps_spec_model *model,
                                              const ps_spec_model *other);

#endif
