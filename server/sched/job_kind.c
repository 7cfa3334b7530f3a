#include "server/sched/job_kind.h"

#include <string.h>

const ps_job_kind *ps_job_kind_find(const ps_job_kind *const *kinds, const char *name)
{
    for (size_t i = 0; kinds && kinds[i]; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}
