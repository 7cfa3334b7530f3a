/* checkpoint_file: one checkpoint as a file. Magic, then sections in this order: config, state
 * (version, number of blocks, rows that are in them), windows, controller, progress, every block,
 * end. Private to this folder; checkpoint.h is for everybody else. */
#ifndef PS_DURABLE_CHECKPOINT_FILE_H
#define PS_DURABLE_CHECKPOINT_FILE_H

#include "common/base/disk.h"
#include "server/params/snapshot.h"

/* Writes everything to the open file, without fsync. */
PS_MUST_CHECK ps_status ps_checkpoint_file_write(const ps_disk *disk, int file,
                                                 ps_param_store *store, ps_snapshot *snapshot,
                                                 uint64_t *bytes);
/* About how large the file will be. */
uint64_t ps_checkpoint_file_estimate(const ps_param_store *store);

#endif
