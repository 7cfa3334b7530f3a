/* compare: how far a stored model is from another one, on the same data. The worker's report has
 * both models' figures and what lies between them. */
#include "server/sched/kinds/kinds.h"
#include "server/sched/kinds/model_job.h"

static const ps_task_kind task = {
    .name = "compare", .phrase = "a compare task", PS_MODEL_TASK, .done = ps_model_task_done};

const ps_job_kind ps_job_kind_compare = {
    .name = "compare", .task = &task, PS_MODEL_JOB, .start = ps_model_job_start};
