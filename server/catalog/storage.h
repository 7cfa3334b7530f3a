/* storage: what stands between the catalog and the disk. The catalog's files, and those that SQLite
 * makes beside them, are read and written through a row's files, each of which stands before the
 * plain one:
 *
 *     SQLite ── ps_catalog_file of the row ── ps_catalog_file of the disk
 *
 * So a row may keep other bytes than it is given (sealed ones), refuse what it reads, or count. A
 * file is bytes at places; what was never written reads as nothing. Locks and names are not its
 * business: one psd has the catalog to itself.
 *
 * Calls come one at a time, on any thread. They may wait for the disk.
 */
#ifndef PS_CATALOG_STORAGE_H
#define PS_CATALOG_STORAGE_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_catalog_file ps_catalog_file;

typedef struct ps_catalog_file_ops {
    /* *got < len: the file ends there. PS_CORRUPT: not what was written. */
    PS_MUST_CHECK ps_status (*read)(ps_catalog_file *file, uint64_t at, void *out, size_t len,
                                    size_t *got);
    /* All of it. PS_NO_SPACE. */
    PS_MUST_CHECK ps_status (*write)(ps_catalog_file *file, uint64_t at, const void *bytes,
                                     size_t len);
    PS_MUST_CHECK ps_status (*truncate)(ps_catalog_file *file, uint64_t size);
    PS_MUST_CHECK ps_status (*sync)(ps_catalog_file *file); /* to the disk, metadata too */
    PS_MUST_CHECK ps_status (*size)(ps_catalog_file *file, uint64_t *out);
    void (*close)(ps_catalog_file *file); /* frees it; not the plain one */
} ps_catalog_file_ops;

/* The beginning of a row's own struct. */
struct ps_catalog_file {
    const ps_catalog_file_ops *ops;
};

typedef struct ps_catalog_storage {
    /* path is "" for a file without a name. plain is open, lives until the row's file is closed,
     * and is closed by whoever opened it. */
    PS_MUST_CHECK ps_status (*open)(void *state, const char *path, ps_catalog_file *plain,
                                    ps_catalog_file **out);
    void *state; /* outlives the catalog */
} ps_catalog_storage;

#endif
