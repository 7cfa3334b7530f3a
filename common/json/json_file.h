/* json_file: a whole file of JSON in memory, and what stands in its place by mistake told as what
 * it is. Any thread, not on loops (not asserted: nothing here knows of them). */
#ifndef PS_JSON_JSON_FILE_H
#define PS_JSON_JSON_FILE_H

#include "common/base/disk.h"
#include "common/base/slice.h"
#include "common/base/status.h"

/* Appends the file to out, as it is. disk: NULL is the system's. PS_RESOURCE_EXHAUSTED: it has more
 * than `most` bytes; PS_CORRUPT, and a text that begins with path: it is empty, compressed, in
 * UTF-16, or a pointer of Git LFS. That the rest is JSON is its reader's to say. */
PS_MUST_CHECK ps_status ps_json_file_read(const ps_disk *disk, const char *path, size_t most,
                                          ps_buf *out);
/* Is the text, that of the file, one value of JSON? PS_CORRUPT that begins with path. */
PS_MUST_CHECK ps_status ps_json_file_check(const char *path, ps_slice text);

#endif
