/* Happy path: tick, and the answers of psd's other parts; what people ask of jobs is in jobs.c,
 * what workers say in reports.c, watches are in watch.c, the start is in recover.c. */
#include "server/sched/sched.h"

#include "common/base/mem.h"
#include "server/sched/attach.h"
#include "server/sched/create.h"
#include "server/sched/finish.h"
#include "server/sched/job.h"
#include "server/sched/job_save.h"
#include "server/sched/lease.h"
#include "server/sched/recover.h"
#include "server/sched/stage.h"
#include "server/sched/turn.h"
#include "server/sched/worker.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUNNING = 8 };

ps_sched *ps_sched_create(const ps_sched_conf *conf, ps_catalog *catalog, const ps_sched_out *out)
{
    PS_REQUIRE(out->workers && out->store);
    ps_sched *s = ps_new(ps_sched);
    s->conf = *conf;
    if (s->conf.max_running == 0)
        s->conf.max_running = MAX_RUNNING;
    s->catalog = catalog;
    s->out = *out;
    ps_mutex_init(&s->mutex);
    pthread_cond_init(&s->notified, NULL);
    ps_list_init(&s->jobs);
    ps_list_init(&s->queued[0]);
    ps_list_init(&s->queued[1]);
    ps_list_init(&s->active);
    ps_list_init(&s->changed);
    ps_list_init(&s->workers);
    ps_outbox_init(&s->outbox, &s->mutex);
    ps_lease_index_init(&s->index);
    /* a restarted psd must not give a number again that a worker still holds from before */
    s->next_lease = ((uint64_t)ps_clock_wall_ms(&s->conf.clock) << 20) + 1;
    return s;
}

void ps_sched_free(ps_sched **sched)
{
    ps_sched *s = *sched;
    if (!s)
        return;
    ps_core_lock(s);
    ps_outbox_drop_all(&s->outbox);
    ps_list_each_safe(node, &s->workers)
    {
        ps_worker *worker = ps_container(node, ps_worker, link);
        ps_list_each_safe(held, &worker->leases)
            ps_lease_end(ps_container(held, ps_lease, of_worker));
        ps_worker_free(worker);
    }
    ps_list_each_safe(job, &s->jobs)
    {
        ps_list_remove(job);
        ps_job_unref(ps_container(job, ps_job, link));
    }
    ps_core_unlock(s);
    ps_lease_index_free(&s->index);
    pthread_cond_destroy(&s->notified);
    ps_mutex_destroy(&s->mutex);
    ps_free(sched);
}

/* ---- time ---- */

/* A worker that was told and does not answer keeps its slot, but not the job. */
static void give_up_cancelled(ps_job *job, uint64_t now)
{
    ps_core_require_locked(job->sched);
    uint64_t timeout_ns = job->sched->conf.lease_timeout_ms * 1000000;
    ps_list_each_safe(node, &job->leases)
    {
        ps_lease *lease = ps_container(node, ps_lease, of_job);
        if (lease->cancelled && now - lease->cancelled_ns > timeout_ns)
            ps_lease_orphan(lease);
    }
}

static void checkpoint_run(const ps_errand *e)
{
    const ps_sched *s = e->job->sched;
    s->out.store->checkpoint_due(s->out.store_user, e->job->record->id);
}

static bool checkpoint_due(const ps_job *job, uint64_t now)
{
    const ps_spec_checkpoint *said = &job->spec->checkpoint;
    uint64_t every_ms = said->said ? said->every_ms : job->sched->conf.checkpoint_ms;
    return job->kind->save && job->spec->durability != PS_SPEC_MEMORY && every_ms > 0 &&
           now - job->checkpoint_ns >= every_ms * 1000000;
}

/* What a job that nobody works for waits for has changed: only who watches it need know. */
static void show_waiting(ps_job *job)
{
    if (ps_list_empty(&job->watches))
        return;
    char *before = ps_strdup(job->record->reason);
    ps_job_show(job);
    if (strcmp(before, job->record->reason) != 0)
        ps_job_changed(job);
    free(before);
}

static bool save_due(const ps_job *job)
{
    return job->unsaved || (job->record->state < PS_JOB_DONE && ps_job_log_fills(&job->log));
}

static void tick_job(ps_sched *s, ps_job *job, uint64_t now, bool save, bool show)
{
    ps_core_require_locked(s);
    if (save && save_due(job))
        ps_job_save(job);
    if (job->record->state == PS_JOB_CANCELLING)
        give_up_cancelled(job, now);
    if (show && job->record->state == PS_JOB_QUEUED)
        show_waiting(job);
    ps_recover_tick(job, now);
    ps_stage_tick(job, now);
    if (!ps_job_runs(job) || !job->work)
        return;
    ps_finish_tick(job, now);
    if (show) {
        ps_job_show(job);
        ps_job_changed(job);
    }
    ps_buf nothing = PS_BUF_EMPTY;
    /* whoever writes the model sees to a checkpoint */
    bool busy = job->waiting || job->finish_ns || job->again;
    if (checkpoint_due(job, now) && !busy && job->kind->save(job, &nothing) == PS_OK) {
        job->checkpoint_ns = now;
        ps_job_errand(job, NULL, checkpoint_run);
        ps_job_save(job); /* its progress, for those who ask while psd is down */
    }
    ps_buf_free(&nothing);
}

