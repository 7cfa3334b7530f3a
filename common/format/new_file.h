/* new_file: a file that is there whole or not at all: it is written under a temporary name beside
 * its own, synced, and then takes the name. Calls block. Not thread-safe. */
#ifndef PS_FORMAT_NEW_FILE_H
#define PS_FORMAT_NEW_FILE_H

#include "common/base/slice.h"
#include "common/base/status.h"

typedef struct ps_new_file ps_new_file;

/* force: a file of that name is replaced at the end; without, PS_ALREADY_EXISTS, now or then. */
PS_MUST_CHECK ps_status ps_new_file_open(const char *path, bool force, ps_new_file **out);
PS_MUST_CHECK ps_status ps_new_file_write(ps_new_file *file, const void *data, size_t len);
/* Over bytes that were written before; the next write goes on at the end. */
PS_MUST_CHECK ps_status ps_new_file_overwrite(ps_new_file *file, uint64_t at, const void *data,
                                              size_t len);
uint64_t ps_new_file_bytes(const ps_new_file *file); /* written so far */
/* Syncs file and folder, and gives it its name. Frees *file in any case. */
PS_MUST_CHECK ps_status ps_new_file_finish(ps_new_file **file);
/* For giving up: nothing is left. NULL is allowed. */
void ps_new_file_drop(ps_new_file **file);

#endif
