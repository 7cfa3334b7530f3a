/* moments_file: what a training's optimizer knew of its gradients at the end, left with the job as
 * moments.safetensors: of every tensor, under its name and shape, the mean square v of each
 * element's gradient, without bias, as BF16. ½·N·v·Δw² is then, to second order, what a change of a
 * parameter by Δw adds to the loss, with N the rows (for language models: tokens) that a gradient
 * was the mean of; its metadata say how many:
 *
 *     psd.moments   {"optimizer":"adamw","rows":128,"model":"NAME"}
 *
 * Blocks: off the loop. Any thread. */
#ifndef PS_FILES_MOMENTS_FILE_H
#define PS_FILES_MOMENTS_FILE_H

#include "server/files/stored_file.h"
#include "server/params/param_store.h"

#define PS_MOMENTS_FILE "moments.safetensors"
#define PS_MOMENTS_META "psd.moments"

typedef struct ps_moments_about {
    uint64_t job_id;
    const char *model, *optimizer;
    double rows; /* of a gradient, on average */
} ps_moments_about;

/* Of a store that has them (export.h); nobody pushes any more. Fails as an artifact's does. */
PS_MUST_CHECK ps_status ps_moments_file_store(const ps_stored_files *files, ps_param_store *store,
                                              const ps_moments_about *about);

#endif
