/* model_file: a stored model: its safetensors file in the data folder and its row in the catalog.
 *
 * A file is written under a name of its own (models/NAME.JOB.safetensors) with fsync and rename,
 * then the row is replaced in one transaction, then the old file is removed: whoever reads the row
 * finds a whole file. All of it blocks: off the loop. Any thread.
 */
#ifndef PS_RUNS_MODEL_FILE_H
#define PS_RUNS_MODEL_FILE_H

#include "common/base/disk.h"
#include "common/conf/job_spec.h"
#include "common/format/safetensors.h"
#include "server/catalog/models.h"
#include "server/params/param_store.h"
#include "server/sched/sched.h"

typedef struct ps_model_files {
    const ps_disk *disk;
    const char *data_dir;
    ps_catalog *catalog;
    ps_clock clock;
} ps_model_files;

/* The store's tensors become model spec->name of this job. */
PS_MUST_CHECK ps_status ps_model_file_store(const ps_model_files *files, ps_param_store *store,
                                            uint64_t job_id, const ps_job_spec *spec,
                                            const ps_job_outcome *outcome);
/* A file that is complete at data_dir/path becomes the model; its header is parsed again. config
 * "": taken from the file's metadata. replace false: PS_ALREADY_EXISTS when the name is taken.
 * PS_INVALID_ARGUMENT: not a model that psd can hold (which tensor, why). */
PS_MUST_CHECK ps_status ps_model_file_adopt(const ps_model_files *files, const char *path,
                                            const char *name, const char *config, bool replace,
                                            ps_model_record **out);
/* Fills the store with the values of a stored model, which must have the same tensors. */
PS_MUST_CHECK ps_status ps_model_file_load(const ps_model_files *files, const char *name,
                                           ps_param_store *store);
/* Row first, then file. */
PS_MUST_CHECK ps_status ps_model_file_delete(const ps_model_files *files, const char *name);

/* Key of the file's metadata that holds the architecture. */
#define PS_MODEL_FILE_CONFIG "psd.model"

#endif
