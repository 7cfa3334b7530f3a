/* result: what a worker has found, as its kind reads it, and what a job came to, as the JSON of
 * Job.result. Pure. */
#ifndef PS_SCHED_KINDS_RESULT_H
#define PS_SCHED_KINDS_RESULT_H

#include "common/base/buf.h"
#include "server/sched/output.h"
#include "server/sched/sched.h"
#include "server/sched/task_result.h"

/* What an evaluate task has found, over some rows: means. */
typedef struct ps_evaluation {
    uint64_t samples;
    double loss;
    ps_metric_list metrics;
} ps_evaluation;
/* False: it does not say, or there were no rows. */
bool ps_result_evaluation(const ps_task_result *result, ps_evaluation *out);

/* {"test_accuracy":…,"test_loss":…,"epochs":…,"samples":…,"seconds":…}; without those of the test
 * when there were no test data. Metrics are as many as the evaluation had, each test_NAME. What is
 * not a number is null. */
void ps_result_outcome(const ps_job_outcome *outcome, ps_buf *json);
/* The same without epochs. */
void ps_result_evaluated(const ps_evaluation *evaluation, double seconds, ps_buf *json);
/* Of a job that generated: {"tokens":[…],"prompt_tokens":…,"ended":"length",…,"seconds":…}; the
 * times are the last worker's, seconds is the whole job's. */
void ps_result_generated(const ps_task_result *result, const ps_output *output,
                         size_t prompt_tokens, double seconds, ps_buf *json);
/* Of any other kind, the worker's words: {"metrics":{…},"report":{…},"artifact":"…","seconds":…};
 * without what it did not say, and "artifacts":[…] when they are several. */
void ps_result_said(const ps_task_result *result, double seconds, ps_buf *json);

#endif
