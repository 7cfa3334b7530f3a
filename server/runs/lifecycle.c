/* A create_store or finish makes one struct `step`, which goes to the pool, does its work and
 * answers the scheduler. What can fail at the beginning (no memory, a model to start from that does
 * not fit) ends the job with that reason; a checkpoint that cannot be written is told to those who
 * watch, and the job goes on; a model that cannot be written is asked for again by the scheduler.
 * How one is written is in lifecycle_checkpoint.c. */
#include "server/runs/lifecycle.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/compress/moments.h"
#include "common/loop/off_loop.h"
#include "server/files/adapter_file.h"
#include "server/files/calibration_file.h"
#include "server/files/moments_file.h"
#include "server/runs/lifecycle_internal.h"
#include "server/runs/lifecycle_record.h"
#include "server/runs/plan_store.h"
#include "server/sched/job_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

ps_status ps_lifecycle_create(const ps_lifecycle_conf *conf, ps_lifecycle **out)
{
    static const char *const folders[] = {"", "/checkpoints", "/models", "/artifacts", "/records"};
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
    PS_REQUIRE(!lifecycle->sched && sched);
    lifecycle->sched = sched;
}

/* ---- steps that run on the pool ---- */

typedef ps_lifecycle_step step;

ps_lifecycle_step *ps_lifecycle_step_new(ps_lifecycle *l, uint64_t job_id)
{
    PS_REQUIRE(l->sched);
    step *s = ps_new(step);
    s->lifecycle = l;
    s->job_id = job_id;
    return s;
}

void ps_lifecycle_step_outcome(ps_lifecycle_step *s, const ps_job_outcome *outcome)
{
    PS_REQUIRE(!s->draft && !s->report);
    s->draft = outcome->draft ? ps_strdup(outcome->draft) : NULL;
    s->report = outcome->report ? ps_strdup(outcome->report) : NULL;
    s->calibration = outcome->calibration ? ps_strdup(outcome->calibration) : NULL;
    s->outcome = *outcome;
    s->outcome.draft = s->draft;
    s->outcome.report = s->report;
    s->outcome.calibration = s->calibration;
}

void ps_lifecycle_step_free(ps_lifecycle_step *s)
{
    ps_job_file_unref(&s->file);
    ps_free(&s->settled);
    ps_free(&s->draft);
    ps_free(&s->report);
    ps_free(&s->calibration);
    ps_data_plan_free(&s->plan);
    ps_free(&s);
}

/* With the numbers of a stored model. */
static ps_status begin_from(const step *s, ps_param_store *store)
{
    ps_lifecycle *l = s->lifecycle;
    ps_buf remark = PS_BUF_EMPTY;
    const ps_job_spec *spec = s->file->spec;
    bool some = ps_spec_train_partly(spec->train);
    ps_status st = (some ? ps_model_file_load_some : ps_model_file_load)(
        &l->conf.files, spec->initialize_from, s->file->version, spec->model, store, &remark);
    if (!st && remark.len)
        ps_sched_job_log(l->sched, s->job_id, PS_LOG_NOTICE, ps_buf_cstr(&remark));
    ps_buf_free(&remark);
    return st;
}

/* Of a stage that is over: no checkpoint of it begins any more, which would say that it is the
 * next's. */
static void end_before(ps_lifecycle *l, uint64_t job_id)
{
    ps_run *run = ps_runs_get(l->conf.runs, job_id);
    if (!run)
        return;
    ps_param_store_stop(ps_run_store(run));
    ps_run_end(run);
    ps_run_unref(&run);
}

static ps_status create_store(step *s)
{
    ps_lifecycle *l = s->lifecycle;
    ps_param_store *store = NULL;
    const ps_job_spec *spec = s->file->spec;
    ps_status st = ps_store_create(spec, s->plan, &l->conf.host, &store);
    if (!st && *spec->initialize_from && !(spec->train && spec->train->lora))
        st = begin_from(s, store);
    if (!st && s->file->plan && s->file->plan->from)
        st = ps_calibration_file_load(&l->conf.files, s->file->plan, store);
    if (!st)
        st = ps_lifecycle_record_begin(l, s->job_id, spec, store);
    if (st) {
        ps_param_store_unref(&store);
        return st;
    }
    end_before(l, s->job_id);
    ps_runs_add(l->conf.runs, s->job_id, store, spec->durability != PS_SPEC_MEMORY);
    return PS_OK;
}

static void create_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_error error;
    ps_status st = create_store(s);
    ps_error_save(&error, st);
    ps_sched_store_created(s->lifecycle->sched, s->job_id, st ? &error : NULL);
    ps_lifecycle_step_free(s);
}

