/* checkpoint: a job's parameters on disk, all of one instant, while pushes go on.
 *
 * The instant: new updates are held off until those under way are done and the small state is
 * copied (versions, replies of recent pushes, the controller's state, the caller's progress): the
 * pause is that of the longest update plus microseconds, and is reported. After it blocks are
 * written one by one; a push to one not yet written first puts its state of that instant aside,
 * within a budget of memory, and beyond that waits for the writer.
 *
 * Files of a folder (one folder a job): checkpoint-N (N counts up), manifest, a temporary name
 * while one is written, and checkpoint-N.damaged, which could not be used. Little-endian; every
 * section has a CRC32C. The newest few are kept.
 */
#ifndef PS_DURABLE_CHECKPOINT_H
#define PS_DURABLE_CHECKPOINT_H

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "server/params/param_store.h"

enum { PS_CHECKPOINT_KEEP = 2 };

typedef struct ps_checkpoint_info {
    uint64_t number;
    uint64_t version; /* updates in it */
    uint64_t bytes;
    uint64_t pause_ns; /* for how long updates were held off (write) */
    uint32_t damaged;  /* newer checkpoints that could not be used (load) */
} ps_checkpoint_info;

/* Called at the instant: appends the caller's progress. Short, takes no lock that a push or a clock
 * call might wait under. */
typedef void (*ps_checkpoint_progress)(void *user, ps_buf *out);

/* Writes the next checkpoint into folder (made when missing; its parent must exist). One at a time
 * for a store; PS_ABORTED when another is under way. Blocks: off the loop. On failure (PS_NO_SPACE,
 * PS_IO ...: with path and cause) the checkpoints there stay good and the job can go on; an error
 * of fsync gives up that file for good. progress and out may be NULL. keep 0: PS_CHECKPOINT_KEEP.
 */
PS_MUST_CHECK ps_status ps_checkpoint_write(const ps_disk *disk, const char *folder,
                                            ps_param_store *store, unsigned keep,
                                            ps_checkpoint_progress progress, void *user,
                                            ps_checkpoint_info *out);

/* The newest good checkpoint of the folder as a new store, and its progress appended to progress
 * (may be NULL). A damaged one is logged and kept as checkpoint-N.damaged, and the one before it
 * tried. host may be NULL: the defaults. PS_NOT_FOUND: there is none; PS_CORRUPT: none is good
 * (the message says what is wrong with the newest, and where). PS_FAILED_PRECONDITION: a newer psd
 * wrote the newest. Anything else (PS_IO, PS_NO_MEMORY, ...) passes. Neither says anything against
 * the checkpoints: they are as before, and it may be tried again. */
PS_MUST_CHECK ps_status ps_checkpoint_load(const ps_disk *disk, const char *folder,
                                           const ps_param_host *host, ps_param_store **store,
                                           ps_buf *progress, ps_checkpoint_info *out);

/* The newest one that is not known to be damaged could be read, and makes no sense to its user, for
 * this reason: from now on it is one of the damaged. */
PS_MUST_CHECK ps_status ps_checkpoint_set_aside(const ps_disk *disk, const char *folder,
                                                const char *why);

/* One file, as the loader reads it; for tests and the fuzzer. */
PS_MUST_CHECK ps_status ps_checkpoint_load_file(const ps_disk *disk, const char *path,
                                                const ps_param_host *host, ps_param_store **store,
                                                ps_buf *progress);

/* Adds the bytes of what the folder's manifest lists; there may be none. */
PS_MUST_CHECK ps_status ps_checkpoint_bytes(const ps_disk *disk, const char *folder,
                                            uint64_t *bytes);

/* Removes a job's folder with its checkpoints and manifest; what is not there is fine.
 * keep_damaged: what was kept as damaged stays, and the folder with it. Anything else in it stays,
 * and the folder then: PS_FAILED_PRECONDITION. Not while one is written. */
PS_MUST_CHECK ps_status ps_checkpoint_delete(const ps_disk *disk, const char *folder,
                                             bool keep_damaged);

#endif
