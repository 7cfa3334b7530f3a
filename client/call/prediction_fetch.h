/* prediction_fetch: the predictions that a predict job has left, onto standard output. One thread
 * (not asserted: psctl has no other). */
#ifndef PS_CALL_PREDICTION_FETCH_H
#define PS_CALL_PREDICTION_FETCH_H

#include "client/call/client.h"
#include "common/conf/job_spec.h"

#include <stdint.h>

/* Rows [begin, end), as a table or as --output json asks; with the names of the model's classes,
 * unless it is NULL. PS_OUT_OF_RANGE: there is none from begin on. */
PS_MUST_CHECK ps_status ps_predictions_fetch(ps_client *client, uint64_t job_id,
                                             const ps_spec_model *model, uint64_t begin,
                                             uint64_t end);

/* All of them, for who knows nothing but the job; the names are those of the model that it used, as
 * far as that is known still. */
PS_MUST_CHECK ps_status ps_predictions_fetch_all(ps_client *client, uint64_t job_id);

#endif
