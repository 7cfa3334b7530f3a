/* record_fetch: an artifact of a training's record, whole in memory. One thread (not asserted:
 * psctl has no other). */
#ifndef PS_CALL_RECORD_FETCH_H
#define PS_CALL_RECORD_FETCH_H

#include "client/call/client.h"

/* key: of the job file, that makes a training leave it, for the message. PS_NOT_FOUND. */
PS_MUST_CHECK ps_status ps_record_fetch(ps_client *client, uint64_t job_id, const char *name,
                                        const char *key, ps_buf *out);

#endif
