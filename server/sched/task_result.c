#include "server/sched/task_result.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

static void copy_tensor(const ps_plan_tensor *from, ps_plan_tensor *out)
{
    *out = *from;
    out->name = ps_strdup(from->name);
    out->shape = ps_alloc_array(from->n_shape + 1, sizeof *out->shape);
    if (from->n_shape)
        memcpy(out->shape, from->shape, from->n_shape * sizeof *out->shape);
}

ps_plan *ps_plan_copy(const ps_plan *plan)
{
    ps_plan *copy = ps_new(ps_plan);
    *copy = *plan;
    copy->model = ps_strdup(plan->model);
    copy->tensors = ps_alloc_array(plan->n_tensors + 1, sizeof *copy->tensors);
    for (size_t i = 0; i < plan->n_tensors; i++)
        copy_tensor(&plan->tensors[i], &copy->tensors[i]);
    return copy;
}

void ps_plan_free(ps_plan **plan)
{
    ps_plan *p = *plan;
    if (!p)
        return;
    for (size_t i = 0; i < p->n_tensors; i++) {
        free(p->tensors[i].name);
        free(p->tensors[i].shape);
    }
    free(p->tensors);
    free(p->model);
    ps_free(plan);
}
