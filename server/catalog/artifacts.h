/* artifacts: the rows of files that jobs leave behind (predictions, say). */
#ifndef PS_CATALOG_ARTIFACTS_H
#define PS_CATALOG_ARTIFACTS_H

#include "server/catalog/catalog.h"

#include <stdint.h>

typedef struct ps_artifact_record {
    uint64_t job_id;
    char *name; /* "predictions.jsonl" */
    uint64_t bytes;
    int64_t created_ms;
    char *path; /* relative to psd's data folder */
    bool own;   /* psd's own, which no number of others keeps out; of what is put */
} ps_artifact_record;

void ps_artifact_record_free(ps_artifact_record **record);

enum { PS_ARTIFACTS_MAX = 256 }; /* of a job: a worker's loop must not fill the disk with names */

/* Adds it, or replaces the one of that name, whose file is doomed then (removal.h); its own is not
 * any more. PS_NOT_FOUND when there is no such job; PS_RESOURCE_EXHAUSTED when it is
 * a new one, not psd's own, and there are PS_ARTIFACTS_MAX. */
PS_MUST_CHECK ps_status ps_catalog_artifact_put(ps_catalog *catalog,
                                                const ps_artifact_record *record);
/* PS_NOT_FOUND: "job 7 has no artifact 'x'". */
PS_MUST_CHECK ps_status ps_catalog_artifact_get(ps_catalog *catalog, uint64_t job_id,
                                                const char *name, ps_artifact_record **out);
/* A NULL-terminated array by name. */
PS_MUST_CHECK ps_status ps_catalog_artifact_list(ps_catalog *catalog, uint64_t job_id,
                                                 ps_artifact_record ***out);
void ps_artifact_records_free(ps_artifact_record ***records);

#endif
