/* psd starts, and takes up the jobs that had not ended.
 *
 *    restoring ─▶ its checkpoint is read: goes on; there is none: begins anew; none is good: failed
 *     ▲   ╰─ not now ─▶ waiting ── cancel ─▶ cancelled
 *     ╰───── time ─────────╯
 *
 * Not now: an error of the disk, no memory, no descriptor left, rights, a newer psd's. That says
 * nothing about the checkpoint, and what is in it is worth more than the wait: the job runs, says
 * why it does not go on, and psd tries again until it works or somebody cancels the job. Other jobs
 * go on meanwhile.
 *
 * A catalog that cannot be read is everybody's: then psd does not start. */
#include "server/sched/recover.h"

#include "common/base/mem.h"
#include "server/sched/job.h"
#include "server/sched/job_file.h"
#include "server/sched/stage.h"
#include "server/sched/turn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef ps_status (*restore_fn)(void *user, uint64_t job_id, const ps_job_spec *spec,
                                ps_restored *out);

void ps_restored_free(ps_restored *restored)
{
    ps_buf_free(&restored->progress);
    ps_buf_free(&restored->note);
}

static void wait_and_try_again(ps_job *job, const char *why)
{
    uint64_t now = ps_core_now(job->sched);
    uint32_t failed = ++job->failed_restores;
    job->restore_ns = now + ps_wait_s(failed) * PS_SECOND_NS;
    const char *text = ps_job_waits(job, &(ps_job_wait){.what = "its checkpoint cannot be read",
                                                        .why = why,
                                                        .kept = "it is kept",
                                                        .failed = failed});
    if (ps_repeat_due(&job->restore_trouble, now / 1000000, why))
        ps_job_say(job, PS_LOG_ERROR, "psd", "%s", text);
    ps_job_changed(job);
}

static void start_anew(ps_job *job)
{
    PS_REQUIRE(!job->work);
    ps_job_say(job, PS_LOG_NOTICE, "psd",
               "psd has restarted and there is no checkpoint: the job starts anew");
    job->record->progress = (ps_job_progress){0};
    ps_stage_anew(job);
    job->kind->start(job);
}

static void restore_run(const ps_errand *e)
{
    const ps_sched *s = e->job->sched;
    s->out.store->restore(s->out.store_user, e->job->record->id, e->text);
}

/* The outside is asked for it. unusable: why the newest is none; NULL: nothing is known. */
static void ask(ps_job *job, const char *unusable)
{
    PS_REQUIRE(!job->waiting);
    job->waiting = true;
    ps_job_errand(job, unusable, restore_run);
}

/* The one before it, if there is one. */
static void ask_for_another(ps_job *job)
{
    char why[PS_ERROR_MAX];
    (void)snprintf(why, sizeof why, "what it says of the job: %s", ps_error_message());
    ask(job, why);
}

static void go_on(ps_job *job, ps_restored *restored)
{
    PS_REQUIRE(!job->work);
    if (restored->note.len)
        ps_job_say(job, PS_LOG_WARNING, "psd", "%s", ps_buf_cstr(&restored->note));
    ps_stage_load(job, ps_buf_slice(&restored->progress), ask_for_another);
}

/* st, and this thread's message: how the restoring went. */
static void take_restored(ps_job *job, ps_status st, ps_restored *restored)
{
    ps_core_require_locked(job->sched);
    free(job->record->reason); /* why it waited when psd stopped, or until now */
    job->record->reason = ps_strdup("");
    job->checkpoint_ns = ps_core_now(job->sched);
    if (st && st != PS_NOT_FOUND && st != PS_CORRUPT) {
        wait_and_try_again(job, ps_error_message());
        return;
    }
    job->failed_restores = 0;
    if (st == PS_OK)
        go_on(job, restored);
    else if (st == PS_NOT_FOUND)
        start_anew(job);
    else
        ps_job_fail(job, "cannot go on after the restart: %s", ps_error_message());
}

static void resume(ps_job *job, restore_fn restore)
{
    ps_restored restored = {0};
    ps_status st = PS_NOT_FOUND;
    job->began_ns = job->checkpoint_ns = ps_core_now(job->sched);
    if (job->kind->load && restore)
        st = restore(job->sched->out.store_user, job->record->id, job->spec, &restored);
    take_restored(job, st, &restored);
    ps_restored_free(&restored);
}

void ps_recover_tick(ps_job *job, uint64_t now)
{
    ps_core_require_locked(job->sched);
    if (!ps_job_runs(job) || !job->restore_ns || now < job->restore_ns)
        return;
    job->restore_ns = 0;
    ask(job, NULL);
}

