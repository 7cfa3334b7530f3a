/* describe: what numbers a stored model is made of. The worker's report has the totals, and it
 * leaves describe.json. */
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/model_job.h"

static const ps_task_kind task = {
    .name = "describe", .phrase = "a describe task", PS_MODEL_TASK, .done = ps_model_task_done};

const ps_job_kind ps_job_kind_describe = {
    .name = "describe", .task = &task, PS_MODEL_JOB, .start = ps_model_job_start};
