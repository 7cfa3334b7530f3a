/* Names to functions. */
#include "worker/tasks/task_kind.h"

#include <string.h>

const ps_worker_kind ps_worker_kinds[] = {
    {.name = "plan", .run = ps_kind_plan},         {.name = "train", .run = ps_kind_train},
    {.name = "evaluate", .run = ps_kind_evaluate}, {.name = "predict", .run = ps_kind_predict},
    {.name = "generate", .run = ps_kind_generate}, {.name = NULL},
};

const ps_worker_kind *ps_worker_kind_find(const char *name)
{
    for (const ps_worker_kind *kind = ps_worker_kinds; kind->name; kind++)
        if (!strcmp(kind->name, name))
            return kind;
    return NULL;
}
