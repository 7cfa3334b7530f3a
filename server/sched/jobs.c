/* Happy path: a job file is checked, written into the catalog, and queued. Whoever asks gets a job
 * as it is in memory or, when it has ended, as the catalog has it. What fails is the catalog
 * (nothing is queued then), or what is asked for is wrong. */
#include "common/base/mem.h"
#include "server/sched/job.h"
#include "server/sched/job_file.h"
#include "server/sched/stage.h"
#include "server/sched/turn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ROOM_RETRY_MS = 10000 };

/* Does psd take a job now? Then there is room for it, until leave_room. */
static ps_status enter_room(ps_sched *s)
{
    ps_core_lock(s);
    bool draining = s->draining;
    size_t n = s->n_jobs + s->n_entering, most = s->conf.max_unfinished;
    bool full = most && n >= most;
    s->n_entering += !draining && !full;
    ps_core_unlock(s);
    if (draining)
        return ps_fail(PS_UNAVAILABLE,
                       "psd is draining or about to stop and takes no new jobs; submit it later");
    if (!full)
        return PS_OK;
    return ps_fail_retry(
        PS_RESOURCE_EXHAUSTED, ROOM_RETRY_MS,
        "%zu jobs have not ended, at most %zu may (jobs.max_unfinished); try later", n, most);
}

/* Of a job that is in the list now (in a turn), or is not to be. */
static void leave_room(ps_sched *s)
{
    ps_core_require_locked(s);
    PS_REQUIRE(s->n_entering > 0);
    s->n_entering--;
}

/* Whose it is: for that, too, there is room then. */
static ps_status enter_account(ps_sched *s, const char *submitter, ps_account **out)
{
    ps_status st = enter_room(s);
    if (st)
        return st;
    ps_account *account =
        s->conf.quotas ? ps_quotas_account_named(s->conf.quotas, submitter) : NULL;
    st = ps_quota_take(account, PS_QUOTA_JOBS, 1);
    if (!st) {
        *out = account;
        return PS_OK;
    }
    ps_core_lock(s);
    leave_room(s);
    ps_core_unlock(s);
    return st;
}

static void leave_account(ps_sched *s, ps_account *account)
{
    ps_quota_give(account, PS_QUOTA_JOBS, 1);
    ps_core_lock(s);
    leave_room(s);
    ps_core_unlock(s);
}

static ps_job_record *make_record(ps_sched *s, const ps_job_file *file, ps_slice yaml)
{
    ps_job_record *r = ps_new(ps_job_record);
    r->name = ps_strdup(file->name);
    r->kind = ps_strdup(ps_job_spec_kind(file->spec)->name);
    r->state = PS_JOB_QUEUED;
    r->reason = ps_strdup("");
    r->submitter = ps_strdup(file->owner);
    r->submitted_ms = ps_clock_wall_ms(&s->conf.clock);
    r->spec = ps_alloc(yaml.len + 1);
    memcpy(r->spec, yaml.data, yaml.len);
    r->result = ps_strdup("");
    r->model_version = ps_strdup(file->version);
    r->others = ps_alloc_array(file->n_others + 1, sizeof *r->others);
    for (; r->n_others < file->n_others; r->n_others++)
        r->others[r->n_others] = ps_strdup(file->others[r->n_others].version);
    r->cancel = ps_strdup("");
    r->progress.eta_seconds = -1;
    return r;
}

/* Is it a job that can be done? */
static ps_status check_kind(const ps_sched *s, const ps_job_file *file)
{
    const char *name = ps_job_spec_kind(file->spec)->name;
    const ps_job_kind *kind = ps_job_kind_find(s->conf.kinds, name);
    ps_spec_model *model = NULL;
    if (!kind)
        return ps_fail(PS_UNIMPLEMENTED, "kind %s is not available in this version", name);
    if (!kind->check)
        return PS_OK;
    ps_status st = PS_OK;
    if (*file->config)
        st = ps_spec_model_parse(ps_slice_str(file->config), "its config", &model);
    if (st)
        return ps_wrap(st, "model %s", ps_job_spec_uses(file->spec));
    st = kind->check(file->spec, model);
    if (model)
        ps_spec_model_free(&model);
    return st;
}

/* Into the catalog, with the version of the model that was looked at: PS_ABORTED when that is the
 * model's no more. With PS_OK there is room for it, and it is in *account. */
