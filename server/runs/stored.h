/* stored: how much of data_dir is somebody's. Blocks: off the loop. Any thread. */
#ifndef PS_RUNS_STORED_H
#define PS_RUNS_STORED_H

#include "server/files/stored_file.h"

/* Bytes of the models that `who` (spiffe://…) owns, of the artifacts of its jobs, and of the
 * checkpoints of those that have not ended. */
PS_MUST_CHECK ps_status ps_stored_bytes_of(const ps_stored_files *files, const char *who,
                                           uint64_t *bytes);
/* The same of everybody, in one go: calls add with parts of it, as often as there are some. */
typedef void (*ps_stored_add)(void *user, const char *who, uint64_t bytes);
PS_MUST_CHECK ps_status ps_stored_bytes_all(const ps_stored_files *files, ps_stored_add add,
                                            void *user);

#endif
