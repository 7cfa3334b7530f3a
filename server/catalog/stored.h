/* stored: what the catalog knows of that is somebody's. See catalog.h for threads. */
#ifndef PS_CATALOG_STORED_H
#define PS_CATALOG_STORED_H

#include "server/catalog/catalog.h"

#include <stddef.h>
#include <stdint.h>

typedef struct ps_stored_row {
    char *who;  /* spiffe://…; "": of before there were owners */
    uint64_t n; /* bytes, or the number of a job */
} ps_stored_row;

typedef struct ps_stored_rows {
    ps_stored_row *at;
    size_t n;
} ps_stored_rows;

void ps_stored_rows_free(ps_stored_rows *rows);
/* A row each of who has any: bytes of all versions of models that it owns, and of the artifacts of
 * jobs that it submitted. who: of that one alone; NULL: of everybody. */
PS_MUST_CHECK ps_status ps_catalog_stored_bytes(ps_catalog *catalog, const char *who,
                                                ps_stored_rows *out);
/* A row each job that has not ended, by number. who as above. */
PS_MUST_CHECK ps_status ps_catalog_unfinished(ps_catalog *catalog, const char *who,
                                              ps_stored_rows *out);

#endif
