/* predict: what a stored model says of rows of data. The task leaves its artifact,
 * predictions.jsonl, with psd before it answers. */
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/model_job.h"

/* An older worker does not name it. */
static void done(ps_job *job, ps_lease *lease, ps_task_result *result)
{
    static char name[] = "predictions.jsonl";
    static char *const artifacts[] = {name};
    if (!result->n_artifacts) {
        result->artifacts = artifacts;
        result->n_artifacts = 1;
    }
    ps_model_task_done(job, lease, result);
}

static const ps_task_kind task = {
    .name = "predict", .phrase = "a predict task", PS_MODEL_TASK, .done = done};

const ps_job_kind ps_job_kind_predict = {.name = "predict",
                                         .task = &task,
                                         PS_MODEL_JOB,
                                         .check = ps_model_job_check_classes,
                                         .start = ps_model_job_start};
