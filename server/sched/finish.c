/* A job's training is over, and psd writes its model.
 *
 *    writing ──────────────▶ the kind's `answered`: done
 *     ▲   ╰─ cannot ─▶ waiting ── cancel, or the last try ─▶ cancelled, failed
 *     ╰──── time ─────────╯
 *
 * What was trained is worth more than the wait: a disk that is full, or a folder that may not be
 * written, is somebody's to put right. Until then the job runs, says why it is not done, keeps its
 * parameters and checkpoints, and psd tries again. Only a job that is wrong itself fails at once.
 */
#include "common/base/mem.h"
#include "server/sched/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* 1, 2, 4, … s, then every minute: about a day in all */
enum { WAIT_MAX_S = 60, TRIES_MAX = 1440 };

void ps_finish_begin(ps_job *job, const ps_job_outcome *outcome)
{
    job->outcome = *outcome;
    ps_outbox_finish(job, outcome);
}

uint64_t ps_wait_s(uint32_t failed)
{
    uint64_t seconds = failed <= 6 ? UINT64_C(1) << (failed - 1) : WAIT_MAX_S;
    return seconds < WAIT_MAX_S ? seconds : WAIT_MAX_S;
}

const char *ps_job_waits(ps_job *job, const ps_job_wait *wait)
{
    char text[PS_JOB_LOG_BYTES];
    (void)snprintf(text, sizeof text,
                   "%s: %s; put that right, or cancel the job; %s (%u %s failed, the next is "
                   "%" PRIu64 " s later)",
                   wait->what, wait->why, wait->kept, wait->failed,
                   wait->failed == 1 ? "try" : "tries", ps_wait_s(wait->failed));
    free(job->record->reason);
    job->record->reason = ps_strdup(text);
    return job->record->reason;
}

void ps_finish_failed(ps_job *job, const ps_error *error)
{
    if (error->code == PS_INVALID_ARGUMENT || ++job->outcome.failed_writes >= TRIES_MAX) {
        ps_job_fail(job, "the model could not be written: %s", error->message);
        return;
    }
    uint32_t failed = job->outcome.failed_writes;
    job->finish_ns = ps_core_now(job->sched) + ps_wait_s(failed) * PS_SECOND_NS;
    ps_job_say(job, PS_LOG_WARNING, "psd", "%s",
               ps_job_waits(job, &(ps_job_wait){.what = "the model is not written yet",
                                                .why = error->message,
                                                .kept = "what was trained is kept",
                                                .failed = failed}));
    ps_job_save(job);
    ps_job_changed(job);
}

void ps_finish_tick(ps_job *job, uint64_t now)
{
    if (!job->finish_ns || now < job->finish_ns)
        return;
    job->finish_ns = 0;
    ps_outbox_finish(job, &job->outcome);
}
