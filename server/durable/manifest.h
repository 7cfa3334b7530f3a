/* manifest: the list of a folder's checkpoints, as text with a checksum:
 *
 *     psd-manifest 1
 *     checkpoint 7 version 1200 bytes 5678
 *     crc32c 89abcdef
 *
 * It says what should be there, so that a lost file is noticed; the files themselves are what
 * counts. */
#ifndef PS_DURABLE_MANIFEST_H
#define PS_DURABLE_MANIFEST_H

#include "common/base/disk.h"

enum { PS_MANIFEST_MAX = 64 };

typedef struct ps_manifest_entry {
    uint64_t number, version, bytes;
} ps_manifest_entry;

typedef struct ps_manifest {
    ps_manifest_entry entries[PS_MANIFEST_MAX]; /* newest first */
    size_t n;
} ps_manifest;

/* PS_NOT_FOUND; PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_manifest_read(const ps_disk *disk, const char *path, ps_manifest *out);
PS_MUST_CHECK ps_status ps_manifest_write(const ps_disk *disk, const char *path,
                                          const ps_manifest *manifest);
/* For the reader and its fuzzer. */
PS_MUST_CHECK ps_status ps_manifest_parse(ps_slice text, ps_manifest *out);

#endif