void ps_sched_restored(ps_sched *s, uint64_t job_id, const ps_error *error, ps_restored *restored)
{
    ps_turn_begin(s);
    ps_job *job = ps_job_answered(s, job_id);
    if (job && job->record->state != PS_JOB_CANCELLING)
        take_restored(job, error ? ps_error_raise(error) : PS_OK, restored);
    ps_turn_end(s);
}

/* Without it the job goes on, and its log begins anew. */
static size_t read_log(ps_sched *s, uint64_t job_id, ps_job_line **lines)
{
    size_t n = 0;
    if (ps_catalog_job_lines(s->catalog, job_id, PS_JOB_LOG_LINES, lines, &n))
        ps_log_warning("sched", "job=%" PRIu64 " its log is not there: %s", job_id,
                       ps_error_message());
    return n;
}

/* One kind's code would read the sections of another. */
static ps_status check_kind(const ps_job_record *record, const ps_job_file *file)
{
    const char *kind = ps_job_spec_kind(file->spec)->name;
    return strcmp(kind, record->kind) == 0
               ? PS_OK
               : ps_fail(PS_INVALID_ARGUMENT, "kind %s in the catalog, %s in its file",
                         record->kind, kind);
}

/* The file, with the version of the model that the job has used before this restart. A job of an
 * older psd has none yet. */
static ps_status read_file(ps_sched *s, ps_job_record *record, ps_job_file **out)
{
    ps_job_file *file = NULL;
    ps_status st = ps_job_file_read(s->catalog,
                                    &(ps_job_text){.yaml = ps_slice_str(record->spec),
                                                   .origin = record->name,
                                                   .owner = record->submitter,
                                                   .version = record->model_version,
                                                   .others = record->others,
                                                   .n_others = record->n_others},
                                    &file);
    if (!st)
        st = check_kind(record, file);
    if (!st && strcmp(file->version, record->model_version) != 0) {
        st = ps_catalog_job_use(s->catalog, record->id, file->version);
        free(record->model_version);
        record->model_version = ps_strdup(file->version);
    }
    if (st)
        ps_job_file_unref(&file);
    *out = file;
    return st;
}

/* Takes the record. What fails is the catalog: everybody's. */
static ps_status recover_job(ps_sched *s, ps_job_record *record, restore_fn restore)
{
    ps_core_require_locked(s);
    ps_job_file *file = NULL;
    ps_status st = read_file(s, record, &file);
    if (st && !ps_job_file_is_wrong(st)) {
        st = ps_wrap(st, "job %" PRIu64 " cannot be read, and stays as it is", record->id);
        ps_job_record_free(&record);
        return st;
    }
    ps_error error; /* of the job's file */
    ps_error_save(&error, st);
    ps_job_line *lines = NULL;
    size_t n = read_log(s, record->id, &lines);
    ps_job *job = ps_job_make(s, record, file);
    if (s->conf.quotas)
        job->account = ps_quotas_account_named(s->conf.quotas, record->submitter);
    ps_quota_charge(job->account, PS_QUOTA_JOBS, 1);
    ps_job_log_restore(&job->log, &lines, n);
    if (!st && !job->kind)
        ps_error_save(&error, ps_fail(PS_UNIMPLEMENTED, "kind %s is not known", record->kind));
    if (record->state == PS_JOB_CANCELLING)
        ;                     /* it holds nothing, and is seen to */
    else if (*record->cancel) /* answered, and not done before psd went */
        ps_job_cancel(job, record->cancel);
    else if (error.code)
        ps_job_fail(job, "this psd cannot read the job any more: %s", error.message);
    else if (record->state == PS_JOB_RUNNING)
        resume(job, restore);
    return PS_OK;
}

ps_status ps_sched_recover(ps_sched *s, restore_fn restore)
{
    PS_REQUIRE(!s->recovered);
    ps_job_record **records = NULL;
    ps_status st = ps_catalog_job_unfinished(s->catalog, &records);
    if (st)
        return st;
    ps_turn_begin(s);
    ps_error error = {0};
    for (ps_job_record **r = records; *r; r++) {
        if (error.code)
            ps_job_record_free(r);
        else
            ps_error_save(&error, recover_job(s, *r, restore));
    }
    s->recovered = !error.code;
    ps_turn_end(s);
    ps_free(&records);
    return error.code ? ps_error_raise(&error) : PS_OK;
}
