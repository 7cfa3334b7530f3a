/* age_file: an age file of a disk (age_header.h, age_payload.h), written from the start to the end,
 * and read at any place, a chunk of it in memory at a time:
 *
 *     writer: new (the header) ─▶ write … ─▶ finish (the last chunk) ─▶ fsync and close are the
 *             caller's
 *     reader: new (the header, and the last chunk) ─▶ read … ─▶ free
 *
 * Nothing is given out of a chunk that does not authenticate, and nothing at all of a file whose
 * end is missing: the last chunk says that it is the last, and so how long the file is. Each is one
 * thread's at a time (not asserted: it is its maker's alone). Calls block. */
#ifndef PS_AGE_AGE_FILE_H
#define PS_AGE_AGE_FILE_H

#include "common/age/age_keys.h"
#include "common/base/disk.h"

typedef struct ps_age_writer ps_age_writer;
typedef struct ps_age_reader ps_age_reader;

/* To `file` of the disk, which is empty and stays the caller's. Failures are the disk's; after one
 * every call fails, for the same reason. */
PS_MUST_CHECK ps_status ps_age_writer_new(const ps_disk *disk, int file,
                                          const ps_age_recipients *recipients, ps_age_writer **out);
PS_MUST_CHECK ps_status ps_age_writer_write(ps_age_writer *writer, const void *bytes, size_t len);
/* Nothing is written after it; a second call says what the first one did. */
PS_MUST_CHECK ps_status ps_age_writer_finish(ps_age_writer *writer);
uint64_t ps_age_writer_bytes(const ps_age_writer *writer);     /* plain ones so far */
const uint8_t *ps_age_writer_key(const ps_age_writer *writer); /* of the file, which is secret */
void ps_age_writer_free(ps_age_writer **writer);               /* NULL is nothing */

/* By an identity; or by the file's own key, for who has just written it: then identities is NULL,
 * and else key. Fails as ps_age_header_read does, or with PS_CORRUPT: it was cut. */
PS_MUST_CHECK ps_status ps_age_reader_new(const ps_disk *disk, int file,
                                          const ps_age_identities *identities, const uint8_t *key,
                                          ps_age_reader **out);
uint64_t ps_age_reader_bytes(const ps_age_reader *reader); /* plain ones, in all */
/* *got bytes at `at`: fewer than len only at the end. PS_CORRUPT: which chunk does not
 * authenticate. */
PS_MUST_CHECK ps_status ps_age_reader_read(ps_age_reader *reader, uint64_t at, void *out,
                                           size_t len, size_t *got);
void ps_age_reader_free(ps_age_reader **reader); /* NULL is nothing */

#endif
