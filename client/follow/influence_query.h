/* influence_query: what the pushes of a training did to the loss of one row, as a job on a worker
 * finds it (method recorded; docs/record.md). One thread (not asserted: psctl has no other). */
#ifndef PS_FOLLOW_INFLUENCE_QUERY_H
#define PS_FOLLOW_INFLUENCE_QUERY_H

#include "client/call/client.h"

/* Row `row` of the training's data.test, or of its data.train. Of each push of the record, in its
 * order, −⟨g, Δ⟩ by sketches into *scores[*n], the caller's (ps_free). PS_FAILED_PRECONDITION: the
 * job has trained no model that still has its name, or has no such data; PS_ABORTED: the job that
 * asks has failed. */
PS_MUST_CHECK ps_status ps_influence_query(ps_client *client, uint64_t job_id, uint64_t row,
                                           bool train, float **scores, size_t *n);

#endif
