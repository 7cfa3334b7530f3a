/* job_plan: a job file before it is submitted: its rules, also those that a stored model has a say
 * in, and what a job will do to that model. Nothing is changed. One thread (not asserted: psctl has
 * no other). */
#ifndef PS_CALL_JOB_PLAN_H
#define PS_CALL_JOB_PLAN_H

#include "client/call/client.h"
#include "common/base/slice.h"
#include "common/compress/plan.h"

/* text: of a job file; origin starts the messages. The model is asked for that the job begins from.
 */
PS_MUST_CHECK ps_status ps_job_file_check(ps_client *client, ps_slice text, const char *origin);

/* The same of the model that the job works on, too. *plan is NULL for a kind that has none; both
 * are the caller's (ps_job_spec_free, ps_plan_free). *memory: bytes that a worker needs for it,
 * about; 0: that is not known of the kind. */
PS_MUST_CHECK ps_status ps_job_file_plan(ps_client *client, ps_slice text, const char *origin,
                                         ps_job_spec **spec, ps_plan **plan, uint64_t *memory);

#endif
