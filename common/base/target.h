/* target: what stands at a path that somebody named for output, so that nothing is replaced but
 * regular files: links are followed to what they mean, pipes and character devices are written to,
 * and anything else is refused. Any thread. */
#ifndef PS_BASE_TARGET_H
#define PS_BASE_TARGET_H

#include "common/base/disk.h"

typedef struct ps_target {
    char *path;          /* where the links lead: a file is made or replaced here */
    int stream;          /* or this is written to (close); -1: not */
    bool there;          /* at path is a regular file, */
    ps_disk_owner owner; /* whose it is */
} ps_target;

/* "-" is standard output. PS_INVALID_ARGUMENT: a folder, a disk, a socket, or a pipe that nobody
 * reads. ps_target_clear afterwards. */
PS_MUST_CHECK ps_status ps_target_find(const char *given, ps_target *out);
void ps_target_clear(ps_target *target);
/* Only where the links lead, whether or not something is there; *out is the caller's. */
PS_MUST_CHECK ps_status ps_target_follow(const char *given, char **out);
/* Are both there, and one regular file? */
bool ps_target_same(const char *a, const char *b);
/* The descriptor of this process that a path for output means: "-" and /dev/stdout are 1, /dev/fd/3
 * is 3; -1: none. */
int ps_target_descriptor(const char *path);

#endif
