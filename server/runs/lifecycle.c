/* A create_store or finish makes one struct `step`, which goes to the pool, does its work and
 * answers the scheduler. What can fail there (no memory, a full disk, a model to start from that
 * does not fit) ends the job with that reason; a checkpoint that cannot be written is told to those
 * who watch, and the job goes on. */
#include "server/runs/lifecycle.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/durable/checkpoint.h"
#include "server/runs/off_loop.h"
#include "server/runs/store_config.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

struct ps_lifecycle {
    ps_lifecycle_conf conf;
    ps_sched *sched;
    atomic_uint_fast64_t checkpoints, failures, bytes, pause_ns;
};

ps_status ps_lifecycle_create(const ps_lifecycle_conf *conf, ps_lifecycle **out)
{
    static const char *const folders[] = {"", "/checkpoints", "/models", "/artifacts"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = ps_asprintf("%s%s", conf->files.data_dir, folders[i]);
        ps_status st = ps_disk_mkdir_if_missing(conf->files.disk, path);
        ps_free(&path);
        if (st)
            return ps_wrap(st, "data_dir %s", conf->files.data_dir);
    }
    ps_lifecycle *l = ps_new(ps_lifecycle);
    l->conf = *conf;
    *out = l;
    return PS_OK;
}

void ps_lifecycle_free(ps_lifecycle **lifecycle)
{
    ps_free(lifecycle);
}

void ps_lifecycle_set_sched(ps_lifecycle *lifecycle, ps_sched *sched)
{
    lifecycle->sched = sched;
}

void ps_lifecycle_count(ps_lifecycle *l, ps_lifecycle_stats *out)
{
    out->checkpoints = atomic_load(&l->checkpoints);
    out->checkpoint_failures = atomic_load(&l->failures);
    out->checkpoint_bytes = atomic_load(&l->bytes);
    out->last_pause_ns = atomic_load(&l->pause_ns);
}

static char *checkpoint_folder(const ps_lifecycle *l, uint64_t job_id)
{
    return ps_asprintf("%s/checkpoints/%llu", l->conf.files.data_dir, (unsigned long long)job_id);
}

/* ---- checkpoints ---- */

static void append_progress_cb(void *user, ps_buf *out)
{
    const ps_buf *progress = user;
    ps_buf_append(out, progress->data, progress->len);
}

static ps_status write_checkpoint(ps_lifecycle *l, ps_run *run, const ps_buf *progress,
                                  ps_checkpoint_info *info)
{
    char *folder = checkpoint_folder(l, ps_run_job(run));
    ps_status st =
        ps_checkpoint_write(l->conf.files.disk, folder, ps_run_store(run), l->conf.keep_checkpoints,
                            append_progress_cb, (void *)(uintptr_t)progress, info);
    ps_free(&folder);
    return st;
}

/* The job has ended, has just begun, keeps none, or another one is being written. */
static bool is_no_failure(ps_status st)
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

static ps_status checkpoint_in_turn(ps_lifecycle *l, ps_run *run, bool wait, uint64_t *bytes)
{
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
    atomic_fetch_add(&l->checkpoints, 1);
    atomic_fetch_add(&l->bytes, info.bytes);
    atomic_store(&l->pause_ns, info.pause_ns);
    ps_log_debug("checkpoint", "written job=%llu number=%llu version=%llu bytes=%llu pause_us=%llu",
                 job, (unsigned long long)info.number, (unsigned long long)info.version,
                 (unsigned long long)info.bytes, (unsigned long long)(info.pause_ns / 1000));
    *bytes = info.bytes;
    return PS_OK;
}

static ps_status checkpoint_job(ps_lifecycle *l, uint64_t job_id, bool wait, uint64_t *bytes)
{
    ps_run *run = NULL;
    ps_status st = ps_runs_find(l->conf.runs, job_id, &run);
    if (st)
        return st;
    st = ps_run_durable(run) ? checkpoint_in_turn(l, run, wait, bytes)
                             : ps_fail(PS_FAILED_PRECONDITION, "job %llu keeps no checkpoints",
                                       (unsigned long long)job_id);
    ps_run_unref(&run);
    return st;
}

