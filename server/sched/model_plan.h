/* model_plan: what a job of kind compress will do to each tensor of a model of the catalog. Pure;
 * any thread. */
#ifndef PS_SCHED_MODEL_PLAN_H
#define PS_SCHED_MODEL_PLAN_H

#include "common/compress/plan.h"
#include "server/catalog/models.h"

/* Of a stored model. Fails as ps_plan_new, or where its config is none. */
PS_MUST_CHECK ps_status ps_model_plan(const ps_job_spec *spec, const ps_model_record *model,
                                      ps_plan **out);
/* Of one that is not stored yet: parent without its model, which `section` says. */
PS_MUST_CHECK ps_status ps_model_plan_of(const ps_job_spec *spec, const char *section,
                                         ps_plan_parent *parent, ps_plan **out);

#endif
