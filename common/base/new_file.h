/* new_file: the one way to write a file that somebody named: it is there whole or not at all. It is
 * written under a temporary name beside its own, synced, and then takes the name.
 *
 * A link's target is replaced, the link stays; what is replaced leaves its mode, and its owner and
 * group where we may give them. Pipes, character devices and "-" (standard output) are written to
 * (target.h): what comes there comes in order, but not whole when something fails.
 *
 * Calls block. Not thread-safe (not asserted: nobody knows of it but its maker). */
#ifndef PS_BASE_NEW_FILE_H
#define PS_BASE_NEW_FILE_H

#include "common/base/disk.h"
#include "common/base/slice.h"
#include "common/base/status.h"

typedef struct ps_new_file ps_new_file;

typedef struct ps_new_file_options {
    bool force;          /* a file of that name is replaced at the end; without, PS_ALREADY_EXISTS,
                            now or then */
    bool patched;        /* ps_new_file_overwrite will be called */
    bool secret;         /* others never get rights, whatever the file before gave them */
    unsigned mode;       /* of a file that was not there; 0: 0666 without the umask */
    const ps_disk *disk; /* NULL: ps_disk_system. A stream is written to by it, too, and ended by
                            its fsync */
} ps_new_file_options;

PS_MUST_CHECK ps_status ps_new_file_open(const char *path, const ps_new_file_options *options,
                                         ps_new_file **out);
PS_MUST_CHECK ps_status ps_new_file_write(ps_new_file *file, const void *data, size_t len);
/* Over bytes that were written before; the next write goes on at the end. */
PS_MUST_CHECK ps_status ps_new_file_overwrite(ps_new_file *file, uint64_t at, const void *data,
                                              size_t len);
uint64_t ps_new_file_bytes(const ps_new_file *file); /* written so far */
/* The name that it has until then, to be read by; NULL: it is a stream. */
const char *ps_new_file_temporary(const ps_new_file *file);
/* Nothing more is written: what a row of the disk has still held back of it goes into the file,
 * which can be read then. For who reads it before it is finished. */
PS_MUST_CHECK ps_status ps_new_file_end(ps_new_file *file);
/* Syncs file and folder, and gives it its name. Frees *file in any case. */
PS_MUST_CHECK ps_status ps_new_file_finish(ps_new_file **file);
/* For giving up: nothing is left. NULL is allowed. */
void ps_new_file_drop(ps_new_file **file);

/* All of it, in one call. */
PS_MUST_CHECK ps_status ps_new_file_save(const char *path, ps_slice bytes,
                                         const ps_new_file_options *options);

#endif
