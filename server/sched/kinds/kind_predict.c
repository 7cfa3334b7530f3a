/* predict: what a stored model says of rows of data. The task leaves its artifact,
 * predictions.jsonl, with psd before it answers. */
#include "server/sched/job.h"
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/model_job.h"
#include "server/sched/kinds/result.h"

static void done(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    ps_model_job *w = job->work;
    const ps_evaluation *e = result->evaluation;
    if (e)
        w->samples = job->record->progress.samples_total = e->samples;
    ps_buf json = PS_BUF_EMPTY;
    ps_result_model_task(e, ps_model_job_seconds(job), "predictions.jsonl", &json);
    ps_job_move(job, PS_JOB_DONE, "", ps_buf_cstr(&json));
    ps_buf_free(&json);
}

static const ps_task_kind task = {
    .name = "predict", .phrase = "a predict task", PS_MODEL_TASK, .done = done};

const ps_job_kind ps_job_kind_predict = {
    .name = "predict", .task = &task, PS_MODEL_JOB, .start = ps_model_job_start};
