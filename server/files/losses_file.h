/* losses_file: what was measured of a training (server/record/losses.h) as two artifacts of its
 * job: loss_changes.safetensors, all of it, and loss_changes.json, what it comes to. docs/record.md
 * has both. Blocks: off the loop. */
#ifndef PS_FILES_LOSSES_FILE_H
#define PS_FILES_LOSSES_FILE_H

#include "server/files/stored_file.h"
#include "server/params/param_store.h"

#define PS_LOSSES_SUMMARY "loss_changes.json"

/* Replaces what the job has. Fails as the disk does. */
PS_MUST_CHECK ps_status ps_losses_file_store(const ps_stored_files *files, uint64_t job_id,
                                             ps_param_store *store);

#endif