void ps_sched_tick(ps_sched *s)
{
    ps_turn_begin(s);
    uint64_t now = ps_core_now(s);
    bool save = now - s->saved_ns >= PS_SECOND_NS;
    bool show = now - s->shown_ns >= PS_SECOND_NS;
    if (save)
        s->saved_ns = now;
    if (show)
        s->shown_ns = now;
    ps_worker_expire(s);
    ps_list_each(node, &s->jobs) tick_job(s, ps_container(node, ps_job, link), now, save, show);
    ps_turn_end(s);
}

void ps_sched_drain(ps_sched *s, bool on)
{
    ps_turn_begin(s);
    s->draining = on;
    ps_turn_end(s);
}

/* ---- counts ---- */

static void count_workers(const ps_sched *s, ps_sched_counts *out)
{
    ps_core_require_locked(s);
    uint32_t by_state[PS_WORKER_STATES] = {0};
    ps_list_each(node, &s->workers)
    {
        const ps_worker *worker = ps_container(node, ps_worker, link);
        by_state[ps_worker_state_of(s, worker)]++;
        out->leases += worker->n_leases;
    }
    out->workers_idle = by_state[PS_WORKER_IDLE];
    out->workers_busy = by_state[PS_WORKER_BUSY];
    out->workers_draining = by_state[PS_WORKER_DRAINING];
    out->workers_silent = by_state[PS_WORKER_SILENT];
}

void ps_sched_count(ps_sched *s, ps_sched_counts *out)
{
    ps_core_lock(s);
    *out = (ps_sched_counts){.tasks_sent = s->tasks_sent,
                             .tasks_done = s->tasks_done,
                             .tasks_failed = s->tasks_failed,
                             .leases_lost = s->leases_lost};
    int64_t oldest_ms = 0;
    ps_list_each(node, &s->jobs)
    {
        const ps_job_record *record = ps_container(node, ps_job, link)->record;
        ps_job_state state = record->state;
        if (state == PS_JOB_QUEUED && out->queued++ == 0)
            oldest_ms = record->submitted_ms;
        out->running += state == PS_JOB_RUNNING;
        out->cancelling += state == PS_JOB_CANCELLING;
    }
    int64_t now_ms = ps_clock_wall_ms(&s->conf.clock);
    if (oldest_ms && now_ms > oldest_ms)
        out->oldest_queued_ms = (uint64_t)(now_ms - oldest_ms);
    count_workers(s, out);
    ps_core_unlock(s);
}

ps_job_record **ps_sched_running(ps_sched *s, size_t *n)
{
    *n = 0;
    ps_core_lock(s);
    size_t all = 0;
    ps_list_each(node, &s->jobs) all += ps_job_runs(ps_container(node, ps_job, link));
    ps_job_record **out = ps_alloc_array(all + 1, sizeof(ps_job_record *));
    ps_list_each(node, &s->jobs)
    {
        ps_job *job = ps_container(node, ps_job, link);
        if (!ps_job_runs(job))
            continue;
        ps_job_show(job);
        out[*n] = ps_job_record_copy(job->record);
        out[(*n)++]->spec[0] = 0;
    }
    ps_core_unlock(s);
    return out;
}

/* ---- answers of psd's other parts ---- */

void ps_sched_store_created(ps_sched *s, uint64_t job_id, const ps_error *error)
{
    ps_turn_begin(s);
    ps_create_answered(s, job_id, error);
    ps_turn_end(s);
}

void ps_sched_finished(ps_sched *s, uint64_t job_id, const ps_error *error)
{
    ps_turn_begin(s);
    ps_finish_answered(s, job_id, error);
    ps_turn_end(s);
}

void ps_sched_drafted(ps_sched *s, uint64_t job_id, const ps_error *error, const ps_draft *draft)
{
    ps_turn_begin(s);
    ps_finish_drafted(s, job_id, error, draft);
    ps_turn_end(s);
}

void ps_sched_fail_job(ps_sched *s, uint64_t job_id, const ps_error *error)
{
    ps_turn_begin(s);
    ps_job *job = ps_job_find(s, job_id);
    if (job && ps_job_runs(job))
        ps_job_fail(job, "%s", error->message);
    ps_turn_end(s);
}

void ps_sched_job_log(ps_sched *s, uint64_t job_id, int level, const char *text)
{
    ps_turn_begin(s);
    ps_job *job = ps_job_find(s, job_id);
    if (job)
        ps_job_say(job, level, "psd", "%s", text);
    ps_turn_end(s);
}

ps_status ps_sched_progress_save(ps_sched *s, uint64_t job_id, ps_buf *blob)
{
    ps_core_lock(s);
    ps_job *job = ps_job_find(s, job_id);
    ps_status st;
    if (!job || !ps_job_runs(job) || !job->work || !job->kind->save)
        st = ps_fail(PS_NOT_FOUND, "job %" PRIu64 " is not training", job_id);
    else
        st = ps_stage_save(job, blob);
    ps_core_unlock(s);
    return st;
}

bool ps_sched_holds_lease(ps_sched *s, const char *worker, uint64_t job_id)
{
    return strlen(worker) < PS_WORKER_MAX && ps_lease_index_has(&s->index, worker, job_id);
}
