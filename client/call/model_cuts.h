/* model_cuts: how psd had cut a stored model's matrices when it was trained. One thread (not
 * asserted: psctl has no other). */
#ifndef PS_CALL_MODEL_CUTS_H
#define PS_CALL_MODEL_CUTS_H

#include "client/call/client.h"
#include "common/model/graph.h"
#include "psd/v1/models.pb-c.h"

/* Of the job that trained it, or what it was made of. Where nobody knows (it was imported, or the
 * job or a model between is gone), one block: a matrix in one piece. */
PS_MUST_CHECK ps_status ps_model_cuts(ps_client *client, const Psd__V1__Model *model,
                                      ps_graph_cuts *out);

#endif
