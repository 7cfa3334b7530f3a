/* removal: jobs, logs and artifacts go, with their files: one by one, all that are older than
 * somebody says (prune), or by themselves when their time is over (retention in psd.yaml).
 *
 *     rows go, their files are on the list of the doomed ─▶ files are removed ─▶ off the list
 *
 * A crash anywhere on the way is made good by the next removal, or the next pass. Everything here
 * blocks: off the loop. Any thread.
 */
#ifndef PS_RUNS_REMOVAL_H
#define PS_RUNS_REMOVAL_H

#include "server/catalog/removal.h"
#include "server/files/stored_file.h"

PS_MUST_CHECK ps_status ps_remove_artifact(const ps_stored_files *files, uint64_t job_id,
                                           const char *name, ps_removed *removed);
PS_MUST_CHECK ps_status ps_remove_job(const ps_stored_files *files, uint64_t job_id,
                                      ps_removed *removed);

/* So much goes at most in one call, that nobody waits for long. */
enum { PS_REMOVE_AT_ONCE = 200 };

/* Jobs that ended `age_ms` ago or more, with their logs and artifacts; or artifacts alone, of that
 * age. owner NULL: of everybody. *more: there may be more; call again. */
PS_MUST_CHECK ps_status ps_prune(const ps_stored_files *files, const char *owner, uint64_t age_ms,
                                 bool artifacts_only, ps_removed *removed, bool *more);

/* How long what has ended is kept; 0: for ever. */
typedef struct ps_retention {
    uint64_t jobs_ms, logs_ms, artifacts_ms;
} ps_retention;

/* One pass: what is over its time goes. *more as above. */
PS_MUST_CHECK ps_status ps_retention_pass(const ps_stored_files *files,
                                          const ps_retention *retention, ps_removed *removed,
                                          bool *more);

#endif
