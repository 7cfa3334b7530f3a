/* model_spec: the model section of a job file: its keys and rules; private to common/conf (others
 * use the functions of job_spec.h). */
#ifndef PS_CONF_MODEL_SPEC_H
#define PS_CONF_MODEL_SPEC_H

#include "common/conf/model_keys.h"

/* Checks the rules across keys and fills in what follows from other keys (num_kv_heads,
 * intermediate_size, tie_embeddings). prefix is the section's path with its dot, "model.", or "".
 * PS_INVALID_ARGUMENT with file, line and key. */
PS_MUST_CHECK ps_status ps_spec_model_settle(ps_spec_model *model, const ps_conf_doc *doc,
                                             const char *prefix);

/* Is the section in text (hostile) this model, but for what the model leaves open and it does not?
 * *out is freed with ps_spec_model_free. PS_INVALID_ARGUMENT says what it is instead. */
PS_MUST_CHECK ps_status ps_spec_model_settled(const ps_spec_model *model, ps_slice text,
                                              ps_spec_model **out);

/* Does the section say what the stored model `name` is, in all but what matters for training alone
 * (dropout) and what it leaves open? Both are settled. PS_INVALID_ARGUMENT names every key that
 * differs, and both values. */
PS_MUST_CHECK ps_status ps_spec_model_match(const ps_spec_model *model, const ps_spec_model *origin,
                                            const char *name, const ps_conf_doc *doc);
/* Are they of one shape, and read and say the same? Of keys all but those that matter in a training
 * alone. PS_INVALID_ARGUMENT names the key: "its hidden_size is 64, not 128". */
PS_MUST_CHECK ps_status ps_spec_model_same(const ps_spec_model *model, const ps_spec_model *other);
/* After a match: what the model leaves open becomes the origin's, which has that of the model
 * instead. */
void ps_spec_model_take_open(ps_spec_model *model, ps_spec_model *origin);

#endif
