/* model_draft: the model that a job of kind compress makes: written as a version that no name means
 * yet, so that it can be evaluated, and then published, or collected when its job has ended
 * (stored_file.h). Blocks: off the loop. Any thread. */
#ifndef PS_FILES_MODEL_DRAFT_H
#define PS_FILES_MODEL_DRAFT_H

#include "common/security/digest.h"
#include "server/files/stored_file.h"
#include "server/params/param_store.h"
#include "server/sched/job_file.h"
#include "server/sched/sched.h"

typedef struct ps_model_draft {
    char *version;
    uint64_t bytes;
    char sha256[PS_DIGEST_TEXT], parent_sha256[PS_DIGEST_TEXT];
} ps_model_draft;

void ps_model_draft_free(ps_model_draft *draft);

/* What the plan solves out of the store, all else and the metadata out of the parent's file.
 * PS_INVALID_ARGUMENT: what the plan takes over as it is, the parent does not have so; or what is
 * to be solved was not pushed, or says a number that is not finite. */
PS_MUST_CHECK ps_status ps_model_draft_write(const ps_stored_files *files, ps_param_store *store,
                                             uint64_t job_id, const ps_job_file *job,
                                             ps_model_draft *out);
/* It becomes the model of the job's name, with what it came to on data.test. PS_PERMISSION_DENIED:
 * that is somebody else's by now. */
PS_MUST_CHECK ps_status ps_model_draft_publish(const ps_stored_files *files, const ps_job_file *job,
                                               const ps_job_outcome *outcome);

#endif
