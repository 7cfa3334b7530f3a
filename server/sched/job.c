/* Happy path: queued, running, done. Each move is checked against the table, logged, shown to those
 * who watch, and written into the catalog (which may fail: then it is tried again until it works,
 * and the state in memory is the one that counts). An end takes the job's leases first. */
#include "server/sched/job.h"

#include "common/base/mem.h"
#include "common/base/sm.h"
#include "common/base/text.h"
#include "server/sched/job_save.h"
#include "server/sched/lease.h"
#include "server/sched/members.h"
#include "server/sched/waits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*            ╭──────────── cancel ────────────────────────────╮
 *  ● ─▶ queued ─▶ running ─▶ done                             ▼
 *         │          ├───── cancel ─▶ cancelling ─────────▶ cancelled
 *         ╰──────────┴─▶ failed            ╰─▶ done (its model was being written)
 */
static const char *const state_names[] = {
    [PS_JOB_NONE] = "none",           [PS_JOB_QUEUED] = "queued",
    [PS_JOB_RUNNING] = "running",     [PS_JOB_CANCELLING] = "cancelling",
    [PS_JOB_DONE] = "done",           [PS_JOB_FAILED] = "failed",
    [PS_JOB_CANCELLED] = "cancelled",
};
static const ps_sm_set state_next[PS_JOB_STATE_COUNT] = {
    [PS_JOB_QUEUED] = PS_SM(PS_JOB_RUNNING) | PS_SM(PS_JOB_CANCELLED) | PS_SM(PS_JOB_FAILED),
    [PS_JOB_RUNNING] = PS_SM(PS_JOB_DONE) | PS_SM(PS_JOB_FAILED) | PS_SM(PS_JOB_CANCELLING),
    [PS_JOB_CANCELLING] = PS_SM(PS_JOB_CANCELLED) | PS_SM(PS_JOB_DONE),
};
static const ps_sm machine = {.tag = "job",
                              .names = state_names,
                              .next = state_next,
                              .count = PS_JOB_STATE_COUNT,
                              .level = PS_LOG_INFO};

static ps_job *job_at(ps_list *node, size_t offset)
{
    return (ps_job *)(void *)((char *)node - offset);
}

/* Oldest first: two submissions at once may get here in the wrong order. offset: of the member of
 * ps_job by which it is in the list. */
static void insert_by_id(ps_list *list, ps_job *job, size_t offset)
{
    ps_list *node = (ps_list *)(void *)((char *)job + offset), *at = list;
    PS_REQUIRE(ps_list_empty(node));
    while (at->prev != list && job_at(at->prev, offset)->record->id > job->record->id)
        at = at->prev;
    ps_list_append(at, node);
}

/* Into the list of its state. */
static void sort_in(ps_job *job)
{
    ps_sched *s = job->sched;
    ps_list_remove(&job->of_state);
    switch (job->record->state) {
    case PS_JOB_QUEUED:
        s->newly_queued = true;
        insert_by_id(&s->queued[job->kind && job->kind->inference], job,
                     offsetof(ps_job, of_state));
        break;
    case PS_JOB_RUNNING:
    case PS_JOB_CANCELLING:
        s->freed |= job->record->state == PS_JOB_CANCELLING; /* it may hold nothing */
        insert_by_id(&s->active, job, offsetof(ps_job, of_state));
        break;
    default:
        break; /* it has ended */
    }
}

ps_job *ps_job_make(ps_sched *s, ps_job_record *record, ps_job_file *file)
{
    ps_core_require_locked(s);
    ps_job *job = ps_new(ps_job);
    job->sched = s;
    job->refs = 1;
    job->record = record;
    job->file = file;
    job->spec = file ? file->spec : NULL;
    if (file && file->stages > 1)
        job->first = ps_job_file_ref(file);
    job->settled = ps_strdup("");
    job->kind = ps_job_kind_find(s->conf.kinds, record->kind);
    job->version = 1;
    ps_list_init(&job->link);
    ps_list_init(&job->leases);
    ps_list_init(&job->watches);
    ps_list_init(&job->of_state);
    ps_list_init(&job->of_changed);
    insert_by_id(&s->jobs, job, offsetof(ps_job, link));
    s->n_jobs++;
    sort_in(job);
    return job;
}

