/* create: a job's parameters are made as its plan says; then comes the kind's `answered`. With the
 * mutex. */
#ifndef PS_SCHED_CREATE_H
#define PS_SCHED_CREATE_H

#include "server/sched/core.h"

/* Checks the plan, which is taken over, against a stored model of the job's name, then asks for the
 * store. Sets job->waiting. */
void ps_create_begin(ps_job *job, ps_data_plan **plan);
/* The sums among them become zeros again (ps_data_plan_tensor.blocks). Sets job->waiting. */
void ps_clear_begin(ps_job *job);
/* The answer to either; error NULL: it is so. */
void ps_create_answered(ps_sched *sched, uint64_t job_id, const ps_error *error);

#endif
