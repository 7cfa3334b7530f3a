/* whole_file: the one way to write a file that is there whole or not at all, whatever fails and
 * whenever power is lost:
 *
 *     open ─▶ bytes ─▶ place: fsync, rename, fsync of the folder
 *       │       ├────▶ keep: fsync; for who gives it its name later
 *       └───────┴────▶ drop: nothing is left
 *
 * The bytes go to a temporary file through the disk's table (ps_disk_write_all and whatever else).
 * It is always a new one: after a failed fsync the same file must not be tried again (disk.h). For
 * what a person named, links, modes and owners included, see new_file.h.
 *
 * Failures are the disk's. Calls block. Not thread-safe (not asserted: nobody knows of it but its
 * maker). */
#ifndef PS_BASE_WHOLE_FILE_H
#define PS_BASE_WHOLE_FILE_H

#include "common/base/disk.h"

typedef struct ps_whole_file ps_whole_file;

/* At a temporary name that is ours alone: what a crash left there is removed. Mode 0600. path: the
 * name that it will get, from _place or from a rename; a disk that seals binds the bytes to it. */
PS_MUST_CHECK ps_status ps_whole_file_open(const ps_disk *disk, const char *temporary,
                                           const char *path, ps_whole_file **out);
/* At a name beside path that nobody has: in a folder that is not ours. mode: PS_DISK_CREATE or
 * PS_DISK_CREATE_OPEN. */
PS_MUST_CHECK ps_status ps_whole_file_open_beside(const ps_disk *disk, const char *path,
                                                  ps_disk_mode mode, ps_whole_file **out);
int ps_whole_file_handle(const ps_whole_file *file); /* the disk's */
const char *ps_whole_file_temporary(const ps_whole_file *file);

/* Gives it the name path, one that is taken only with replace (otherwise PS_ALREADY_EXISTS). The
 * failure "… is there, but may not outlast a power failure" is the folder's fsync: the name is
 * given. Frees *file in any case. */
PS_MUST_CHECK ps_status ps_whole_file_place(ps_whole_file **file, const char *path, bool replace);
/* It stays at its temporary name, whole and on disk. Frees *file in any case. */
PS_MUST_CHECK ps_status ps_whole_file_keep(ps_whole_file **file);
/* For giving up: it is removed. Leaves this thread's message alone; NULL is allowed. */
void ps_whole_file_drop(ps_whole_file **file);

/* All of it in one call; the temporary name is path.tmp. A file of that name is replaced. */
PS_MUST_CHECK ps_status ps_whole_file_save(const ps_disk *disk, const char *path, ps_slice bytes);

/* What is at `from`, a file or a folder that is on disk, gets the name `to`, for good. As _place.
 */
PS_MUST_CHECK ps_status ps_whole_file_name(const ps_disk *disk, const char *from, const char *to,
                                           bool replace);

#endif
