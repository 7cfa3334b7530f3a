/* lora_merge: a stored model with the adapters that a job has trained beside it (train.lora): every
 * tensor is as it is in that model's file, but those with an adapter, which are float32 then, W +
 * (alpha/rank)·B·A. Private to this folder. Blocks: off the loop. Any thread. */
#ifndef PS_FILES_LORA_MERGE_H
#define PS_FILES_LORA_MERGE_H

#include "common/conf/job_spec.h"
#include "common/model/model_forms.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"

typedef struct ps_lora_merge ps_lora_merge;

/* Of the version of spec->initialize_from, and adapters in the store; borrows all, the file stays
 * open. PS_NOT_FOUND: the model; PS_FAILED_PRECONDITION: an adapter is not of its tensors. */
PS_MUST_CHECK ps_status ps_lora_merge_open(const ps_stored_files *files, const ps_job_spec *spec,
                                           const char *version, ps_param_store *store,
                                           ps_lora_merge **out);
void ps_lora_merge_close(ps_lora_merge **merge); /* NULL is nothing */

/* How each is stored then: [*n], valid as long as the merge. */
const ps_model_form *ps_lora_merge_tensors(const ps_lora_merge *merge, size_t *n);
/* All of them, in the writer's order. PS_NO_MEMORY; PS_INVALID_ARGUMENT: what comes of one is not
 * finite; PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_lora_merge_write(ps_lora_merge *merge, ps_safetensors_writer *writer);

#endif
