/* sealed_log: a sealed file that grows, and that is on disk up to a point while it does: parts,
 * each a stream of its own (stream.h) of the file's key, with salt and nonces of its own:
 *
 *     u64 little-endian bytes of the stream that follows | stream | u64 | stream | …
 *
 * A part's associated data are the file's and its number, so parts keep their order. A last part
 * that is cut is none: it was being written. What is behind the last flush is in memory alone. One
 * thread at a time, but that a flush may run beside a write (its own lock). Calls block. */
#ifndef PS_SEAL_SEALED_LOG_H
#define PS_SEAL_SEALED_LOG_H

#include "common/base/disk.h"
#include "common/seal/stream.h"

enum { PS_SEALED_LOG_PART = 1 << 20 }; /* plain bytes of one, at most */

typedef struct ps_sealed_log ps_sealed_log;

/* To write: `file` of the disk is empty and stays the caller's. */
ps_sealed_log *ps_sealed_log_new(const ps_disk *disk, int file, const ps_secret *key, ps_slice aad);
/* To read. PS_CORRUPT: a length that is none. */
PS_MUST_CHECK ps_status ps_sealed_log_open(const ps_disk *disk, int file, const ps_secret *key,
                                           ps_slice aad, ps_sealed_log **out);
void ps_sealed_log_free(ps_sealed_log **log); /* NULL is nothing; what was not flushed is lost */
bool ps_sealed_log_is_read(const ps_sealed_log *log);
uint64_t ps_sealed_log_bytes(ps_sealed_log *log); /* plain ones, of whole parts and not flushed */
/* After a failure every write and flush fails: bytes that were taken before may be lost. */
PS_MUST_CHECK ps_status ps_sealed_log_write(ps_sealed_log *log, const void *bytes, size_t len);
/* What was written before is in the file, which is the caller's to sync. */
PS_MUST_CHECK ps_status ps_sealed_log_flush(ps_sealed_log *log);
/* *got bytes at `at`: one at least, but at the end; never more than to the end of a part.
 * PS_CORRUPT: which part does not authenticate. */
PS_MUST_CHECK ps_status ps_sealed_log_read(ps_sealed_log *log, uint64_t at, void *out, size_t len,
                                           size_t *got);

#endif