ps_status ps_lifecycle_checkpoint(ps_lifecycle *l, uint64_t job_id, uint64_t *bytes)
{
    return checkpoint_job(l, job_id, true, bytes);
}

ps_status ps_lifecycle_checkpoint_all(ps_lifecycle *l, uint32_t *jobs, uint64_t *bytes)
{
    size_t n;
    uint64_t *all = ps_runs_list(l->conf.runs, &n);
    ps_error first = {0};
    for (size_t i = 0; i < n; i++) {
        uint64_t now = 0;
        ps_status st = checkpoint_job(l, all[i], true, &now);
        *jobs += st == PS_OK;
        *bytes += now;
        if (is_no_failure(st) || first.code)
            continue;
        ps_error_save(&first, st);
    }
    ps_free(&all);
    return first.code ? ps_error_raise(&first) : PS_OK;
}

/* ---- steps that run on the pool ---- */

typedef struct step {
    ps_off_loop off;
    ps_lifecycle *lifecycle;
    uint64_t job_id;
    ps_job_spec *spec;         /* parsed again from the job's file: ours */
    Psd__V1__PlanResult *plan; /* create */
    ps_job_outcome outcome;    /* finish */
    ps_job_state state;        /* ended */
} step;

static step *step_new(ps_lifecycle *l, uint64_t job_id)
{
    step *s = ps_new(step);
    s->lifecycle = l;
    s->job_id = job_id;
    return s;
}

static void step_free(step *s)
{
    if (s->spec)
        ps_job_spec_free(&s->spec);
    if (s->plan)
        psd__v1__plan_result__free_unpacked(s->plan, NULL);
    ps_free(&s);
}

/* The scheduler's spec is its own for the call; a copy is had from the text it was made of. */
static ps_status copy_spec(step *s)
{
    ps_job_record *record = NULL;
    ps_status st = ps_sched_job_get(s->lifecycle->sched, s->job_id, &record);
    if (st)
        return st;
    st = ps_job_spec_parse(ps_slice_str(record->spec), "job", &s->spec);
    ps_job_record_free(&record);
    return st;
}

static ps_status create_store(step *s)
{
    ps_lifecycle *l = s->lifecycle;
    ps_param_store *store = NULL;
    ps_status st = copy_spec(s);
    if (!st)
        st = ps_store_create(s->spec, s->plan, l->conf.push_bytes, &store);
    if (!st && *s->spec->initialize_from)
        st = ps_model_file_load(&l->conf.files, s->spec->initialize_from, store);
    if (st) {
        ps_param_store_unref(&store);
        return st;
    }
    ps_runs_add(l->conf.runs, s->job_id, store, s->spec->durability != PS_SPEC_MEMORY);
    return PS_OK;
}

static void create_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_error error;
    ps_status st = create_store(s);
    ps_error_save(&error, st);
    ps_sched_store_created(s->lifecycle->sched, s->job_id, st ? &error : NULL);
    step_free(s);
}

static void create_store_out(void *user, uint64_t job_id, const ps_job_spec *spec,
                             const Psd__V1__PlanResult *plan)
{
    ps_lifecycle *l = user;
    step *s = step_new(l, job_id);
    size_t bytes = psd__v1__plan_result__get_packed_size(plan);
    uint8_t *packed = ps_alloc(bytes);
    psd__v1__plan_result__pack(plan, packed);
    s->plan = psd__v1__plan_result__unpack(NULL, bytes, packed);
    ps_free(&packed);
    ps_off_loop_submit(l->conf.loop, &s->off, create_run);
}

