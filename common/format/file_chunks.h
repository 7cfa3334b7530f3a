/* file_chunks: has the file that a stream of FileChunk brings come whole, and is it the one that
 * was asked for? For whoever receives one; the bytes are the receiver's affair. One thread (not
 * asserted: plain data of whoever has it). */
#ifndef PS_FORMAT_FILE_CHUNKS_H
#define PS_FORMAT_FILE_CHUNKS_H

#include "common/base/status.h"
#include "psd/v1/models.pb-c.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_file_chunks {
    uint64_t total, got; /* bytes: of the file, as the first chunk says; so far */
    bool begun;
} ps_file_chunks; /* zero at first */

/* Counts the next chunk, which brings so many bytes. version: what the file must be, NULL:
 * anything. PS_FAILED_PRECONDITION: it is another; PS_DATA_LOSS: more has come than there is. */
PS_MUST_CHECK ps_status ps_file_chunks_count(ps_file_chunks *chunks,
                                             const Psd__V1__FileChunk *chunk, size_t bytes,
                                             const char *version);
/* After the last one. PS_DATA_LOSS: some are missing. */
PS_MUST_CHECK ps_status ps_file_chunks_whole(const ps_file_chunks *chunks);

#endif
