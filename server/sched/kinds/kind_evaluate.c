/* evaluate: how good a stored model is on data. Its result is the mean loss, and what the model
 * says beside it. */
#include "server/sched/job.h"
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/model_job.h"
#include "server/sched/kinds/result.h"

static void done(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_model_job *w = job->work;
    ps_job_progress *p = &job->record->progress;
    ps_evaluation e;
    if (!ps_result_evaluation(result, &e)) {
        ps_job_fail(job, "worker %s: an evaluate task without a result", lease->worker->name);
        return;
    }
    w->samples = p->samples_total = e.samples;
    p->has_test = true;
    p->test_loss = e.loss;
    job->record->test_metrics = e.metrics;
    ps_buf json = PS_BUF_EMPTY;
    ps_result_evaluated(&e, ps_model_job_seconds(job), &json);
    ps_job_move(job, PS_JOB_DONE, "", ps_buf_cstr(&json));
    ps_buf_free(&json);
}

static const ps_task_kind task = {
    .name = "evaluate", .phrase = "an evaluate task", PS_MODEL_TASK, .done = done};

const ps_job_kind ps_job_kind_evaluate = {.name = "evaluate",
                                          .task = &task,
                                          PS_MODEL_JOB,
                                          .check = ps_model_job_check_classes,
                                          .start = ps_model_job_start};
