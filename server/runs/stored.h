/* stored: how much of data_dir is somebody's. Blocks: off the loop. Any thread. */
#ifndef PS_RUNS_STORED_H
#define PS_RUNS_STORED_H

#include "server/files/stored_file.h"

/* Bytes of the models that `who` (spiffe://…) owns, of the artifacts of its jobs, and of the
 * checkpoints of those that have not ended. */
PS_MUST_CHECK ps_status ps_stored_bytes_of(const ps_stored_files *files, const char *who,
                                           uint64_t *bytes);

#endif
