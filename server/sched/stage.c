/* Happy path:
 *
 *     the stage's model is drafted ─▶ reading (no mutex): the next one's file, from the catalog
 *                                        │
 *     its kind starts ◀─ installed: leases end, kind, file and spec change
 *
 * After a restart the checkpoint says which stage, and the kind goes on instead of starting. What
 * fails is the reading, or what the checkpoint says. A file that is wrong ends the job; a catalog
 * that cannot be read now says nothing about it: the job waits, and it is read again. */
#include "server/sched/stage.h"

#include "common/base/mem.h"
#include "server/sched/job.h"
#include "server/sched/lease.h"
#include "server/sched/members.h"

#include <stdio.h>

bool ps_stage_follows(const ps_job *job)
{
    return ps_job_stage_after(job->file->stages, job->file->stage) < PS_STAGES;
}

const ps_job_file *ps_stage_first(const ps_job *job)
{
    return job->first ? job->first : job->file;
}

/* Whoever still has a task of it has nothing to add any more: every row, or tensor, is done. */
static void end_leases(ps_job *job)
{
    ps_core_require_locked(job->sched);
    ps_list_each_safe(node, &job->leases)
    {
        ps_lease *lease = ps_container(node, ps_lease, of_job);
        if (!lease->cancelled)
            ps_lease_cancel(lease, "that part of the job is done");
        ps_lease_orphan(lease);
    }
    ps_members_leave_unused(job);
}

/* What the stage that is over was stays with the file of the next, as long as the job is there. */
static void keep_before(ps_job *job, ps_job_file *file)
{
    PS_REQUIRE(!file->before && !file->settled_before);
    file->before = job->file;
    file->settled_before = job->settled;
    job->file = NULL;
    job->settled = ps_strdup("");
}

/* Takes the reference of the file. */
static void install(ps_job *job, ps_job_file *file)
{
    PS_REQUIRE(!job->waiting && file->stages == job->first->stages);
    char *unsettled = ps_strdup("");
    end_leases(job);
    if (job->work)
        job->kind->free(job->work);
    job->work = NULL;
    if (file != job->first)
        keep_before(job, file);
    ps_job_settle(job, &unsettled);
    ps_job_file_unref(&job->file); /* back to the first, after a restart: nothing is on its way */
    job->file = file;
    job->spec = file->spec;
    job->kind = ps_job_kind_find(job->sched->conf.kinds, ps_job_spec_kind(file->spec)->name);
    PS_REQUIRE(job->kind);
    job->outcome = (ps_job_outcome){0};
    job->meter = (ps_meter){0};
    job->record->progress = (ps_job_progress){0};
    job->record->test_metrics = (ps_metric_list){0};
    ps_job_changed(job);
}

/* ---- the file of a stage that is not the first ---- */

typedef struct reading {
    ps_outbox_entry entry;
    ps_job *job; /* a reference */
    unsigned stage;
    char *version;
    ps_buf progress;             /* of the kind; of one that starts: empty */
    void (*failed)(ps_job *job); /* NULL: it starts */
} reading;

static void go_on(ps_job *job, const reading *r)
{
    if (!r->failed)
        job->kind->start(job);
    else if (job->kind->load(job, ps_buf_slice(&r->progress)))
        r->failed(job);
}

static void wait_and_read_again(ps_job *job, const reading *r)
{
    uint32_t failed = ++job->failed_stages;
    ps_stage_again *again = ps_new(ps_stage_again);
    PS_REQUIRE(!job->again);
    *again = (ps_stage_again){.at_ns = ps_core_now(job->sched) + ps_wait_s(failed) * PS_SECOND_NS,
                              .stage = r->stage,
                              .version = ps_strdup(r->version),
                              .failed = r->failed};
    ps_buf_append(&again->progress, r->progress.data, r->progress.len);
    job->again = again;
    ps_job_say(job, PS_LOG_WARNING, "psd", "%s",
               ps_job_waits(job, &(ps_job_wait){.what = "its next stage cannot begin yet",
                                                .why = ps_error_message(),
                                                .kept = "what the stages before made is kept",
                                                .failed = failed}));
    ps_job_changed(job);
}

static void begin_stage(ps_job *job, const reading *r, ps_job_file *file)
{
    if (job->failed_stages) { /* why it waited */
        free(job->record->reason);
        job->record->reason = ps_strdup("");
    }
    job->failed_stages = 0;
    free(job->past->version); /* a checkpoint until now was of the stage before */
    job->past->version = ps_strdup(r->version);
    install(job, file);
    go_on(job, r);
}

