/* model_merge: a stored model with what a job has trained of it (train.freeze) or beside it
 * (train.lora) in it: every tensor is as it is in that model's file, but those that the store has,
 * and those with an adapter there, W + (alpha/rank)·B·A; these are float32. Private to this folder.
 * Blocks: off the loop. Any thread. */
#ifndef PS_FILES_MODEL_MERGE_H
#define PS_FILES_MODEL_MERGE_H

#include "common/conf/job_spec.h"
#include "common/model/model_forms.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"

typedef struct ps_model_merge ps_model_merge;

/* Of the version of spec->initialize_from, and the store of its job; borrows all, the file stays
 * open. PS_NOT_FOUND: the model; PS_FAILED_PRECONDITION: what was trained is not of its tensors. */
PS_MUST_CHECK ps_status ps_model_merge_open(const ps_stored_files *files, const ps_job_spec *spec,
                                            const char *version, ps_param_store *store,
                                            ps_model_merge **out);
void ps_model_merge_close(ps_model_merge **merge); /* NULL is nothing */

/* How each is stored then: [*n], valid as long as the merge. */
const ps_model_form *ps_model_merge_tensors(const ps_model_merge *merge, size_t *n);
/* All of them, in the writer's order. PS_NO_MEMORY; PS_INVALID_ARGUMENT: what comes of one is not
 * finite; PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_model_merge_write(ps_model_merge *merge, ps_safetensors_writer *writer);

#endif
