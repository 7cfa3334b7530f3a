/* result: what a job came to, as the JSON of Job.result. Pure. */
#ifndef PS_SCHED_RESULT_H
#define PS_SCHED_RESULT_H

#include "common/base/buf.h"
#include "psd/v1/workers.pb-c.h"
#include "server/sched/sched.h"

/* correct / samples, in 0..1 whatever the worker said; samples must not be 0 */
double ps_result_accuracy(const Psd__V1__EvaluateResult *result);

/* {"test_accuracy":…,"test_loss":…,"epochs":…,"samples":…,"seconds":…}; without the first two when
 * there were no test data. A loss that is not a number is null. */
void ps_result_outcome(const ps_job_outcome *outcome, ps_buf *json);
/* Of a job on a stored model: the same without epochs; artifact NULL, or the name of the file that
 * the worker has left. evaluation may be NULL. */
void ps_result_model_task(const Psd__V1__EvaluateResult *evaluation, double seconds,
                          const char *artifact, ps_buf *json);

#endif
