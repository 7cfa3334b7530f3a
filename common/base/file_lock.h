/* file_lock: one process at a time, by flock(2) on a file: who dies, gives it back. Any thread. */
#ifndef PS_BASE_FILE_LOCK_H
#define PS_BASE_FILE_LOCK_H

#include "common/base/status.h"

#include <stdbool.h>
#include <sys/types.h>

/* Opens path (flags: those of open(2) besides O_CREAT and O_CLOEXEC), which is made with `mode`
 * where there is none, and locks it: so, that the file still has its name then. close(2) gives it
 * back. PS_UNAVAILABLE, with no words on whose it is, after most_ms; PS_INVALID_ARGUMENT: a pipe or
 * the like is there. */
PS_MUST_CHECK ps_status ps_file_lock_open(const char *path, int flags, mode_t mode,
                                          unsigned most_ms, int *out);
/* For a file that is there only as long as somebody has it: gives it back, and its name first, as
 * who waits asks for the name again. One that has taken the name meanwhile stays. */
void ps_file_lock_remove(const char *path, int fd);
/* For the words: the process says in the file who it is, and another one reads it. 0: it is not
 * said. */
void ps_file_lock_say(int fd);
long ps_file_lock_process(const char *path);

#endif
