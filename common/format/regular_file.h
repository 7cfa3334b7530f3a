/* regular_file: a file that somebody names, opened for reading only when it is one: no folder,
 * device or pipe. Any thread, as long as a descriptor is used by one at a time. */
#ifndef PS_FORMAT_REGULAR_FILE_H
#define PS_FORMAT_REGULAR_FILE_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* *fd is the caller's (close). size: in bytes. Messages begin with path. */
PS_MUST_CHECK ps_status ps_regular_open(const char *path, int *fd, uint64_t *size);
/* Bytes at to at + len - 1, which the file had when it was opened; PS_CORRUPT when it has become
 * shorter: files are somebody else's, and may change at any time. path: for messages. */
PS_MUST_CHECK ps_status ps_regular_read(int fd, const char *path, uint64_t at, void *out,
                                        size_t len);

#endif
