#include "server/sched/job_kind.h"

#include "server/sched/core.h"

#include <string.h>

static const ps_job_kind *const kinds[] = {
    &ps_job_kind_evaluate,
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

static const char *const task_names[] = {
    [PS_TASK_PLAN] = "plan",
    [PS_TASK_TRAIN] = "train",
    [PS_TASK_EVALUATE] = "evaluate",
    [PS_TASK_PREDICT] = "predict",
};

const char *ps_task_kind_name(ps_task_kind kind)
{
    return task_names[kind];
}

#define RETRY_DELAY_NS UINT64_C(1000000000)

bool ps_job_kind_retry(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_piece *piece = &lease->piece;
    const char *task = ps_task_kind_name(lease->kind);
    const char *worker = lease->worker->name;
    if (!failed) {
        if (++piece->losses < PS_TASK_LOSSES_MAX)
            return true;
        ps_job_fail(job, "a %s task lost its worker %u times in a row, last %s; see its log", task,
                    piece->losses, worker);
        return false;
    }
    if (++piece->failures >= PS_TASK_FAILURES_MAX) {
        ps_job_fail(job, "a %s task failed %u times, last on worker %s: %s", task, piece->failures,
                    worker, message);
        return false;
    }
    memcpy(piece->avoid, worker, strlen(worker) + 1);
    piece->ready_ns = ps_core_now(job->sched) + piece->failures * RETRY_DELAY_NS;
    ps_job_say(job, PS_LOG_WARNING, "psd", "a %s task failed on worker %s and is tried again: %s",
               task, worker, message);
    return true;
}
