/* result: what a job came to, as the JSON of Job.result. Pure. */
#ifndef PS_SCHED_KINDS_RESULT_H
#define PS_SCHED_KINDS_RESULT_H

#include "common/base/buf.h"
#include "server/sched/output.h"
#include "server/sched/sched.h"
#include "server/sched/task_result.h"

/* {"test_accuracy":…,"test_loss":…,"epochs":…,"samples":…,"seconds":…}; without those of the test
 * when there were no test data. Metrics are as many as the evaluation had, each test_NAME. What is
 * not a number is null. */
void ps_result_outcome(const ps_job_outcome *outcome, ps_buf *json);
/* Of a job on a stored model: the same without epochs; artifact NULL, or the name of the file that
 * the worker has left. evaluation may be NULL. */
void ps_result_model_task(const ps_evaluation *evaluation, double seconds, const char *artifact,
                          ps_buf *json);

/* Of a job that generated: {"tokens":[…],"prompt_tokens":…,"ended":"length",…,"seconds":…}; the
 * times are the last worker's, seconds is the whole job's. */
void ps_result_generate(const ps_generation *result, const ps_output *output, size_t prompt_tokens,
                        double seconds, ps_buf *json);

#endif
