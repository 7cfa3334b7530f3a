/* stored_model: a stored model's parameters into a model on this device, out of the safetensors
 * stream of Models.Export. Nothing of it is held twice: bytes go from the stream to their tensor,
 * by two small pieces of pinned memory where the device has memory of its own (staging.h). Tensors
 * that are stored in a form stay in it: the check says in which, and the model is made so; but
 * float32 may become bfloat16 (narrow.h).
 */
#ifndef PS_JOB_STORED_MODEL_H
#define PS_JOB_STORED_MODEL_H

#include "worker/job/stored_stream.h"
#include "worker/models/model.h"

/* Only whether the file's tensors are those of the architecture, and *forms that they are in, for
 * ps_model_options: [parameters of the layout], the caller's (ps_free); NULL when all are float32.
 * The stream is let go after its header. Fails as _load does; PS_INVALID_ARGUMENT: config. */
PS_MUST_CHECK ps_status ps_stored_model_check(ps_remote *remote, const ps_stored_model *which,
                                              const ps_model_config *config, ps_form **forms);

/* Matrices that are float32 in the file are to be bfloat16 in the model, rounded to nearest: in
 * *forms, which is made where it is NULL. PS_INVALID_ARGUMENT: config. */
PS_MUST_CHECK ps_status ps_stored_model_narrow(const ps_model_config *config, ps_form **forms);

/* forms: what the model was made with. PS_NOT_FOUND: no such model; PS_FAILED_PRECONDITION: it is
 * not that version, or its tensors are not the model's (which one, what is wanted, what is there);
 * PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_stored_model_load(ps_remote *remote, const ps_stored_model *which,
                                             const ps_form *forms, ps_model *model);
/* The same of a model that was made without forms, whatever forms the file has: every number is
 * decoded. sha256 (may be NULL): of the file. */
PS_MUST_CHECK ps_status ps_stored_model_load_whole(ps_remote *remote, const ps_stored_model *which,
                                                   ps_model *model, char sha256[PS_DIGEST_TEXT]);

#endif
