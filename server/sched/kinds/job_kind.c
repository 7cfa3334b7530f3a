#include "server/sched/kinds/job_kind.h"

#include "server/sched/core.h"

#include <string.h>

static const ps_job_kind *const kinds[] = {
    &ps_job_kind_evaluate,
    &ps_job_kind_generate,
    &ps_job_kind_predict,
    &ps_job_kind_train,
};

const ps_job_kind *ps_job_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

/* name, and how a sentence calls it */
static const char *const task_names[][2] = {
    [PS_TASK_PLAN] = {"plan", "a plan task"},
    [PS_TASK_TRAIN] = {"train", "a train task"},
    [PS_TASK_EVALUATE] = {"evaluate", "an evaluate task"},
    [PS_TASK_PREDICT] = {"predict", "a predict task"},
    [PS_TASK_GENERATE] = {"generate", "a generate task"},
};

const char *ps_task_kind_name(ps_task_kind kind)
{
    return task_names[kind][0];
}

#define RETRY_DELAY_NS UINT64_C(1000000000)

bool ps_job_kind_retry(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_row_range *piece = &lease->piece;
    const char *task = task_names[lease->kind][1];
    const char *worker = lease->worker->name;
    if (!failed) {
        if (++piece->losses < PS_TASK_LOSSES_MAX)
            return true;
        ps_job_fail(job, "%s lost its worker %u times in a row, last %s; see its log", task,
                    piece->losses, worker);
        return false;
    }
    if (++piece->failures >= PS_TASK_FAILURES_MAX) {
        ps_job_fail(job, "%s failed %u times, last on worker %s: %s", task, piece->failures, worker,
                    message);
        return false;
    }
    memcpy(piece->avoid, worker, strlen(worker) + 1);
    piece->ready_ns = ps_core_now(job->sched) + piece->failures * RETRY_DELAY_NS;
    ps_job_say(job, PS_LOG_WARNING, "psd", "%s failed on worker %s and is tried again: %s", task,
               worker, message);
    return true;
}
