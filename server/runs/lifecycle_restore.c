/* Happy path: psd starts, a job's newest checkpoint is read, and its parameters are there again.
 * One that cannot be read now is asked for again by the scheduler, on the pool. What of jobs that
 * have ended a crash left behind goes. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/loop/off_loop.h"
#include "server/durable/checkpoint.h"
#include "server/record/record_file.h"
#include "server/runs/lifecycle_internal.h"
#include "server/runs/lifecycle_record.h"
#include "server/sched/kinds/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whoever has gone back to an older psd can go forward again: the job waits. */
static ps_status check_progress(const char *kind, const char *folder, const ps_buf *progress,
                                ps_param_store **store)
{
    ps_status st = ps_progress_check(kind, ps_buf_slice(progress));
    if (!st)
        return PS_OK;
    ps_param_store_unref(store);
    return ps_wrap(st, "%s", folder);
}

static ps_status restore(ps_lifecycle *l, uint64_t job_id, const char *kind, ps_restored *out)
{
    char *folder = ps_lifecycle_folder(l, job_id);
    ps_param_store *store = NULL;
    ps_checkpoint_info info = {0};
    ps_status st = ps_checkpoint_load(l->conf.files.disk, folder, &l->conf.host, &store,
                                      &out->progress, &info);
    if (!st)
        ps_lifecycle_record_restore(l, job_id, store, out);
    if (!st)
        st = check_progress(kind, folder, &out->progress, &store);
    ps_free(&folder);
    if (st)
        return st;
    unsigned long long number = info.number;
    ps_log_notice("checkpoint", "restored job=%llu number=%llu version=%llu",
                  (unsigned long long)job_id, number, (unsigned long long)info.version);
    if (info.damaged)
        ps_buf_printf(&out->note,
                      "goes on from checkpoint %llu: %u newer %s damaged or gone; psd's log says "
                      "which, and where they are kept",
                      number, info.damaged, info.damaged == 1 ? "is" : "are");
    ps_runs_add(l->conf.runs, job_id, store, true);
    return PS_OK;
}

ps_status ps_lifecycle_restore(void *lifecycle, uint64_t job_id, const ps_job_spec *spec,
                               ps_restored *out)
{
    if (spec->explain)
        return ps_lifecycle_explained(lifecycle, job_id, out);
    if (spec->durability == PS_SPEC_MEMORY)
        return ps_fail(PS_NOT_FOUND, "job %llu keeps no checkpoints", (unsigned long long)job_id);
    return restore(lifecycle, job_id, ps_job_spec_kind(spec)->name, out);
}

typedef struct retry {
    ps_off_loop off;
    ps_lifecycle *lifecycle;
    uint64_t job_id;
    char *unusable; /* what is wrong with the newest; NULL: nothing is known */
} retry;

static ps_status restore_again(const retry *a, const char *kind, ps_restored *out)
{
    if (!a->unusable)
        return restore(a->lifecycle, a->job_id, kind, out);
    char *folder = ps_lifecycle_folder(a->lifecycle, a->job_id);
    ps_status st = ps_checkpoint_set_aside(a->lifecycle->conf.files.disk, folder, a->unusable);
    ps_free(&folder);
    if (!st)
        st = restore(a->lifecycle, a->job_id, kind, out);
    return st == PS_CORRUPT ? ps_wrap(st, "%s", a->unusable) : st;
}

static void again_run(ps_off_loop *off)
{
    retry *a = ps_container(off, retry, off);
    ps_restored restored = {0};
    ps_error error;
    ps_job_record *record = NULL;
    ps_status st = ps_sched_job_get(a->lifecycle->sched, a->job_id, &record);
    if (!st)
        st = restore_again(a, record->kind, &restored);
    ps_job_record_free(&record);
    ps_error_save(&error, st);
    ps_sched_restored(a->lifecycle->sched, a->job_id, st ? &error : NULL, &restored);
    ps_restored_free(&restored);
    ps_free(&a->unusable);
    ps_free(&a);
}

void ps_lifecycle_restore_out(void *lifecycle, uint64_t job_id, const char *unusable)
{
    PS_REQUIRE(((ps_lifecycle *)lifecycle)->sched);
    retry *a = ps_new(retry);
    a->lifecycle = lifecycle;
    a->job_id = job_id;
    a->unusable = unusable ? ps_strdup(unusable) : NULL;
    ps_off_loop_submit(a->lifecycle->conf.loop, &a->off, again_run);
}

/* ---- what a crash left ---- */

/* What was kept as damaged is all that is left of a job that failed. */
void ps_lifecycle_remove(ps_lifecycle *l, uint64_t job_id, ps_job_state state)
{
    char *folder = ps_lifecycle_folder(l, job_id);
    if (ps_checkpoint_delete(l->conf.files.disk, folder, state == PS_JOB_FAILED))
        ps_log_warning("checkpoint", "job %llu has ended: %s", (unsigned long long)job_id,
                       ps_error_message());
    ps_free(&folder);
}

typedef struct sweep {
    ps_lifecycle *lifecycle;
    unsigned swept;
} sweep;

/* Of JOB, or JOB and suffix? A job that the catalog does not know keeps its files: the catalog may
 * be the wrong one. */
static bool has_ended(ps_lifecycle *l, const char *name, const char *suffix, uint64_t *job_id,
                      ps_job_state *state)
{
    char again[32];
    *job_id = strtoull(name, NULL, 10);
    (void)snprintf(again, sizeof again, "%llu%s", (unsigned long long)*job_id, suffix);
    ps_job_record *record = NULL;
    if (strcmp(again, name) != 0 || ps_sched_job_get(l->sched, *job_id, &record))
        return false;
    *state = record->state;
    ps_job_record_free(&record);
    return *state >= PS_JOB_DONE;
}

static void sweep_one(void *user, const char *name)
{
    sweep *s = user;
    uint64_t job_id;
    ps_job_state state;
    if (!has_ended(s->lifecycle, name, "", &job_id, &state))
        return;
    ps_lifecycle_remove(s->lifecycle, job_id, state);
    s->swept++;
}

static void sweep_record(void *user, const char *name)
{
    sweep *s = user;
    uint64_t job_id;
    ps_job_state state;
    if (has_ended(s->lifecycle, name, "", &job_id, &state) ||
        has_ended(s->lifecycle, name, PS_RECORD_FILE_FRESH, &job_id, &state))
        ps_lifecycle_record_remove(s->lifecycle, job_id);
}

static void sweep_folder(sweep *s, const char *name, void (*each)(void *user, const char *name))
{
    const ps_stored_files *files = &s->lifecycle->conf.files;
    char *folder = ps_asprintf("%s/%s", files->data_dir, name);
    if (files->disk->list(files->disk->state, folder, each, s))
        ps_log_warning("checkpoint", "%s", ps_error_message());
    ps_free(&folder);
}

void ps_lifecycle_sweep(ps_lifecycle *l)
{
    sweep s = {.lifecycle = l};
    sweep_folder(&s, "checkpoints", sweep_one);
    sweep_folder(&s, "records", sweep_record);
    if (s.swept)
        ps_log_info("checkpoint", "removed those of ended jobs=%u", s.swept);
    if (ps_stored_files_sweep(&l->conf.files))
        ps_log_warning("files", "%s", ps_error_message());
}
