#include "worker/tasks/task_kind.h"

#include <string.h>

#define ROW(name) &ps_worker_kind_##name,

const ps_worker_kind *const ps_worker_kinds[] = {PS_WORKER_KINDS(ROW) NULL};

const ps_worker_kind *ps_worker_kind_find(const char *name)
{
    for (const ps_worker_kind *const *kind = ps_worker_kinds; *kind; kind++)
        if (!strcmp((*kind)->name, name))
            return *kind;
    return NULL;
}
