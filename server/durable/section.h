/* section: the pieces a durable file is made of, each with its length and checksums:
 *
 *     u32 type | u32 CRC32C of the payload | u64 length of the payload | u32 CRC32C of the 16 bytes
 *     before | payload
 *
 * all little-endian. One thread at a time (not asserted: of whoever writes or reads a checkpoint).
 */
#ifndef PS_DURABLE_SECTION_H
#define PS_DURABLE_SECTION_H

#include "common/base/buf.h"
#include "common/base/disk.h"

enum { PS_SECTION_HEADER = 20, PS_SECTION_PARTS_MAX = 3 };

typedef struct ps_section_writer {
    const ps_disk *disk;
    int file;
    ps_buf pending; /* small writes, gathered */
    uint64_t bytes; /* written so far, pending ones included */
} ps_section_writer;

/* The payload is the parts one after the other. */
PS_MUST_CHECK ps_status ps_section_write(ps_section_writer *w, uint32_t type, const ps_slice *parts,
                                         size_t n_parts);
/* As it is, without a header (a file's magic). */
PS_MUST_CHECK ps_status ps_section_write_raw(ps_section_writer *w, ps_slice bytes);
PS_MUST_CHECK ps_status ps_section_flush(ps_section_writer *w);
void ps_section_writer_free(ps_section_writer *w); /* the file stays open */

typedef struct ps_section_reader {
    const ps_disk *disk;
    int file;
    uint64_t at, size; /* bytes read; of the file */
    uint32_t type;     /* of the section at hand */
    uint64_t left;     /* of its payload */
    uint32_t crc, crc_wanted;
} ps_section_reader;

/* PS_CORRUPT says at which byte: a bad header, or one that claims more than the file has. */
PS_MUST_CHECK ps_status ps_section_next(ps_section_reader *r);
/* The next len bytes of the payload. */
PS_MUST_CHECK ps_status ps_section_read(ps_section_reader *r, void *out, size_t len);
/* The payload has been read to its end, and its checksum is right. */
PS_MUST_CHECK ps_status ps_section_end(ps_section_reader *r);
/* The whole payload, appended to out, and its end. More than limit is damage: nobody
 * writes it. */
PS_MUST_CHECK ps_status ps_section_read_all(ps_section_reader *r, size_t limit, ps_buf *out);
PS_MUST_CHECK ps_status ps_section_read_raw(ps_section_reader *r, void *out, size_t len);

#endif
