/* measured_fetch: what a job has measured of a model's tensors (client/report/measured.h), of
 * whatever it has left. One thread (not asserted: psctl has no other). */
#ifndef PS_CALL_MEASURED_FETCH_H
#define PS_CALL_MEASURED_FETCH_H

#include "client/call/client.h"
#include "client/report/measured.h"
#include "psd/v1/models.pb-c.h"

/* name: of ps_measured_names; NULL: the first that there is. *out is the caller's
 * (ps_measured_free). PS_NOT_FOUND: the job has left none. PS_FAILED_PRECONDITION: it explains
 * another version of the model, or another model. */
PS_MUST_CHECK ps_status ps_measured_fetch(ps_client *client, const char *job, const ps_graph *graph,
                                          const Psd__V1__Model *model, const char *name,
                                          ps_measured **out);

#endif
