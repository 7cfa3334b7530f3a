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
#include "server/sched/finish.h"

#include "common/base/mem.h"
#include "server/sched/job.h"
#include "server/sched/job_save.h"

enum { TRIES_MAX = 1440 }; /* a minute between most of them: about a day in all */

/* What it has come to stays as it is until the answer. */
static void finish_run(const ps_errand *e)
{
    const ps_job *job = e->job;
    const ps_sched *s = job->sched;
    s->out.store->finish(s->out.store_user, job->record->id, job->file, job->settled,
                         &job->outcome);
}

static void ask(ps_job *job)
{
    PS_REQUIRE(!job->waiting);
    job->waiting = true;
    ps_job_errand(job, NULL, finish_run);
}

void ps_finish_begin(ps_job *job, const ps_job_outcome *outcome)
{
    ps_core_require_locked(job->sched);
    job->outcome = *outcome;
    ask(job);
}

static void failed(ps_job *job, const ps_error *error)
{
    bool explains = job->outcome.explains;
    if (error->code == PS_INVALID_ARGUMENT || ++job->outcome.failed_writes >= TRIES_MAX) {
        ps_job_fail(job, "%s: %s",
                    explains ? "the explanation is not there" : "the model could not be written",
                    error->message);
        return;
    }
    uint32_t tries = job->outcome.failed_writes;
    job->finish_ns = ps_core_now(job->sched) + ps_wait_s(tries) * PS_SECOND_NS;
    ps_job_say(job, PS_LOG_WARNING, "psd", "%s",
               ps_job_waits(job, &(ps_job_wait){.what = explains ? "its files are not looked up yet"
                                                                 : "the model is not written yet",
                                                .why = error->message,
                                                .kept = explains ? "what was computed is kept"
                                                                 : "what was trained is kept",
                                                .failed = tries}));
    ps_job_save(job);
    ps_job_changed(job);
}

/* Writing the model is not interrupted: one that was cancelled meanwhile is done if it worked. */
void ps_finish_answered(ps_sched *s, uint64_t job_id, const ps_error *error)
{
    ps_core_require_locked(s);
    ps_job *job = ps_job_answered(s, job_id);
    if (!job || (error && job->record->state == PS_JOB_CANCELLING))
        return;
    if (error)
        failed(job, error);
    else
        job->kind->answered(job);
}

void ps_finish_drafted(ps_sched *s, uint64_t job_id, const ps_error *error, const ps_draft *draft)
{
    ps_core_require_locked(s);
    ps_job *job = ps_job_answered(s, job_id);
    if (!job || job->record->state == PS_JOB_CANCELLING)
        return; /* it is collected with the job's end */
    if (error) {
        failed(job, error);
        return;
    }
    free(job->draft);
    job->draft = ps_strdup(draft->version);
    job->kind->drafted(job, draft);
}

void ps_finish_tick(ps_job *job, uint64_t now)
{
    ps_core_require_locked(job->sched);
    if (!job->finish_ns || now < job->finish_ns)
        return;
    job->finish_ns = 0;
    ask(job);
}