static void create_store_out(void *user, uint64_t job_id, ps_job_file *file, ps_data_plan *plan)
{
    PS_REQUIRE(file && plan);
    ps_lifecycle *l = user;
    step *s = ps_lifecycle_step_new(l, job_id);
    s->file = ps_job_file_ref(file);
    s->plan = plan;
    ps_off_loop_submit(l->conf.loop, &s->off, create_run);
}

/* To those who watch, and to psd's log. */
static void tell_checkpoint(const step *s, ps_run *run, ps_status st)
{
    char times[PS_REPEAT_TEXT], line[PS_ERROR_MAX];
    if (st && ps_lifecycle_no_failure(st))
        return;
    ps_error error;
    ps_error_save(&error, st);
    if (!ps_run_trouble(run, st != PS_OK, times))
        return;
    if (st)
        (void)snprintf(line, sizeof line, "%.400s; the last one stays good%s", error.message,
                       times);
    else
        (void)snprintf(line, sizeof line, "checkpoints are written again%s", times);
    ps_sched_job_log(s->lifecycle->sched, s->job_id, st ? PS_LOG_WARNING : PS_LOG_NOTICE, line);
}

static void due_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_run *run = ps_runs_get(s->lifecycle->conf.runs, s->job_id);
    uint64_t bytes;
    if (run)
        tell_checkpoint(s, run, ps_lifecycle_in_turn(s->lifecycle, run, false, &bytes));
    ps_run_unref(&run);
    ps_lifecycle_step_free(s);
}

static void checkpoint_due_out(void *user, uint64_t job_id)
{
    ps_lifecycle *l = user;
    ps_run *run = ps_runs_get(l->conf.runs, job_id);
    bool durable = run && ps_run_durable(run);
    ps_run_unref(&run);
    if (durable)
        ps_off_loop_submit(l->conf.loop, &ps_lifecycle_step_new(l, job_id)->off, due_run);
}

/* So that a restart of psd while the model cannot be written loses nothing. */
static void final_checkpoint(ps_lifecycle *l, ps_run *run)
{
    uint64_t bytes;
    if (!ps_run_durable(run) || ps_run_is_final(run))
        return;
    if (ps_lifecycle_in_turn(l, run, true, &bytes))
        ps_log_warning("checkpoint", "at the end of the job: %s", ps_error_message());
    else
        ps_run_set_final(run);
}

/* A mean of squares that is younger than it remembers is of the beginning, too, whose gradients are
 * the largest: what it says of the model that came of it is of the wrong size, and order. */
static void say_young(const step *s, uint64_t updates)
{
    const ps_spec_optimizer *o = &s->file->spec->train->optimizer;
    char line[PS_ERROR_MAX];
    double remembers = 1 / (1 - o->beta2);
    if (!strcmp(o->name, "adagrad") || (double)updates >= remembers)
        return;
    (void)snprintf(line, sizeof line,
                   PS_MOMENTS_FILE
                   ": of %" PRIu64 " updates, and with beta2 %g it remembers %.0f: "
                   "the first ones count in it; a short training that begins from the model "
                   "(initialize_from) at a learning rate next to 0 makes better ones",
                   updates, o->beta2, remembers);
    ps_sched_job_log(s->lifecycle->sched, s->job_id, PS_LOG_NOTICE, line);
}

/* Before the model: a job that is done has both. */
static ps_status write_moments(const step *s, ps_run *run)
{
    const ps_job_spec *spec = s->file->spec;
    ps_param_stats stats;
    if (!spec->train || !spec->train->keep_moments)
        return PS_OK;
    ps_param_store_stats(ps_run_store(run), &stats);
    const ps_moments_about about = {
        .job_id = s->job_id,
        .model = spec->name,
        .optimizer = spec->train->optimizer.name,
        .rows = stats.steps ? (double)s->outcome.samples / (double)stats.steps : 0,
        .sequence_length = spec->data.sequence_length,
    };
    say_young(s, stats.steps);
    return ps_moments_file_store(&s->lifecycle->conf.files, ps_run_store(run), &about);
}

static ps_status write_adapter(const step *s, ps_run *run)
{
    const ps_job_spec *spec = s->file->spec;
    if (!spec->train || !spec->train->lora)
        return PS_OK;
    return ps_adapter_file_store(&s->lifecycle->conf.files, ps_run_store(run), s->job_id, spec,
                                 s->file->version);
}

