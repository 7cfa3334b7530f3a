/* record_file: bytes that are only added to a file, and of which a prefix can be gone on with. One
 * thread at a time (not asserted: the record's, which has a lock). Blocks: off the loop. */
#ifndef PS_RECORD_RECORD_FILE_H
#define PS_RECORD_RECORD_FILE_H

#include "common/base/disk.h"

/* Of a file that is being made, behind its name. */
#define PS_RECORD_FILE_FRESH ".new"

typedef struct ps_record_file ps_record_file;

/* A new file that begins with head; or (position > 0) the first so many bytes of what is at path,
 * which must begin with head: copied beside it, so that it stays as it was until the copy has its
 * name. PS_CORRUPT: shorter, or another beginning. */
PS_MUST_CHECK ps_status ps_record_file_open(const ps_disk *disk, const char *path, ps_slice head,
                                            uint64_t position, ps_record_file **out);
void ps_record_file_close(ps_record_file **file); /* NULL is nothing */
/* With what an opening that was cut off has left beside it; nothing is there: PS_OK. */
PS_MUST_CHECK ps_status ps_record_file_remove(const ps_disk *disk, const char *path);
uint64_t ps_record_file_bytes(const ps_record_file *file); /* that were added whole */
/* After a failure the file is as it was before: what was written of it is behind its bytes, and
 * must be ended there. */
PS_MUST_CHECK ps_status ps_record_file_append(ps_record_file *file, ps_slice bytes);
/* Beside another thread that appends: what it has appended before is on disk. */
PS_MUST_CHECK ps_status ps_record_file_sync(ps_record_file *file);

#endif
