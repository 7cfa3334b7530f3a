/* stored: what the catalog knows of that is somebody's. See catalog.h for threads. */
#ifndef PS_CATALOG_STORED_H
#define PS_CATALOG_STORED_H

#include "server/catalog/catalog.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of all versions of models that `who` (spiffe://…) owns, and of the artifacts of jobs that
 * it submitted. */
PS_MUST_CHECK ps_status ps_catalog_stored_bytes(ps_catalog *catalog, const char *who,
                                                uint64_t *bytes);
/* The numbers of its jobs that have not ended; free() them. */
PS_MUST_CHECK ps_status ps_catalog_unfinished_of(ps_catalog *catalog, const char *who,
                                                 uint64_t **jobs, size_t *n);

#endif