void ps_job_settle(ps_job *job, char **section)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(*section);
    free(job->settled);
    job->settled = *section;
    *section = NULL;
}

void ps_job_say(ps_job *job, int level, const char *source, const char *format, ...)
{
    ps_core_require_locked(job->sched);
    char text[PS_JOB_LOG_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ps_text_clean(text);
    ps_job_log_add(&job->log, ps_clock_wall_ms(&job->sched->conf.clock), level, source, text);
    ps_log((ps_log_level)level, "job", "job=%" PRIu64 " source=%s %s", job->record->id, source,
           text);
    ps_job_wake(job);
}

static void replace(char **text, const char *with)
{
    if (!with)
        return;
    char *copy = ps_strdup(with); /* with may be the old text */
    free(*text);
    *text = copy;
}

static void end_leases(ps_job *job)
{
    ps_core_require_locked(job->sched);
    ps_list_each_safe(node, &job->leases)
    {
        ps_lease *lease = ps_container(node, ps_lease, of_job);
        if (!lease->cancelled)
            ps_lease_cancel(lease, "the job has ended");
        ps_lease_orphan(lease);
    }
}

static void on_end(ps_job *job)
{
    ps_quota_give(job->account, PS_QUOTA_JOBS, 1);
    job->account = NULL;
    end_leases(job);
    ps_members_leave_unused(job);
    if (job->waiting)
        job->ended_waits = true;
    else
        ps_job_tell_ended(job);
}

void ps_job_move(ps_job *job, ps_job_state to, const char *reason, const char *result)
{
    ps_core_require_locked(job->sched);
    ps_job_record *r = job->record;
    int64_t now = ps_clock_wall_ms(&job->sched->conf.clock);
    if (ps_job_runs(job))
        ps_job_show(job);
    unsigned state = r->state;
    if (ps_sm_move(&machine, &state, to, "job=%" PRIu64, r->id))
        return; /* a bug of ours, and logged as one */
    r->state = (ps_job_state)state;
    sort_in(job);
    replace(&r->reason, reason);
    replace(&r->result, result);
    if (to == PS_JOB_RUNNING)
        r->started_ms = now;
    bool ends = ps_sm_ended(&machine, state);
    if (ends) {
        r->ended_ms = now;
        r->progress.workers = 0;
        r->progress.samples_per_second = 0;
        r->progress.bytes_in_per_second = r->progress.bytes_out_per_second = 0;
        r->progress.eta_seconds = to == PS_JOB_DONE ? 0 : -1;
    }
    ps_job_save(job);
    ps_job_changed(job);
    if (ends)
        on_end(job);
}

void ps_job_start(ps_job *job)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->record->state == PS_JOB_QUEUED && job->kind && !job->work);
    job->began_ns = job->checkpoint_ns = ps_core_now(job->sched);
    ps_job_move(job, PS_JOB_RUNNING, "", NULL);
    job->kind->start(job);
}

