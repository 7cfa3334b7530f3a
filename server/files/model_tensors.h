/* model_tensors: the tensors of a store as those of a model's file: one that is trained in a form
 * is stored in it, with the very blocks that a pull of the same numbers has; all others are
 * float32. Private to this folder. Off the loop. Any thread. */
#ifndef PS_FILES_MODEL_TENSORS_H
#define PS_FILES_MODEL_TENSORS_H

#include "common/model/model_forms.h"
#include "server/params/param_store.h"

/* How each is stored: [placement->n_tensors], the caller's (ps_free); borrows the names. */
ps_model_form *ps_model_tensors_of(const ps_placement *placement);

/* All of them, in the writer's order. Fails as ps_param_export and the writer do;
 * PS_INVALID_ARGUMENT: a number that its tensor's form cannot hold. */
PS_MUST_CHECK ps_status ps_model_tensors_write(ps_param_store *store,
                                               ps_safetensors_writer *writer);

#endif
