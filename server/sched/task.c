#include "server/sched/task.h"

static const struct {
    const char *name, *phrase;
} kinds[] = {
    [PS_TASK_PLAN] = {"plan", "a plan task"},
    [PS_TASK_TRAIN] = {"train", "a train task"},
    [PS_TASK_EVALUATE] = {"evaluate", "an evaluate task"},
    [PS_TASK_PREDICT] = {"predict", "a predict task"},
    [PS_TASK_GENERATE] = {"generate", "a generate task"},
};

const char *ps_task_kind_name(ps_task_kind kind)
{
    return kinds[kind].name;
}

const char *ps_task_kind_phrase(ps_task_kind kind)
{
    return kinds[kind].phrase;
}