static void due_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    uint64_t bytes;
    ps_status st = checkpoint_job(s->lifecycle, s->job_id, false, &bytes);
    if (!is_no_failure(st)) {
        ps_error error;
        ps_error_save(&error, st);
        ps_log_error("checkpoint", "%s; the last one stays good", error.message);
        ps_sched_job_log(s->lifecycle->sched, s->job_id, PS_LOG_WARNING, error.message);
    }
    step_free(s);
}

static void checkpoint_due_out(void *user, uint64_t job_id)
{
    ps_lifecycle *l = user;
    ps_run *run = ps_runs_get(l->conf.runs, job_id);
    bool durable = run && ps_run_durable(run);
    ps_run_unref(&run);
    if (durable)
        ps_off_loop_submit(l->conf.loop, &step_new(l, job_id)->off, due_run);
}

static ps_status finish_job(step *s)
{
    ps_lifecycle *l = s->lifecycle;
    ps_run *run = NULL;
    ps_status st = copy_spec(s);
    if (!st)
        st = ps_runs_find(l->conf.runs, s->job_id, &run);
    if (st)
        return st;
    uint64_t bytes;
    if (ps_run_durable(run) && checkpoint_in_turn(l, run, true, &bytes))
        ps_log_warning("checkpoint", "at the end of the job: %s", ps_error_message());
    st = ps_model_file_store(&l->conf.files, ps_run_store(run), s->job_id, s->spec, &s->outcome);
    ps_run_unref(&run);
    return st;
}

static void finish_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_error error;
    ps_status st = finish_job(s);
    ps_error_save(&error, st);
    ps_sched_finished(s->lifecycle->sched, s->job_id, st ? &error : NULL);
    step_free(s);
}

static void finish_out(void *user, uint64_t job_id, const ps_job_spec *spec,
                       const ps_job_outcome *outcome)
{
    ps_lifecycle *l = user;
    step *s = step_new(l, job_id);
    s->outcome = *outcome;
    ps_off_loop_submit(l->conf.loop, &s->off, finish_run);
}

static void ended_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_lifecycle *l = s->lifecycle;
    ps_run *run = ps_runs_get(l->conf.runs, s->job_id);
    if (run) {
        ps_param_store_stop(ps_run_store(run));
        ps_run_end(run); /* before the folder goes */
        ps_runs_remove(l->conf.runs, s->job_id);
        ps_run_unref(&run);
    }
    char *folder = checkpoint_folder(l, s->job_id);
    if (ps_checkpoint_delete(l->conf.files.disk, folder))
        ps_log_warning("checkpoint", "job %llu has ended: %s", (unsigned long long)s->job_id,
                       ps_error_message());
    ps_free(&folder);
    step_free(s);
}

static void ended_out(void *user, uint64_t job_id, ps_job_state state)
{
    ps_lifecycle *l = user;
    step *s = step_new(l, job_id);
    s->state = state;
    ps_off_loop_submit(l->conf.loop, &s->off, ended_run);
}

/* ---- the consistency controller's members ---- */

static uint64_t enter_out(void *user, uint64_t job_id, const char *worker)
{
    ps_lifecycle *l = user;
    ps_run *run = ps_runs_get(l->conf.runs, job_id);
    uint64_t clock = 0;
    if (run && ps_param_store_join(ps_run_store(run), worker, &clock))
        ps_log_warning("runs", "worker %s could not join job %llu: %s", worker,
                       (unsigned long long)job_id, ps_error_message());
    ps_run_unref(&run);
    return clock;
}

static void leave_out(void *user, uint64_t job_id, const char *worker)
{
    ps_lifecycle *l = user;
    ps_run *run = ps_runs_get(l->conf.runs, job_id);
    if (run)
        ps_param_store_leave(ps_run_store(run), worker);
    ps_run_unref(&run);
}

static void gauges_out(void *user, uint64_t job_id, ps_job_gauges *out)
{
    ps_lifecycle *l = user;
    *out = (ps_job_gauges){0};
    ps_run *run = ps_runs_get(l->conf.runs, job_id);
    if (run)
        ps_run_gauges(run, out);
    ps_run_unref(&run);
}

