/* removal: jobs, what was said of them and what they left behind go, asked for or because their
 * time is over. The files of rows that are gone stand in a list of their own until they are
 * removed, so that a crash in between leaves nothing that takes room and that nobody knows of. See
 * catalog.h for threads and durability; on a full disk all of these may use the reserve.
 */
#ifndef PS_CATALOG_REMOVAL_H
#define PS_CATALOG_REMOVAL_H

#include "server/catalog/catalog.h"

typedef struct ps_removed {
    uint64_t jobs, artifacts;
    uint64_t lines; /* of logs of jobs that stay */
    uint64_t bytes; /* of artifacts */
    bool some;      /* the disk is full: fewer than `most` at once, there may be more */
} ps_removed;

/* PS_NOT_FOUND: "job 7 has no artifact 'x'". Adds to *removed. */
PS_MUST_CHECK ps_status ps_catalog_artifact_delete(ps_catalog *catalog, uint64_t job_id,
                                                   const char *name, ps_removed *removed);
/* A job that has ended, with its log and its artifacts. PS_FAILED_PRECONDITION: it has not, or
 * trained a stored model (which is read the way the job says). */
PS_MUST_CHECK ps_status ps_catalog_job_delete(ps_catalog *catalog, uint64_t id,
                                              ps_removed *removed);

/* What is old; the oldest first, at most `most` rows (of which *removed counts those that went).
 * before_ms: since 1970, when the job ended, or the artifact was made. owner: only of jobs that he
 * submitted; NULL: of all. Jobs that trained a stored model stay. */
typedef struct ps_old {
    int64_t before_ms;
    const char *owner;
    size_t most;
} ps_old;
PS_MUST_CHECK ps_status ps_catalog_artifacts_expire(ps_catalog *catalog, const ps_old *which,
                                                    ps_removed *removed);
PS_MUST_CHECK ps_status ps_catalog_logs_expire(ps_catalog *catalog, const ps_old *which,
                                               ps_removed *removed);
PS_MUST_CHECK ps_status ps_catalog_jobs_expire(ps_catalog *catalog, const ps_old *which,
                                               ps_removed *removed);

/* Paths, below data_dir, of files whose rows are gone: a NULL-terminated array of at most `most`,
 * freed with ps_doomed_free. */
PS_MUST_CHECK ps_status ps_catalog_doomed(ps_catalog *catalog, size_t most, char ***out);
void ps_doomed_free(char ***paths);
/* Is it on that list? */
PS_MUST_CHECK ps_status ps_catalog_doomed_still(ps_catalog *catalog, const char *path, bool *still);
/* A file of that name is about to be placed, and has no row yet. */
PS_MUST_CHECK ps_status ps_catalog_doom(ps_catalog *catalog, const char *path);
/* That file is removed. */
PS_MUST_CHECK ps_status ps_catalog_doomed_gone(ps_catalog *catalog, const char *path);

#endif