static ps_status enter(ps_sched *s, const ps_job_text *text, ps_job_file **file,
                       ps_job_record **out, ps_account **account)
{
    ps_core_require_unlocked(s); /* the catalog is on a disk */
    ps_status st = ps_job_file_read(s->catalog, text, file);
    if (!st)
        st = check_kind(s, *file);
    if (!st)
        st = enter_account(s, text->owner, account);
    if (st)
        return st;
    ps_job_record *record = make_record(s, *file, text->yaml);
    st = ps_catalog_job_add(s->catalog, record, &record->id);
    if (!st) {
        *out = record;
        return PS_OK;
    }
    ps_error error;
    ps_error_save(&error, st);
    ps_job_record_free(&record);
    leave_account(s, *account);
    return ps_error_raise(&error);
}

ps_status ps_sched_submit(ps_sched *s, const char *submitter, ps_slice yaml, ps_job_allowed allowed,
                          void *user, uint64_t *job_id)
{
    enum { TRIES = 5 }; /* a model can be replaced between two looks, but not for ever */
    const ps_job_text text = {.yaml = yaml,
                              .origin = "job",
                              .owner = submitter,
                              .version = "",
                              .allowed = allowed,
                              .user = user};
    ps_job_file *file = NULL;
    ps_job_record *record = NULL;
    ps_account *account = NULL;
    ps_status st = PS_ABORTED;
    for (int i = 0; st == PS_ABORTED && i < TRIES; i++) {
        ps_job_file_unref(&file);
        st = enter(s, &text, &file, &record, &account);
    }
    if (st) {
        ps_job_file_unref(&file);
        return st;
    }
    *job_id = record->id;
    ps_turn_begin(s);
    leave_room(s);
    ps_job *job = ps_job_make(s, record, file);
    job->account = account;
    ps_job_say(job, PS_LOG_INFO, "psd", "submitted by %s", submitter);
    ps_turn_end(s);
    return PS_OK;
}

/* ---- cancel: first the catalog, then the job; so an answer outlives a crash ---- */

static ps_status already_ended(uint64_t job_id)
{
    return ps_fail(PS_FAILED_PRECONDITION, "job %" PRIu64 " has already ended", job_id);
}

/* The job is not in memory: it has ended, or does not exist. */
static ps_status cancel_unknown(ps_sched *s, uint64_t job_id)
{
    ps_job_record *record = NULL;
    ps_status st = ps_catalog_job_get(s->catalog, job_id, &record);
    if (st)
        return st;
    st = record->state >= PS_JOB_DONE
             ? already_ended(job_id)
             : ps_fail(PS_ABORTED, "job %" PRIu64 " is being submitted; try again", job_id);
    ps_job_record_free(&record);
    return st;
}

/* *known: it is in memory; *needed: and neither ended nor cancelled before. */
static void look_before_cancel(ps_sched *s, uint64_t job_id, bool *known, bool *needed)
{
    ps_core_lock(s);
    const ps_job *job = ps_job_find(s, job_id);
    ps_job_state state = job ? job->record->state : PS_JOB_NONE;
    *known = job != NULL;
    *needed = state == PS_JOB_QUEUED || state == PS_JOB_RUNNING;
    ps_core_unlock(s);
}

ps_status ps_sched_cancel(ps_sched *s, uint64_t job_id, const char *by, const char *reason,
                          ps_job_record **out)
{
    char text[PS_ERROR_MAX];
    (void)snprintf(text, sizeof text, "cancelled by %s%s%s", by, reason && *reason ? ": " : "",
                   reason ? reason : "");
    bool known, needed;
    look_before_cancel(s, job_id, &known, &needed);
    ps_status st = needed ? ps_catalog_job_cancel(s->catalog, job_id, text) : PS_OK;
    if (st)
        return ps_wrap(st, "job %" PRIu64 " is not cancelled", job_id);
    ps_turn_begin(s);
    ps_job *job = known ? ps_job_find(s, job_id) : NULL;
    bool lives = job && job->record->state < PS_JOB_DONE;
    if (lives) {
        ps_job_cancel(job, text);
        ps_job_end_cancelled(s); /* the answer says so, if that is all there was to do */
        if (out)
            *out = ps_job_record_copy(job->record);
    }
    ps_turn_end(s);
    if (lives)
        return PS_OK;
    return known ? already_ended(job_id) : cancel_unknown(s, job_id);
}

/* ---- what there is ---- */

/* An end that the catalog does not have yet is not told: after a crash the job would go on. */
static void hold_end_back(const ps_job *job, ps_job_record *copy)
{
    if (!job->unsaved || (copy->state != PS_JOB_DONE && copy->state != PS_JOB_FAILED))
        return;
    copy->state = PS_JOB_RUNNING;
    copy->ended_ms = 0;
    copy->result[0] = 0;
    free(copy->reason);
    copy->reason = ps_strdup("it has ended, which psd could not store yet");
}

