/* training_fetch: the record of a training (docs/record.md), fetched and read. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_CALL_TRAINING_FETCH_H
#define PS_CALL_TRAINING_FETCH_H

#include "client/call/client.h"
#include "client/report/training.h"

/* *out: the caller's. PS_NOT_FOUND: the job has left none. */
PS_MUST_CHECK ps_status ps_training_fetch(ps_client *client, uint64_t job_id, ps_training **out);

#endif
