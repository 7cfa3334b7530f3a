/* Happy path: in the job's turn its progress is taken, then its parameters, and both are written.
 * A checkpoint that cannot be written leaves those before it good. */
#include "common/base/require.h"
#include "common/loop/loop.h"
#include "server/runs/lifecycle_internal.h"
#include "server/runs/lifecycle_record.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/durable/checkpoint.h"

char *ps_lifecycle_folder(const ps_lifecycle *l, uint64_t job_id)
{
    return ps_asprintf("%s/checkpoints/%llu", l->conf.files.data_dir, (unsigned long long)job_id);
}

typedef struct writing {
    const ps_buf *progress;
    ps_param_store *store;
} writing;

static void append_progress_cb(void *user, ps_buf *out)
{
    const writing *w = user;
    ps_buf_append(out, w->progress->data, w->progress->len);
    ps_lifecycle_record_mark(w->store, out);
}

static ps_status write_checkpoint(ps_lifecycle *l, ps_run *run, const ps_buf *progress,
                                  ps_checkpoint_info *info)
{
    char *folder = ps_lifecycle_folder(l, ps_run_job(run));
    writing w = {progress, ps_run_store(run)};
    ps_status st = ps_checkpoint_write(l->conf.files.disk, folder, ps_run_store(run),
                                       l->conf.keep_checkpoints, append_progress_cb, &w, info);
    ps_free(&folder);
    return st;
}

/* The job has ended, has just begun, keeps none, or another one is being written. */
bool ps_lifecycle_no_failure(ps_status st)
{
    return st == PS_OK || st == PS_NOT_FOUND || st == PS_FAILED_PRECONDITION || st == PS_ABORTED ||
           st == PS_AGAIN;
}

/* In the run's turn. First how far the job is, then the parameters: what lies between is done
 * again. */
static ps_status checkpoint(ps_lifecycle *l, ps_run *run, ps_checkpoint_info *info)
{
    ps_buf progress = PS_BUF_EMPTY;
    ps_status st = ps_sched_progress_save(l->sched, ps_run_job(run), &progress);
    if (!st)
        st = write_checkpoint(l, run, &progress, info);
    ps_buf_free(&progress);
    return st;
}

ps_status ps_lifecycle_in_turn(ps_lifecycle *l, ps_run *run, bool wait, uint64_t *bytes)
{
    ps_loop_require_off();
    PS_REQUIRE(l->sched);
    ps_checkpoint_info info = {0};
    ps_status st = ps_run_checkpoint_begin(run, wait);
    if (st)
        return st;
    st = checkpoint(l, run, &info);
    ps_run_checkpoint_done(run);
    unsigned long long job = ps_run_job(run);
    if (st) {
        atomic_fetch_add(&l->failures, 1);
        return ps_wrap(st, "checkpoint of job %llu", job);
    }
    PS_REQUIRE(info.bytes > 0);
    ps_run_set_saved(run, info.number);
    atomic_fetch_add(&l->checkpoints, 1);
    atomic_fetch_add(&l->bytes, info.bytes);
    atomic_store(&l->pause_ns, info.pause_ns);
    ps_log_debug("checkpoint", "written job=%llu number=%llu version=%llu bytes=%llu pause_us=%llu",
                 job, (unsigned long long)info.number, (unsigned long long)info.version,
                 (unsigned long long)info.bytes, (unsigned long long)(info.pause_ns / 1000));
    *bytes = info.bytes;
    return PS_OK;
}

ps_status ps_lifecycle_one(ps_lifecycle *l, uint64_t job_id, bool wait, uint64_t *bytes)
{
    ps_run *run = NULL;
    ps_status st = ps_runs_find(l->conf.runs, job_id, &run);
    if (st)
        return st;
    st = ps_run_durable(run) ? ps_lifecycle_in_turn(l, run, wait, bytes)
                             : ps_fail(PS_FAILED_PRECONDITION, "job %llu keeps no checkpoints",
                                       (unsigned long long)job_id);
    ps_run_unref(&run);
    return st;
}

ps_status ps_lifecycle_checkpoint(ps_lifecycle *l, uint64_t job_id, uint64_t *bytes)
{
    return ps_lifecycle_one(l, job_id, true, bytes);
}

ps_status ps_lifecycle_checkpoint_all(ps_lifecycle *l, uint32_t *jobs, uint64_t *bytes)
{
    size_t n;
    uint64_t *all = ps_runs_list(l->conf.runs, &n);
    ps_error first = {0};
    for (size_t i = 0; i < n; i++) {
        uint64_t now = 0;
        ps_status st = ps_lifecycle_one(l, all[i], true, &now);
        *jobs += st == PS_OK;
        *bytes += now;
        if (ps_lifecycle_no_failure(st) || first.code)
            continue;
        ps_error_save(&first, st);
    }
    ps_free(&all);
    return first.code ? ps_error_raise(&first) : PS_OK;
}

void ps_lifecycle_count(ps_lifecycle *l, ps_lifecycle_stats *out)
{
    out->checkpoints = atomic_load(&l->checkpoints);
    out->checkpoint_failures = atomic_load(&l->failures);
    out->checkpoint_bytes = atomic_load(&l->bytes);
    out->last_pause_ns = atomic_load(&l->pause_ns);
}