void ps_job_fail(ps_job *job, const char *format, ...)
{
    ps_core_require_locked(job->sched);
    char text[PS_ERROR_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ps_text_clean(text);
    if (job->record->state == PS_JOB_CANCELLING) /* it is to end anyway */
        return;
    ps_job_say(job, PS_LOG_ERROR, "psd", "%s", text);
    ps_job_move(job, PS_JOB_FAILED, text, NULL);
}

/* Writing the model is not interrupted: that job is as good as done. */
void ps_job_cancel(ps_job *job, const char *text)
{
    ps_core_require_locked(job->sched);
    if (job->record->state != PS_JOB_QUEUED && !ps_job_runs(job))
        return;
    ps_job_say(job, PS_LOG_NOTICE, "psd", "%s", text);
    if (!ps_job_runs(job)) {
        ps_job_move(job, PS_JOB_CANCELLED, text, NULL);
        return;
    }
    ps_job_move(job, PS_JOB_CANCELLING, text, NULL);
    ps_list_each_safe(node, &job->leases)
        ps_lease_cancel(ps_container(node, ps_lease, of_job), text);
}

void ps_job_end_cancelled(ps_sched *s)
{
    ps_core_require_locked(s);
    if (!s->freed)
        return;
    s->freed = false;
    ps_list_each_safe(node, &s->active)
    {
        ps_job *job = ps_container(node, ps_job, of_state);
        if (job->record->state == PS_JOB_CANCELLING && ps_list_empty(&job->leases) && !job->waiting)
            ps_job_move(job, PS_JOB_CANCELLED, NULL, NULL);
    }
}

ps_job *ps_job_answered(ps_sched *s, uint64_t job_id)
{
    ps_core_require_locked(s);
    ps_job *job = ps_job_find(s, job_id);
    if (!job || !job->waiting) {
        ps_log_warning("sched", "job=%" PRIu64 " an answer that nobody waits for", job_id);
        return NULL;
    }
    job->waiting = false;
    s->freed = true;
    if (job->ended_waits)
        ps_job_tell_ended(job);
    return job->ended_waits ? NULL : job;
}

/* Of a job that waits for room for its model, or for its checkpoint, others have said why. */
static void show_waiting(ps_job *job)
{
    char why[PS_WAITS_MAX];
    bool other = job->record->state > PS_JOB_RUNNING || job->outcome.failed_writes ||
                 job->failed_restores || job->failed_stages;
    if (other)
        return;
    ps_job_waits_for(job, why);
    replace(&job->record->reason, why);
}

void ps_job_show(ps_job *job)
{
    ps_core_require_locked(job->sched);
    enum { RATE_SECONDS = 5, ETA_SECONDS = 30 };
    ps_job_progress *p = &job->record->progress;
    uint64_t now = ps_core_now(job->sched);
    show_waiting(job);
    if (!ps_job_runs(job) || !job->work)
        return;
    ps_meter_means(&job->meter, now, RATE_SECONDS);
    p->samples_per_second = ps_meter_rate(&job->meter, now, RATE_SECONDS);
    p->has_loss = job->meter.has_loss;
    p->loss = job->meter.loss;
    job->record->metrics = job->meter.metrics;
    job->kind->show(job); /* which may know better */
    p->workers = 0;
    ps_list_each(node, &job->sched->workers)
    {
        const ps_worker *worker = ps_container(node, ps_worker, link);
        p->workers += ps_lease_index_has(&job->sched->index, worker->name, job->record->id);
    }
    double rate = ps_meter_rate(&job->meter, now, ETA_SECONDS);
    bool known = p->samples_total > 0 && rate > 0 && ps_meter_has_settled(&job->meter, now);
    p->eta_seconds = known ? (double)(p->samples_total - p->samples) / rate : -1;
    if (!job->sched->out.store->gauges)
        return;
    ps_job_gauges gauges = {0};
    job->sched->out.store->gauges(job->sched->out.store_user, job->record->id, &gauges);
    p->steps = gauges.steps;
    p->bytes_in_per_second = gauges.bytes_in_per_second;
    p->bytes_out_per_second = gauges.bytes_out_per_second;
    p->staleness_mean = gauges.staleness_mean;
    p->staleness_max = gauges.staleness_max;
}

/* ---- what is tried again ---- */

enum { WAIT_MAX_S = 60 };

uint64_t ps_wait_s(uint32_t failed)
{
    PS_REQUIRE(failed > 0);
    uint64_t seconds = failed <= 6 ? UINT64_C(1) << (failed - 1) : WAIT_MAX_S;
    return seconds < WAIT_MAX_S ? seconds : WAIT_MAX_S;
}

const char *ps_job_waits(ps_job *job, const ps_job_wait *wait)
{
    ps_core_require_locked(job->sched);
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
