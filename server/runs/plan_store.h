/* plan_store: from what a job file asks for and what a plan task found out, to a parameter store.
 */
#ifndef PS_RUNS_PLAN_STORE_H
#define PS_RUNS_PLAN_STORE_H

#include "common/conf/job_spec.h"
#include "server/params/param_store.h"
#include "server/sched/task_result.h"

/* The plan comes from a worker: PS_INVALID_ARGUMENT names the tensor that cannot be. May take long
 * (it fills the parameters): off the loop. */
PS_MUST_CHECK ps_status ps_store_create(const ps_job_spec *spec, const ps_data_plan *plan,
                                        const ps_param_host *host, ps_param_store **out);

#endif
