/* plan: is what a worker found out about data and model possible? It is a peer's word, and sizes
 * everything that follows. Pure. */
#ifndef PS_SCHED_KINDS_PLAN_H
#define PS_SCHED_KINDS_PLAN_H

#include "common/conf/job_spec.h"
#include "server/sched/task_result.h"

/* *settled: the model section that the plan has settled, as psd writes it; "": none; freed by the
 * caller. PS_INVALID_ARGUMENT says what cannot be: no rows, no tensors, a shape with a zero or too
 * large, a name twice or missing, another model than the job's. After PS_OK, every rank fits
 * ps_model_tensor. */
PS_MUST_CHECK ps_status ps_plan_check(const ps_data_plan *plan, const ps_job_spec *spec,
                                      char **settled);
/* The last part of it: is `model` (hostile; empty: none) the job's model section, settled? */
PS_MUST_CHECK ps_status ps_plan_settled(const ps_job_spec *spec, ps_slice model, char **settled);

#endif
