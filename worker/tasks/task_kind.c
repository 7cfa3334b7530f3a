#include "worker/tasks/task_kind.h"

#include <string.h>

#define ROW(name) &ps_task_kind_##name,

const ps_task_kind *const ps_task_kinds[] = {PS_TASK_KINDS(ROW) NULL};

const ps_task_kind *ps_task_kind_find(const char *name)
{
    for (const ps_task_kind *const *kind = ps_task_kinds; *kind; kind++)
        if (!strcmp((*kind)->name, name))
            return *kind;
    return NULL;
}
