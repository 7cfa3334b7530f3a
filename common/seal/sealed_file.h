/* sealed_file: one sealed file (stream.h) of a disk, written from the start to the end, and read at
 * any place:
 *
 *     writer: new ─▶ write … ─▶ finish (the last segment) ─▶ fsync and close are the caller's
 *     reader: new ─▶ read_at … ─▶ free
 *
 * Segments are sealed and opened on several threads at once while bytes come in order; a read at a
 * place of its own opens no more segments than its bytes lie in. Each is one thread's at a time
 * (not asserted: it is its maker's alone). Calls block. */
#ifndef PS_SEAL_SEALED_FILE_H
#define PS_SEAL_SEALED_FILE_H

#include "common/base/disk.h"
#include "common/seal/stream.h"

typedef struct ps_seal_writer ps_seal_writer;
typedef struct ps_seal_reader ps_seal_reader;

/* To `file` of the disk, which is empty and stays the caller's; of AES256_GCM_HKDF_1MB. */
ps_seal_writer *ps_seal_writer_new(const ps_disk *disk, int file, const ps_secret *key,
                                   ps_slice aad);
/* Failures are the disk's: then what was written is of no use, and every later call fails so, too.
 */
PS_MUST_CHECK ps_status ps_seal_writer_write(ps_seal_writer *writer, const void *bytes, size_t len);
/* Nothing is written after it; a second call does nothing. */
PS_MUST_CHECK ps_status ps_seal_writer_finish(ps_seal_writer *writer);
bool ps_seal_writer_is_finished(const ps_seal_writer *writer);
uint64_t ps_seal_writer_bytes(const ps_seal_writer *writer); /* plain ones so far */
void ps_seal_writer_free(ps_seal_writer **writer);           /* NULL is nothing */

/* PS_CORRUPT: the file is none, or was cut. Whether the key is its own shows when it is read. */
PS_MUST_CHECK ps_status ps_seal_reader_new(const ps_disk *disk, int file, const ps_secret *key,
                                           ps_slice aad, ps_seal_reader **out);
uint64_t ps_seal_reader_bytes(const ps_seal_reader *reader); /* plain ones, in all */
/* *got bytes at `at`: fewer than len only at the end. PS_RESOURCE_EXHAUSTED, at the first read:
 * those that are open hold too much (seal_memory.h). PS_CORRUPT: which segment does not
 * authenticate; nothing of it is given out. */
PS_MUST_CHECK ps_status ps_seal_reader_read(ps_seal_reader *reader, uint64_t at, void *out,
                                            size_t len, size_t *got);
uint64_t ps_seal_reader_opened(const ps_seal_reader *reader); /* segments so far, for tests */
void ps_seal_reader_free(ps_seal_reader **reader);            /* NULL is nothing */

#endif
