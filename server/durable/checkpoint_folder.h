/* checkpoint_folder: what is in a job's folder of checkpoints. checkpoint-7 is the seventh;
 * checkpoint-7.damaged is one that could not be used, kept for people to look at. Private to this
 * folder of the source; checkpoint.h is for everybody else. */
#ifndef PS_DURABLE_CHECKPOINT_FOLDER_H
#define PS_DURABLE_CHECKPOINT_FOLDER_H

#include "common/base/disk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PS_CHECKPOINT_PREFIX    "checkpoint-"
#define PS_CHECKPOINT_TEMPORARY "checkpoint.tmp"
#define PS_CHECKPOINT_DAMAGED   ".damaged"

typedef struct ps_checkpoint_numbers {
    uint64_t *list; /* newest first */
    size_t n, capacity;
} ps_checkpoint_numbers;

typedef struct ps_checkpoint_found {
    ps_checkpoint_numbers good, damaged; /* by their names: nothing has been read */
} ps_checkpoint_found;

/* PS_NOT_FOUND: there is no such folder. Free *out in any case. */
PS_MUST_CHECK ps_status ps_checkpoint_find(const ps_disk *disk, const char *folder,
                                           ps_checkpoint_found *out);
void ps_checkpoint_found_free(ps_checkpoint_found *found);
bool ps_checkpoint_is_damaged(const ps_checkpoint_found *found, uint64_t number);
char *ps_checkpoint_path(const char *folder, uint64_t number); /* the caller's */

#endif
