/* train_keys: the keys of a train section that its parameter store is made from: of a job file
 * (job_spec.c), and of a checkpoint (store_spec.c). Private to common/conf. */
#ifndef PS_CONF_TRAIN_KEYS_H
#define PS_CONF_TRAIN_KEYS_H

#include "common/conf/job_spec.h"

extern const ps_conf_key ps_spec_optimizer_keys[];
extern const ps_conf_key ps_spec_schedule_keys[];
extern const ps_conf_key ps_spec_consistency_keys[];

/* Of this optimizer, or of all; not one that others have alone. */
bool ps_spec_optimizer_takes(const ps_spec_optimizer *optimizer, const char *key);
/* Defaults that are the optimizer's own, where the document has none; prefix: of its keys, such as
 * "train.optimizer". */
void ps_spec_optimizer_settle(ps_spec_optimizer *optimizer, const ps_conf_doc *doc,
                              const char *prefix);
/* PS_INVALID_ARGUMENT: the document has a key that is another optimizer's. */
PS_MUST_CHECK ps_status ps_spec_optimizer_check(const ps_spec_optimizer *optimizer,
                                                const ps_conf_doc *doc, const char *prefix);

#endif
