/* noise_file: the gradient noise scale of a training (server/record/noise.h) as an artifact of its
 * job, noise_scale.json; docs/record.md has it. Blocks: off the loop. */
#ifndef PS_FILES_NOISE_FILE_H
#define PS_FILES_NOISE_FILE_H

#include "server/files/stored_file.h"
#include "server/record/noise.h"

#define PS_NOISE_FILE "noise_scale.json"

/* Replaces what the job has. Fails as the disk does. */
PS_MUST_CHECK ps_status ps_noise_file_store(const ps_stored_files *files, uint64_t job_id,
                                            const ps_noise_scale *scale);

#endif
