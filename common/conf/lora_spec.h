/* lora_spec: what of a stored model a job trains that begins from it, if not all: section
 * `train.lora` of a job file, only low-rank adapters beside its products (common/arch/lora.h), and
 * `train.freeze`, all but some parameters. The rest stays as it is. Any thread. */
#ifndef PS_CONF_LORA_SPEC_H
#define PS_CONF_LORA_SPEC_H

#include "common/conf/conf.h"

typedef struct ps_job_spec ps_job_spec;
typedef struct ps_spec_train ps_spec_train;

typedef struct ps_spec_lora {
    int64_t rank;   /* columns that the two matrices share */
    double alpha;   /* what they give is times alpha / rank */
    double dropout; /* of what goes into them, in training */
    char **targets; /* which products: words of ps_lora_means */
    size_t n_targets;
} ps_spec_lora;

extern const ps_conf_key ps_spec_lora_keys[];

double ps_spec_lora_scale(const ps_spec_lora *lora);

/* Are not all of the model's parameters the job's? NULL: no. */
bool ps_spec_train_partly(const ps_spec_train *train);

/* Does a word of train.freeze mean the parameter of this name? The name itself, what it begins with
 * up to a dot, "h.0", or a pattern with '*'. */
bool ps_spec_freeze_means(const char *word, const char *name);

/* Rules across keys, for job_check.c. PS_INVALID_ARGUMENT with file, line and key. */
PS_MUST_CHECK ps_status ps_spec_lora_check(const ps_job_spec *spec, const ps_conf_doc *doc);

#endif
