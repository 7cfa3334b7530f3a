/* model_graph: the graph of a stored model as psd tells of it. Pure. One thread (not asserted:
 * psctl has no other). */
#ifndef PS_REPORT_MODEL_GRAPH_H
#define PS_REPORT_MODEL_GRAPH_H

#include "common/model/graph.h"
#include "psd/v1/models.pb-c.h"

/* model: with its tensors, as Models.Get has it, whatever it says. *out is freed with
 * ps_graph_free. PS_INVALID_ARGUMENT or PS_CORRUPT: its configuration is none that psctl knows, or
 * its tensors are not those of the configuration. */
PS_MUST_CHECK ps_status ps_model_graph(const Psd__V1__Model *model, ps_graph_cuts cuts,
                                       ps_graph **out);

#endif