/* As it is now, if it is in memory; NULL otherwise. */
static ps_job_record *live_record(ps_sched *s, uint64_t job_id)
{
    ps_core_require_locked(s);
    ps_job *job = ps_job_find(s, job_id);
    if (!job)
        return NULL;
    ps_job_show(job);
    ps_job_record *copy = ps_job_record_copy(job->record);
    hold_end_back(job, copy);
    return copy;
}

ps_status ps_sched_job_get(ps_sched *s, uint64_t job_id, ps_job_record **out)
{
    ps_core_lock(s);
    ps_job_record *record = live_record(s, job_id);
    ps_core_unlock(s);
    if (!record)
        return ps_catalog_job_get(s->catalog, job_id, out);
    *out = record;
    return PS_OK;
}

/* What is in memory is newer than its row, and may be in another state by now. */
static void refresh(ps_sched *s, ps_job_state state, ps_job_record **all)
{
    size_t kept = 0;
    ps_core_lock(s);
    for (size_t i = 0; all[i]; i++) {
        ps_job_record *live = live_record(s, all[i]->id);
        if (live) {
            ps_job_record_free(&all[i]);
            live->spec[0] = 0;
            all[i] = live;
        }
        if (state == PS_JOB_NONE || all[i]->state == state)
            all[kept++] = all[i];
        else
            ps_job_record_free(&all[i]);
    }
    all[kept] = NULL;
    ps_core_unlock(s);
}

ps_status ps_sched_job_list(ps_sched *s, ps_job_state state, uint64_t before, size_t limit,
                            ps_job_record ***out, uint64_t *next)
{
    ps_job_record **all = NULL;
    size_t n = 0;
    ps_status st = ps_catalog_job_list(s->catalog, state, before, limit + 1, &all);
    if (st)
        return st;
    while (all[n])
        n++;
    *next = 0;
    if (n > limit) { /* one more, which says that there are more */
        ps_job_record_free(&all[limit]);
        *next = all[limit - 1]->id;
    }
    refresh(s, state, all);
    *out = all;
    return PS_OK;
}

/* Of a model that its workers may read: the one that it works on or begins from, those that it uses
 * beside it, or its draft; NULL: none of these. */
static const char *version_of(const ps_job *job, const char *model)
{
    if (*model && strcmp(ps_job_spec_uses(job->spec), model) == 0)
        return job->file->version;
    if (job->draft && strcmp(job->spec->name, model) == 0)
        return job->draft;
    const ps_job_model *other = ps_job_file_other(job->file, model);
    if (other)
        return other->version;
    const ps_job_file *first = ps_stage_first(job); /* its parent is evaluated in the last stage */
    return *model && strcmp(ps_job_spec_uses(first->spec), model) == 0 ? first->version : NULL;
}

/* The training whose record a job asks about; 0: none. */
static uint64_t recorded_by(const ps_job *job)
{
    const ps_spec_explain *e = job->spec->explain;
    for (size_t i = 0; e && i < e->n_influence; i++)
        if (e->influence[i].job)
            return (uint64_t)e->influence[i].job;
    return 0;
}

ps_status ps_sched_job_record(ps_sched *s, uint64_t job_id, uint64_t *of)
{
    ps_core_lock(s);
    const ps_job *job = ps_job_find(s, job_id);
    bool known = job && job->spec;
    *of = known ? recorded_by(job) : 0;
    ps_core_unlock(s);
    if (!known)
        return ps_fail(PS_NOT_FOUND, "job %" PRIu64 " has ended", job_id);
    return *of ? PS_OK
               : ps_fail(PS_PERMISSION_DENIED, "job %" PRIu64 " asks about no training's record",
                         job_id);
}

ps_status ps_sched_job_model(ps_sched *s, uint64_t job_id, const char *model, char **version)
{
    ps_core_lock(s);
    const ps_job *job = ps_job_find(s, job_id);
    bool known = job && job->spec;
    const char *its = known ? version_of(job, model) : NULL;
    if (its)
        *version = ps_strdup(its);
    ps_core_unlock(s);
    if (!known)
        return ps_fail(PS_NOT_FOUND, "job %" PRIu64 " has ended", job_id);
    return its ? PS_OK
               : ps_fail(PS_PERMISSION_DENIED, "job %" PRIu64 " does not work on model %s", job_id,
                         model);
}