/* ---- workers ---- */

static void send_task_out(void *user, uint64_t session, const Psd__V1__Task *task)
{
    const ps_worker_link *workers = &((ps_lifecycle *)user)->conf.workers;
    workers->send_task(workers->user, session, task);
}

static void send_cancel_out(void *user, uint64_t session, uint64_t lease_id, const char *reason)
{
    const ps_worker_link *workers = &((ps_lifecycle *)user)->conf.workers;
    workers->send_cancel(workers->user, session, lease_id, reason);
}

static void drop_session_out(void *user, uint64_t session, const char *reason)
{
    const ps_worker_link *workers = &((ps_lifecycle *)user)->conf.workers;
    workers->drop_session(workers->user, session, reason);
}

const ps_sched_out ps_lifecycle_sched_out = {
    .send_task = send_task_out,
    .send_cancel = send_cancel_out,
    .drop_session = drop_session_out,
    .enter = enter_out,
    .leave = leave_out,
    .create_store = create_store_out,
    .checkpoint_due = checkpoint_due_out,
    .finish = finish_out,
    .ended = ended_out,
    .gauges = gauges_out,
};

ps_status ps_lifecycle_restore(void *lifecycle, uint64_t job_id, const ps_job_spec *spec,
                               ps_buf *blob)
{
    ps_lifecycle *l = lifecycle;
    if (spec->durability == PS_SPEC_MEMORY)
        return ps_fail(PS_NOT_FOUND, "job %llu keeps no checkpoints", (unsigned long long)job_id);
    char *folder = checkpoint_folder(l, job_id);
    ps_param_store *store = NULL;
    ps_checkpoint_info info = {0};
    ps_status st =
        ps_checkpoint_load(l->conf.files.disk, folder, l->conf.push_bytes, &store, blob, &info);
    ps_free(&folder);
    if (st)
        return st;
    ps_log_notice("checkpoint", "restored job=%llu number=%llu version=%llu",
                  (unsigned long long)job_id, (unsigned long long)info.number,
                  (unsigned long long)info.version);
    ps_runs_add(l->conf.runs, job_id, store, true);
    return PS_OK;
}

/* ---- what a crash left ---- */

typedef struct sweep {
    ps_lifecycle *lifecycle;
    unsigned swept;
} sweep;

static void sweep_one(void *user, const char *name)
{
    sweep *s = user;
    ps_lifecycle *l = s->lifecycle;
    char again[24];
    uint64_t job_id = strtoull(name, NULL, 10);
    (void)snprintf(again, sizeof again, "%llu", (unsigned long long)job_id);
    ps_job_record *record = NULL;
    /* a job that the catalog does not know keeps its files: the catalog may be the wrong one */
    if (strcmp(again, name) != 0 || ps_sched_job_get(l->sched, job_id, &record))
        return;
    char *folder = checkpoint_folder(l, job_id);
    if (record->state >= PS_JOB_DONE && ps_checkpoint_delete(l->conf.files.disk, folder))
        ps_log_warning("checkpoint", "job %llu has ended: %s", (unsigned long long)job_id,
                       ps_error_message());
    else
        s->swept += record->state >= PS_JOB_DONE;
    ps_free(&folder);
    ps_job_record_free(&record);
}

void ps_lifecycle_sweep(ps_lifecycle *l)
{
    sweep s = {.lifecycle = l};
    char *folder = ps_asprintf("%s/checkpoints", l->conf.files.data_dir);
    if (l->conf.files.disk->list(l->conf.files.disk->state, folder, sweep_one, &s))
        ps_log_warning("checkpoint", "%s", ps_error_message());
    if (s.swept)
        ps_log_info("checkpoint", "removed those of ended jobs=%u", s.swept);
    ps_free(&folder);
    if (ps_stored_files_sweep(&l->conf.files))
        ps_log_warning("files", "%s", ps_error_message());
}
