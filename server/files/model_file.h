/* model_file: stored models: from parameters to a safetensors file and a row of the catalog, and
 * back. How file and row are kept together is in stored_file.h: after any failure, and a crash, the
 * model of before is still there. All of it blocks: off the loop. Any thread.
 */
#ifndef PS_FILES_MODEL_FILE_H
#define PS_FILES_MODEL_FILE_H

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/conf/job_spec.h"
#include "server/catalog/models.h"
#include "server/files/lineage.h"
#include "server/files/model_merge.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"
#include "server/sched/sched.h"

/* What a trained model is to be. */
typedef struct ps_model_trained {
    uint64_t job_id;
    const char *owner;       /* who submitted the job */
    const ps_job_spec *spec; /* with its model, */
    const char *settled; /* which its plan has settled so, as ps_spec_model_format; "": as it is */
    const char *origin;  /* the version of spec->initialize_from; "": none */
    const char *teacher; /* that of the model that taught it (spec->distil); "": none */
    const ps_job_file *job; /* for its lineage; NULL: a test's */
    uint64_t checkpoint;    /* the last one; 0: none */
    char **draft; /* not NULL: it becomes a version that no name means, which this is set to; freed
                     by the caller */
} ps_model_trained;

/* The store's tensors, or, of a job that trains a part of the model it began from or adapters
 * beside it, that model with these in it, become model spec->name of this job, with the metadata (a
 * tokenizer, say) of the model it began from; where it began from none, and its section names a
 * tokenizer, that of its teacher. */
PS_MUST_CHECK ps_status ps_model_file_store(const ps_stored_files *files, ps_param_store *store,
                                            const ps_model_trained *from,
                                            const ps_job_outcome *outcome);
/* Where a model of this name is to be. */
ps_stored_place ps_model_place(const char *name);
/* A file that is complete, and on disk, at place->incoming becomes the model of this owner; its
 * header is read again, and its numbers, which must be finite. config "": taken from the file's
 * metadata. from: what it was made of, of a job nothing. replaces false: PS_ALREADY_EXISTS when the
 * name is taken. PS_INVALID_ARGUMENT: not a model that psd can hold (which tensor, why). On failure
 * what is at `incoming` is the caller's to remove; it may be gone. */
PS_MUST_CHECK ps_status ps_model_file_adopt(const ps_stored_files *files,
                                            const ps_stored_place *place, const char *name,
                                            const char *config, const char *owner, bool replaces,
                                            const ps_lineage_from *from, ps_model_record **out);
/* The model with this configuration that a merge makes, with the metadata of the one that was, at
 * place->incoming. */
PS_MUST_CHECK ps_status ps_model_file_write(const ps_stored_files *files,
                                            const ps_stored_place *place, ps_model_merge *merge,
                                            const char *config);
/* For reading, from the start: this version of the model, "": the one that the name means now.
 * *opened (may be NULL) is which it is, freed by the caller. PS_NOT_FOUND. What was opened stays
 * whole though the model be replaced. */
PS_MUST_CHECK ps_status ps_model_file_open(const ps_stored_files *files, const char *name,
                                           const char *version, int *file, char **opened);
/* Fills the store with the values of a stored model, which must have the same tensors; those that
 * are in a form are decoded, and *remark, empty, becomes a line that says so. model: what the store
 * is of; where it is one that may be put classes behind, those tensors stay as they begin that the
 * stored one does not have. NULL: there are none. */
PS_MUST_CHECK ps_status ps_model_file_load(const ps_stored_files *files, const char *name,
                                           const char *version, const ps_spec_model *model,
                                           ps_param_store *store, ps_buf *remark);
/* The same of a store that has only some of the model's tensors. */
PS_MUST_CHECK ps_status ps_model_file_load_some(const ps_stored_files *files, const char *name,
                                                const char *version, const ps_spec_model *model,
                                                ps_param_store *store, ps_buf *remark);
/* The name means nothing any more; the file stays until no job uses it. */
PS_MUST_CHECK ps_status ps_model_file_delete(const ps_stored_files *files, const char *name);

/* With the lock of stored files: may this owner's model take the name? PS_PERMISSION_DENIED: it is
 * somebody else's. */
PS_MUST_CHECK ps_status ps_model_file_check_owner(const ps_stored_files *files, const char *name,
                                                  const char *owner);

/* Key of the file's metadata that holds the architecture. */
#define PS_MODEL_FILE_CONFIG "psd.model"

#endif