/* When it was tried in vain before, room is for the model first. */
static ps_status write_model(step *s, ps_run *run)
{
    ps_lifecycle *l = s->lifecycle;
    bool again = s->outcome.failed_writes > 0;
    if (!again)
        final_checkpoint(l, run);
    const ps_model_trained from = {.job_id = s->job_id,
                                   .owner = s->file->owner,
                                   .spec = s->file->spec,
                                   .settled = s->settled,
                                   .origin = s->file->version,
                                   .teacher = ps_job_file_teacher(s->file)->version,
                                   .job = s->file,
                                   .checkpoint = ps_run_saved_number(run),
                                   .draft = s->outcome.drafts ? &s->draft : NULL};
    ps_status st = write_moments(s, run);
    if (!st)
        st = write_adapter(s, run);
    if (!st)
        st = ps_model_file_store(&l->conf.files, ps_run_store(run), &from, &s->outcome);
    if (!st) /* the last: a checkpoint can go on with it until then */
        st = ps_lifecycle_record_finish(l, s->job_id, ps_run_store(run));
    if (!st || !again)
        return st;
    ps_error error;
    ps_error_save(&error, st);
    final_checkpoint(l, run);
    return ps_error_raise(&error);
}

static ps_status finish_job(step *s)
{
    ps_run *run = NULL;
    ps_status st = ps_runs_find(s->lifecycle->conf.runs, s->job_id, &run);
    if (!st) {
        ps_param_store_stop(ps_run_store(run)); /* no push that was late is in half of the model */
        st = write_model(s, run);
    }
    ps_run_unref(&run);
    return st;
}

static void finish_run(ps_off_loop *off)
{
    step *s = ps_container(off, step, off);
    ps_error error;
    ps_status st = finish_job(s);
    ps_error_save(&error, st);
    if (s->outcome.drafts)
        ps_sched_drafted(s->lifecycle->sched, s->job_id, st ? &error : NULL,
                         &(ps_draft){.version = s->draft});
    else
        ps_sched_finished(s->lifecycle->sched, s->job_id, st ? &error : NULL);
    ps_lifecycle_step_free(s);
}

static void finish_out(void *user, uint64_t job_id, ps_job_file *file, const char *settled,
                       const ps_job_outcome *outcome)
{
    PS_REQUIRE(file && settled);
    ps_lifecycle *l = user;
    if (outcome->explains) {
        ps_lifecycle_explained_out(l, job_id, outcome);
        return;
    }
    if (file->plan) {
        ps_lifecycle_compressed_out(l, job_id, file, outcome);
        return;
    }
    step *s = ps_lifecycle_step_new(l, job_id);
    s->file = ps_job_file_ref(file);
    s->settled = ps_strdup(settled);
    ps_lifecycle_step_outcome(s, outcome);
    ps_off_loop_submit(l->conf.loop, &s->off, finish_run);
}

static void drop_parts(ps_lifecycle *l, uint64_t job_id)
{
    ps_job_record *record = NULL;
    if (!ps_sched_job_get(l->sched, job_id, &record) && !strcmp(record->kind, "explain"))
        ps_lifecycle_drop_parts(l, job_id, true);
    ps_job_record_free(&record);
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
    ps_lifecycle_record_remove(l, s->job_id);
    ps_lifecycle_remove(l, s->job_id, s->state);
    drop_parts(l, s->job_id);
    ps_stored_files_collect(&l->conf.files); /* the version of a model that it used, say */
    ps_lifecycle_step_free(s);
}

static void ended_out(void *user, uint64_t job_id, ps_job_state state)
{
    PS_REQUIRE(state >= PS_JOB_DONE);
    ps_lifecycle *l = user;
    step *s = ps_lifecycle_step_new(l, job_id);
    s->state = state;
    ps_off_loop_submit(l->conf.loop, &s->off, ended_run);
}

/* ---- the consistency controller's members ---- */

static uint64_t enter_out(void *user, uint64_t job_id, const char *worker, uint64_t lease_id)
{
    ps_lifecycle *l = user;
    ps_run *run = ps_runs_get(l->conf.runs, job_id);
    uint64_t clock = 0;
    if (run && ps_param_store_join(ps_run_store(run), worker, lease_id, &clock))
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

const ps_to_store ps_lifecycle_to_store = {
    .enter = enter_out,
    .leave = leave_out,
    .create_store = create_store_out,
    .clear_sums = ps_lifecycle_clear_out,
    .restore = ps_lifecycle_restore_out,
    .checkpoint_due = checkpoint_due_out,
    .finish = finish_out,
    .ended = ended_out,
    .gauges = gauges_out,
    .book = &ps_lifecycle_book,
};
