/* Happy path: a copy of the record goes into the catalog; when the job has ended, and that is
 * saved, the outside is told, and the job is forgotten. What fails is the catalog: the tick tries
 * again. */
#include "server/sched/job_save.h"

#include "common/base/mem.h"

#include <inttypes.h>

/* A job that has ended, and is known to have in the catalog, is needed only by those who hold a
 * reference. */
static void retire(ps_job *job)
{
    ps_core_require_locked(job->sched);
    if (!job->ended || job->unsaved || ps_list_empty(&job->link))
        return;
    ps_job_unlink(job);
    ps_job_unref(job);
}

/* ---- the end ---- */

/* The job's checkpoints go with its end: only when the catalog knows of it. A psd that died before
 * would find a job that runs and has no checkpoint, and train it anew. */
static void ended_run(const ps_errand *e)
{
    ps_job *job = e->job;
    ps_sched *s = job->sched;
    ps_core_lock(s);
    PS_REQUIRE(!job->ended && !job->waiting); /* it is told once, after every answer */
    bool unsaved = job->end_unsaved = job->unsaved;
    ps_job_state state = job->record->state;
    ps_core_unlock(s);
    if (unsaved)
        return;
    s->out.store->ended(s->out.store_user, job->record->id, state);
    ps_core_lock(s);
    job->ended = true;
    retire(job);
    ps_core_unlock(s);
}

void ps_job_tell_ended(ps_job *job)
{
    ps_core_require_locked(job->sched);
    ps_job_errand(job, NULL, ended_run);
}

/* ---- the catalog ---- */

typedef struct save {
    ps_outbox_entry entry;
    ps_job *job; /* a reference */
    ps_job_record *record;
    ps_job_line *lines; /* of its log, n_lines */
    size_t n_lines;
} save;

static void tell_saved(ps_job *job, ps_status st)
{
    char times[PS_REPEAT_TEXT];
    uint64_t id = job->record->id;
    if (st && ps_repeat_due(&job->trouble, ps_core_now(job->sched) / 1000000, NULL))
        ps_log_error("sched", "job=%" PRIu64 " state not saved, trying again: %s%s", id,
                     ps_error_message(), ps_repeat_text(&job->trouble, times));
    else if (!st && ps_repeat_over(&job->trouble))
        ps_log_notice("sched", "job=%" PRIu64 " state saved%s", id,
                      ps_repeat_text(&job->trouble, times));
}

static void take_saved(ps_job *job, const save *e, ps_status st)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(job->saves > 0);
    tell_saved(job, st);
    if (!st && e->n_lines)
        job->log.saved = e->lines[e->n_lines - 1].number + 1;
    job->saves--;
    job->unsaved = st || job->saves;
    if (job->end_unsaved && !job->unsaved) {
        job->end_unsaved = false;
        ps_job_tell_ended(job);
    }
    if (!job->unsaved && job->record->state >= PS_JOB_DONE)
        ps_job_wake(job); /* its end is told only now */
    retire(job);
}

static void save_run(ps_outbox_entry *entry)
{
    const save *e = ps_container(entry, save, entry);
    ps_sched *s = e->job->sched;
    ps_core_require_unlocked(s); /* the catalog is on a disk */
    ps_status st = ps_catalog_job_save(s->catalog, e->record, e->lines, e->n_lines);
    ps_core_lock(s);
    take_saved(e->job, e, st);
    ps_core_unlock(s);
}

static void save_drop(ps_outbox_entry *entry)
{
    save *e = ps_container(entry, save, entry);
    ps_job_record_free(&e->record);
    ps_job_lines_free(&e->lines, e->n_lines);
    ps_job_unref(e->job);
    free(e);
}

void ps_job_save(ps_job *job)
{
    ps_core_require_locked(job->sched);
    save *e = ps_new(save);
    *e = (save){.entry = {.run = save_run, .drop = save_drop}, .job = job};
    ps_job_ref(job);
    e->record = ps_job_record_copy(job->record);
    e->lines = ps_job_log_unsaved(&job->log, &e->n_lines);
    job->unsaved = true;
    job->saves++;
    ps_outbox_add(&job->sched->outbox, &e->entry);
}
