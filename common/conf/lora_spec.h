/* lora_spec: section `train.lora` of a job file: only low-rank adapters beside products of the
 * stored model that the job begins from are trained (common/arch/lora.h), and that model stays as
 * it is. Any thread. */
#ifndef PS_CONF_LORA_SPEC_H
#define PS_CONF_LORA_SPEC_H

#include "common/conf/conf.h"

typedef struct ps_job_spec ps_job_spec;

typedef struct ps_spec_lora {
    int64_t rank;   /* columns that the two matrices share */
    double alpha;   /* what they give is times alpha / rank */
    double dropout; /* of what goes into them, in training */
    char **targets; /* which products: words of ps_lora_means */
    size_t n_targets;
} ps_spec_lora;

extern const ps_conf_key ps_spec_lora_keys[];

double ps_spec_lora_scale(const ps_spec_lora *lora);

/* Rules across keys, for job_check.c. PS_INVALID_ARGUMENT with file, line and key. */
PS_MUST_CHECK ps_status ps_spec_lora_check(const ps_job_spec *spec, const ps_conf_doc *doc);

#endif
