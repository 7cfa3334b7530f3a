/* model_merge: a stored model with what a job has trained of it (train.freeze) or beside it
 * (train.lora), or an adapter that was imported, in it: every tensor is as it is in that model's
 * file, but those that the store has, and those with an adapter, W + (alpha/rank)·B·A; these are
 * float32. Private to this folder. Blocks: off the loop. Any thread. */
#ifndef PS_FILES_MODEL_MERGE_H
#define PS_FILES_MODEL_MERGE_H

#include "common/conf/job_spec.h"
#include "common/model/model_forms.h"
#include "common/model/peft.h"
#include "server/files/model_header.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"

typedef struct ps_model_merge ps_model_merge;

/* Of the version of spec->initialize_from, and the store of its job; borrows all, the file stays
 * open. PS_NOT_FOUND: the model; PS_FAILED_PRECONDITION: what was trained is not of its tensors. */
PS_MUST_CHECK ps_status ps_model_merge_open(const ps_stored_files *files, const ps_job_spec *spec,
                                            const char *version, ps_param_store *store,
                                            ps_model_merge **out);
/* An adapter that came from elsewhere, as it is open: its pairs (common/model/peft.h), of the
 * tensors of that version of the model. All is borrowed, as long as the merge. */
typedef struct ps_model_adapter {
    const char *base, *version;
    int file;
    const ps_model_header *header;
    const ps_peft_pair *pairs;
    size_t n;
} ps_model_adapter;

/* The same, with the adapter's numbers in the place of the store's. */
PS_MUST_CHECK ps_status ps_model_merge_open_adapter(const ps_stored_files *files,
                                                    const ps_model_adapter *adapter,
                                                    ps_model_merge **out);
void ps_model_merge_close(ps_model_merge **merge); /* NULL is nothing */

/* The header of the model that was. */
const ps_safetensors *ps_model_merge_origin(const ps_model_merge *merge);
/* How each is stored then: [*n], valid as long as the merge. */
const ps_model_form *ps_model_merge_tensors(const ps_model_merge *merge, size_t *n);
/* All of them, in the writer's order. PS_NO_MEMORY; PS_INVALID_ARGUMENT: what comes of one is not
 * finite; PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_model_merge_write(ps_model_merge *merge, ps_safetensors_writer *writer);

#endif
