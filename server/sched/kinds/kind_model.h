/* kind_model: the kinds of jobs on a stored model. */
#ifndef PS_SCHED_KINDS_KIND_MODEL_H
#define PS_SCHED_KINDS_KIND_MODEL_H

#include "server/sched/job_kind.h"

extern const ps_job_kind ps_job_kind_evaluate;
extern const ps_job_kind ps_job_kind_predict;
extern const ps_job_kind ps_job_kind_generate;

#endif
