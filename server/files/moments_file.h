/* moments_file: what a training's optimizer knew of its gradients at the end, left with the job as
 * moments.safetensors: of every tensor, under its name and shape, the variance v of each
 * element's gradient, without bias, as BF16. ½·N·v·Δw² is then, to second order, what a change of a
 * parameter by Δw adds to the loss, with N the rows (for language models: tokens) that a gradient
 * was the mean of; its metadata say how many (common/compress/moments.h):
 *
 *     psd.moments   {"optimizer":"adamw","rows":128,"sequence_length":0,"model":"NAME"}
 *
 * Blocks: off the loop. Any thread. */
#ifndef PS_FILES_MOMENTS_FILE_H
#define PS_FILES_MOMENTS_FILE_H

#include "common/compress/moments.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"

typedef struct ps_moments_about {
    uint64_t job_id;
    const char *model, *optimizer;
    double rows;             /* of a gradient, on average */
    int64_t sequence_length; /* of each, in tokens; 0: as the model has it */
} ps_moments_about;

/* Of a store that has them (export.h); nobody pushes any more. Fails as an artifact's does. */
PS_MUST_CHECK ps_status ps_moments_file_store(const ps_stored_files *files, ps_param_store *store,
                                              const ps_moments_about *about);
/* Those of the training that made a version of a model ("": what the name means now), for reading,
 * and which version that is, the caller's. PS_NOT_FOUND: the model, or it has none. */
PS_MUST_CHECK ps_status ps_moments_file_open(const ps_stored_files *files, const char *model,
                                             const char *version, int *file, char **which);

#endif
