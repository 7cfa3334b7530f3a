#include "server/sched/kinds/kinds.h"

#include "server/sched/kinds/kind_model.h"
#include "server/sched/kinds/kind_train.h"

#include <stddef.h>

const ps_job_kind *const ps_job_kinds[] = {
    &ps_job_kind_evaluate, &ps_job_kind_generate, &ps_job_kind_predict, &ps_job_kind_train, NULL,
};
