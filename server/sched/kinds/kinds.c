#include "server/sched/kinds/kinds.h"

#include <stddef.h>

#define ROW(name) &ps_job_kind_##name,

const ps_job_kind *const ps_job_kinds[] = {PS_JOB_KINDS(ROW) NULL};