static void take(const reading *r, ps_status st, ps_job_file *file)
{
    ps_job *job = ps_job_answered(r->job->sched, r->job->record->id);
    bool wanted = job && job->record->state != PS_JOB_CANCELLING;
    if (wanted && !st) {
        begin_stage(job, r, file);
        return;
    }
    if (wanted && !ps_job_file_is_wrong(st))
        wait_and_read_again(job, r);
    else if (wanted)
        ps_job_fail(job, "stage %u of the job cannot begin: %s", r->stage + 1, ps_error_message());
    ps_job_file_unref(&file);
}

static void reading_run(ps_outbox_entry *entry)
{
    const reading *r = ps_container(entry, reading, entry);
    ps_sched *s = r->job->sched;
    ps_job_file *file = NULL;
    ps_core_require_unlocked(s); /* the catalog is on a disk */
    ps_status st = ps_job_file_stage(s->catalog, r->job->first, ps_slice_str(r->job->record->spec),
                                     r->stage, r->version, &file);
    ps_core_lock(s);
    take(r, st, file);
    s->assign_due = true; /* its tasks, or another job's in its place */
    ps_core_unlock(s);
}

static void reading_drop(ps_outbox_entry *entry)
{
    reading *r = ps_container(entry, reading, entry);
    ps_job_unref(r->job);
    ps_buf_free(&r->progress);
    free(r->version);
    free(r);
}

static void begin(ps_job *job, unsigned stage, const char *version, ps_slice progress,
                  void (*failed)(ps_job *))
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(!job->waiting && job->first && job->past);
    reading *r = ps_new(reading);
    *r = (reading){.entry = {.run = reading_run, .drop = reading_drop},
                   .job = job,
                   .stage = stage,
                   .version = ps_strdup(version),
                   .failed = failed};
    ps_buf_append(&r->progress, progress.data, progress.len);
    ps_job_ref(job);
    job->waiting = true;
    ps_outbox_add(&job->sched->outbox, &r->entry);
}

void ps_stage_tick(ps_job *job, uint64_t now)
{
    ps_core_require_locked(job->sched);
    ps_stage_again *again = job->again;
    if (!again || job->waiting || !ps_job_runs(job) || now < again->at_ns)
        return;
    job->again = NULL;
    begin(job, again->stage, again->version, ps_buf_slice(&again->progress), again->failed);
    ps_stage_again_free(&again);
}

void ps_stage_next(ps_job *job, const ps_stage_end *end)
{
    PS_REQUIRE(ps_stage_follows(job) && job->draft);
    unsigned stage = job->file->stage;
    if (!job->past)
        job->past = ps_new(ps_stage_past);
    ps_stage_past *p = job->past;
    free(p->told[stage]);
    p->told[stage] = ps_strdup(end->told);
    if (end->sha256)
        (void)snprintf(p->sha256, sizeof p->sha256, "%s", end->sha256);
    p->seconds = end->seconds;
    begin(job, ps_job_stage_after(job->file->stages, stage), job->draft, ps_slice_of(NULL, 0),
          NULL);
}

/* ---- checkpoints ---- */

ps_status ps_stage_save(ps_job *job, ps_buf *blob)
{
    ps_core_require_locked(job->sched);
    if (job->first)
        ps_stage_past_put(job->file->stage ? job->past : NULL, job->file->stage, blob);
    return job->kind->save(job, blob);
}

void ps_stage_anew(ps_job *job)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(!job->work);
    if (!job->first)
        return;
    ps_stage_past_free(&job->past);
    if (job->file != job->first)
        install(job, ps_job_file_ref(job->first));
}

void ps_stage_load(ps_job *job, ps_slice blob, void (*failed)(ps_job *job))
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(!job->work && failed);
    ps_cursor c = ps_cursor_of(blob);
    unsigned stage = 0;
    ps_stage_past *past = NULL;
    ps_stage_anew(job); /* a checkpoint may be of an earlier stage than one that was no good */
    ps_status st = job->first ? ps_stage_past_take(&c, &stage, &past) : PS_OK;
    ps_slice rest = ps_read_bytes(&c, ps_cursor_left(&c));
    if (!st && stage > 0) {
        job->past = past;
        begin(job, stage, past->version, rest, failed);
        return;
    }
    if (!st)
        st = job->kind->load(job, rest);
    if (st)
        failed(job);
}
