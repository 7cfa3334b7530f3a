/* artifact: a file that a job has left, in a temporary file that is mapped: it may be larger than
 * memory, and of it only that is in memory which is read. One thread (not asserted: psctl has no
 * other). */
#ifndef PS_CALL_ARTIFACT_H
#define PS_CALL_ARTIFACT_H

#include "client/call/client.h"

typedef struct ps_artifact {
    ps_slice bytes; /* empty: there is none */
} ps_artifact;

/* PS_NOT_FOUND: the job has none of that name. Else as the way to psd and the disk fail. */
PS_MUST_CHECK ps_status ps_artifact_fetch(ps_client *client, uint64_t job_id, const char *name,
                                          ps_artifact *out);
void ps_artifact_free(ps_artifact *artifact);

#endif
