/* source: a data file's bytes in order, plain or gzip (told apart by the first bytes). Errors name
 * the file and the byte: of what comes out, or, where gzip is damaged, of the file. Other
 * compressed or foreign files are refused by name (foreign.h). Not thread-safe (not asserted: it is
 * its reader's alone). */
#ifndef PS_FORMAT_SOURCE_H
#define PS_FORMAT_SOURCE_H

#include "common/base/slice.h"
#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_source ps_source;

/* Folders, devices and pipes are refused. */
PS_MUST_CHECK ps_status ps_source_open(const char *path, ps_source **out);
/* For what a person names on a command line: pipes and devices are read too, and "-" is standard
 * input. It waits for whoever writes there. */
PS_MUST_CHECK ps_status ps_source_open_any(const char *path, ps_source **out);
void ps_source_close(ps_source **source);
const char *ps_source_path(const ps_source *source);
uint64_t ps_source_offset(const ps_source *source); /* bytes read so far */
/* No more than so many bytes can come out: the file's size, or what gzip could make of it. */
uint64_t ps_source_most(const ps_source *source);
/* PS_CORRUPT when the first bytes are those of another kind of file; for who does not take any. */
PS_MUST_CHECK ps_status ps_source_check_foreign(const ps_source *source);
/* Up to len bytes; *got is 0 at the end. PS_CORRUPT when gzip is damaged, cut, or followed by
 * anything but gzip or zeros, and at the end when the file has changed since it was opened. */
PS_MUST_CHECK ps_status ps_source_read(ps_source *source, void *out, size_t len, size_t *got);
/* Exactly len bytes; PS_CORRUPT "truncated" when there are fewer. */
PS_MUST_CHECK ps_status ps_source_read_exactly(ps_source *source, void *out, size_t len);
/* PS_CORRUPT when there is more. */
PS_MUST_CHECK ps_status ps_source_expect_end(ps_source *source);

#endif
