#include "server/sched/kinds/retry.h"

#include "server/sched/job.h"

#include <string.h>

#define RETRY_DELAY_NS UINT64_C(1000000000)

bool ps_task_retry(ps_job *job, ps_lease *lease, bool failed, const char *message)
{
    ps_core_require_locked(job->sched);
    ps_row_range *piece = &lease->piece;
    const char *task = lease->kind->phrase;
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
