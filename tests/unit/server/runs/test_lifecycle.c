/* lifecycle: a scheduler, parameters and a disk that fails: nothing that was trained is lost. */
#include "server/runs/lifecycle.h"

#include "common/base/mem.h"
#include "server/catalog/models.h"
#include "server/runs/off_loop.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"
#include "tests/lib/stored.h"
#include "tests/lib/world.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 100, SHAPE = 4 };

/* A world (world.h) whose scheduler has a real lifecycle behind it. */
typedef struct rig {
    test_stored stored;
    ps_world *world;
    ps_loop *loop;
    ps_runs *runs;
    ps_lifecycle *lifecycle;
} rig;

static void nothing_cb(void *user, uint64_t session, uint64_t lease_id, const char *reason)
{
}

static void no_drop_cb(void *user, uint64_t session, const char *reason)
{
}

static void start(rig *r)
{
    const ps_lifecycle_conf conf = {.workers = {.send_task = ps_world_send_task,
                                                .send_cancel = nothing_cb,
                                                .drop_session = no_drop_cb,
                                                .user = r->world},
                                    .files = r->stored.files,
                                    .runs = r->runs,
                                    .loop = r->loop,
                                    .keep_checkpoints = 2};
    const ps_sched_conf sched = {.lease_timeout_ms = PS_WORLD_TIMEOUT_MS,
                                 .clock = ps_clock_virtual_table(&r->world->time)};
    ck_assert_int_eq(ps_lifecycle_create(&conf, &r->lifecycle), PS_OK);
    r->world->sched =
        ps_sched_create(&sched, r->stored.catalog, &ps_lifecycle_sched_out, r->lifecycle);
    ps_lifecycle_set_sched(r->lifecycle, r->world->sched);
    ck_assert_int_eq(ps_sched_recover(r->world->sched, ps_lifecycle_restore), PS_OK);
    ps_lifecycle_sweep(r->lifecycle);
}

static void open_rig(rig *r)
{
    test_stored_open(&r->stored);
    r->world = ps_new(ps_world);
    r->world->time.now_ns = UINT64_C(1000000000000);
    r->world->catalog = r->stored.catalog;
    r->runs = ps_runs_create(ps_clock_virtual_table(&r->world->time));
    ck_assert_int_eq(ps_loop_create(&r->loop), PS_OK);
    start(r);
}

static void stop_when_idle(void *user)
{
    if (!ps_off_loop_pending())
        ps_loop_stop(user);
}

/* What was given to the pool is done, and what that gave to the pool, too. */
static void settle(rig *r)
{
    ps_timer *timer = NULL;
    ps_timer_create(r->loop, stop_when_idle, r->loop, &timer);
    ps_timer_start(timer, 0, 1);
    ps_loop_run(r->loop);
    ps_timer_free(&timer);
}

static void end_process(rig *r)
{
    settle(r);
    ps_sched_free(&r->world->sched);
    ps_lifecycle_free(&r->lifecycle);
    ps_runs_free(&r->runs);
}

static void close_rig(rig *r)
{
    end_process(r);
    ps_loop_free(&r->loop);
    ps_buf_free(&r->world->trace);
    free(r->world->tasks);
    ps_free(&r->world);
    test_stored_close(&r->stored);
}

/* psd dies and starts again. */
static void restart(rig *r)
{
    end_process(r);
    r->world->n_tasks = 0;
    r->world->time.now_ns += UINT64_C(1000000000);
    r->runs = ps_runs_create(ps_clock_virtual_table(&r->world->time));
    start(r);
    settle(r);
}

static void wait_ms(rig *r, uint64_t ms)
{
    ps_world_run_ms(r->world, ms);
    settle(r);
}

/* One epoch, a task of 50 rows at a time. */
static uint64_t begin_job(rig *r, const char *more)
{
    char extra[128];
    (void)snprintf(extra, sizeof extra, "shards: {rows_per_task: 50}\n%s", more);
    uint64_t id = ps_world_submit(r->world, "a", 1, "asp", false, extra);
    ps_world_attach(r->world, 1, "w1");
    ps_world_plan(r->world, ps_world_task_of(r->world, 1), ROWS, 0, SHAPE);
    settle(r);
    ck_assert_int_eq(ps_world_state(r->world, id), PS_JOB_RUNNING);
    return id;
}

/* Every parameter (they begin at 0) goes down by 0.1 times `gradient`. */
static void push(rig *r, uint64_t job_id, uint64_t sequence, float gradient)
{
    ps_run *run = ps_runs_get(r->runs, job_id);
    ck_assert_ptr_nonnull(run);
    ps_push_header header = {.incarnation = 1, .sequence = sequence};
    ps_push_reply reply;
    ck_assert_int_eq(test_params_push(ps_run_store(run), "w1", &header, gradient, &reply), PS_OK);
    ps_run_unref(&run);
}

static float parameter(rig *r, uint64_t job_id)
{
    ps_run *run = ps_runs_get(r->runs, job_id);
    ck_assert_ptr_nonnull(run);
    float *values = test_params_read(ps_run_store(run), 0);
    float first = values[0];
    free(values);
    ps_run_unref(&run);
    return first;
}

static void train(rig *r)
{
    while (ps_world_task_of(r->world, 1))
        ps_world_trained(r->world, ps_world_task_of(r->world, 1));
    settle(r);
}

/* The first parameter in the stored model: the last bytes of the file are its data. */
static float stored_parameter(rig *r)
{
    int file;
    char *data;
    float value;
    ck_assert_int_eq(ps_model_file_open(&r->stored.files, "a", "", &file, NULL), PS_OK);
    size_t len = test_stored_drain(file, &data);
    ck_assert_uint_gt(len, SHAPE * 3 * sizeof value);
    memcpy(&value, data + len - SHAPE * 3 * sizeof value, sizeof value);
    free(data);
    return value;
}

static bool has_checkpoints(const rig *r, uint64_t job_id)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/checkpoints/%llu", r->stored.dir,
                   (unsigned long long)job_id);
    return access(path, F_OK) == 0;
}

START_TEST(a_job_makes_parameters_then_a_model_and_leaves_no_checkpoint)
{
    rig r = {0};
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    push(&r, id, 1, 5);
    ck_assert_float_eq_tol(parameter(&r, id), -0.5F, 1e-6F);
    ck_assert(!has_checkpoints(&r, id));
    uint64_t bytes = 0;
    ck_assert_int_eq(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes), PS_OK);
    ck_assert_uint_gt(bytes, SHAPE * 3 * sizeof(float));
    ck_assert(has_checkpoints(&r, id));
    ps_lifecycle_stats stats;
    ps_lifecycle_count(r.lifecycle, &stats);
    ck_assert_uint_eq(stats.checkpoints, 1);
    ck_assert_uint_eq(stats.checkpoint_bytes, bytes);
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert_float_eq_tol(stored_parameter(&r), -0.5F, 1e-6F);
    ck_assert(!has_checkpoints(&r, id));
    ck_assert_ptr_null(ps_runs_get(r.runs, id));
    ck_assert_int_eq(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes), PS_NOT_FOUND);
    close_rig(&r);
}
END_TEST

START_TEST(a_restart_goes_on_from_the_checkpoint_bit_for_bit)
{
    rig r = {0};
    uint32_t jobs = 0;
    uint64_t bytes = 0;
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    push(&r, id, 1, 5);
    ps_world_trained(r.world, ps_world_task_of(r.world, 1));
    ck_assert_int_eq(ps_lifecycle_checkpoint_all(r.lifecycle, &jobs, &bytes), PS_OK);
    ck_assert_uint_eq(jobs, 1);
    float at = parameter(&r, id);
    push(&r, id, 2, 100); /* not in the checkpoint */
    restart(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ck_assert_float_eq(parameter(&r, id), at);
    ps_world_attach(r.world, 1, "w1");
    ck_assert_uint_eq(ps_world_task_of(r.world, 1)->begin, 50); /* the other half */
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert_float_eq(stored_parameter(&r), at);
    close_rig(&r);
}
END_TEST

/* A push of the rows [begin, end) of the task. */
static ps_status push_rows(rig *r, const ps_world_task *task, uint64_t begin, uint64_t end)
{
    static uint64_t sequence;
    ps_run *run = ps_runs_get(r->runs, task->job);
    ps_push_header header = {
        .incarnation = 1, .sequence = ++sequence, .lease = task->lease, .rows = {begin, end}};
    ps_push_reply reply;
    ps_status st = test_params_push(ps_run_store(run), "w1", &header, 1, &reply);
    ps_run_unref(&run);
    return st;
}

/* What counts is what was pushed, not what was reported: of a worker that is lost, that says less
 * than it did, or more; and of psd. */
START_TEST(rows_are_given_out_again_from_where_pushes_ended)
{
    rig r;
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    ps_world_task lost = *ps_world_task_of(r.world, 1);
    ck_assert_int_eq(push_rows(&r, &lost, 0, 10), PS_OK);
    ck_assert_int_eq(push_rows(&r, &lost, 10, 20), PS_OK);
    ck_assert_int_eq(push_rows(&r, &lost, 30, 40), PS_OK); /* its other step was faster */
    ps_world_report(r.world, ps_world_task_of(r.world, 1), 10, 1);
    ck_assert_int_eq(ps_world_hello(r.world, 2, "w1", 2, 1, NULL, 0), PS_OK); /* it starts anew */
    ck_assert_uint_eq(ps_world_task_of(r.world, 2)->begin, 20);
    ck_assert_uint_eq(ps_world_task_of(r.world, 2)->end, 30);
    ck_assert_int_eq(push_rows(&r, &lost, 20, 30), PS_PERMISSION_DENIED); /* on the way since */
    ck_assert_int_eq(push_rows(&r, ps_world_task_of(r.world, 2), 20, 30), PS_OK);
    uint64_t bytes;
    ck_assert_int_eq(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes), PS_OK);
    ps_world_trained(r.world, ps_world_task_of(r.world, 2));
    ps_world_task next = *ps_world_task_of(r.world, 2);
    ck_assert_uint_eq(next.begin, 40);
    ck_assert_int_eq(push_rows(&r, &next, 40, 50), PS_OK);
    ps_world_trained(r.world, ps_world_task_of(r.world, 2));
    restart(&r);
    ps_world_attach(r.world, 3, "w1");
    ck_assert_uint_eq(ps_world_task_of(r.world, 3)->begin, 40); /* as its parameters are */
    ck_assert_float_eq_tol(parameter(&r, id), -0.4f, 1e-6f);
    ck_assert_int_eq(push_rows(&r, ps_world_task_of(r.world, 3), 40, 90), PS_OK);
    ps_world_trained(r.world, ps_world_task_of(r.world, 3)); /* says that all is done */
    ck_assert_uint_eq(ps_world_task_of(r.world, 3)->begin, 90);
    ck_assert_int_eq(push_rows(&r, ps_world_task_of(r.world, 3), 90, 100), PS_OK);
    /* lost when nothing is left to do: that is the end of the training */
    ck_assert_int_eq(ps_world_hello(r.world, 4, "w1", 3, 1, NULL, 0), PS_OK);
    settle(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert_float_eq_tol(stored_parameter(&r), -0.6f, 1e-6f);
    close_rig(&r);
}
END_TEST

START_TEST(a_full_disk_at_the_end_costs_nothing_but_time)
{
    rig r = {0};
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    uint64_t bytes;
    ck_assert_int_eq(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes), PS_OK);
    push(&r, id, 1, 5);
    r.stored.fault.room = 0;
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ps_world_assert_reason(r.world, id, "the model is not written yet: model a: ");
    ps_world_assert_reason(
        r.world, id, "/models/.incoming-job-1: write: no space left on device; put that right");
    ck_assert(has_checkpoints(&r, id));
    ck_assert_float_eq_tol(parameter(&r, id), -0.5F, 1e-6F);
    wait_ms(&r, 1000);
    wait_ms(&r, 2000);
    ps_world_assert_reason(r.world, id, "(3 tries failed, the next is 4 s later)");
    ps_lifecycle_stats stats;
    ps_lifecycle_count(r.lifecycle, &stats);
    ck_assert_uint_eq(stats.checkpoints, 1);
    r.stored.fault.room = UINT64_MAX;
    wait_ms(&r, 4000);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert_float_eq_tol(stored_parameter(&r), -0.5F, 1e-6F);
    ck_assert(!has_checkpoints(&r, id));
    ck_assert_uint_eq(test_stored_count(&r.stored, "models"), 1);
    close_rig(&r);
}
END_TEST

START_TEST(what_room_there_is_goes_to_the_model)
{
    rig r = {0};
    uint64_t bytes;
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    ck_assert_int_eq(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes), PS_OK);
    push(&r, id, 1, 5);
    r.stored.fault.room = 0;
    train(&r);
    r.stored.fault.room = bytes; /* for a model, or for a checkpoint */
    wait_ms(&r, 1000);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    close_rig(&r);
}
END_TEST

START_TEST(the_last_checkpoint_is_written_once_there_is_room_for_it_and_only_once)
{
    rig r = {0};
    ps_lifecycle_stats stats;
    open_rig(&r);
    uint64_t id = begin_job(&r, "checkpoint: {every: 0s}\n");
    push(&r, id, 1, 5);
    char models[128], away[128];
    (void)snprintf(models, sizeof models, "%s/models", r.stored.dir);
    (void)snprintf(away, sizeof away, "%s/away", r.stored.dir);
    ck_assert_int_eq(rename(models, away), 0); /* only models cannot be written */
    train(&r);
    for (int i = 0; i < 5; i++)
        wait_ms(&r, 10000);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ps_lifecycle_count(r.lifecycle, &stats);
    ck_assert_uint_eq(stats.checkpoints, 1);
    ck_assert_uint_eq(stats.checkpoint_failures, 0);
    ck_assert_int_eq(rename(away, models), 0);
    restart(&r); /* it is all that psd has now */
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert_float_eq_tol(stored_parameter(&r), -0.5F, 1e-6F);
    close_rig(&r);
}
END_TEST

START_TEST(cancelling_a_job_that_waits_for_room_takes_its_checkpoints)
{
    rig r = {0};
    uint64_t bytes;
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    ck_assert_int_eq(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes), PS_OK);
    r.stored.fault.room = 0;
    train(&r);
    ck_assert_int_eq(ps_sched_cancel(r.world->sched, id, "anna", "", NULL), PS_OK);
    settle(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_CANCELLED);
    ck_assert(!has_checkpoints(&r, id));
    ck_assert_uint_eq(test_stored_count(&r.stored, "models"), 0);
    close_rig(&r);
}
END_TEST

START_TEST(whatever_fails_while_the_job_ends_the_next_try_succeeds)
{
    unsigned long failures = 0;
    for (unsigned long k = 1;; k++) {
        rig r = {0};
        open_rig(&r);
        uint64_t id = begin_job(&r, ""), bytes;
        push(&r, id, 1, 5);
        ck_assert_int_eq(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes), PS_OK);
        test_stored_fail(&r.stored, k);
        train(&r);
        bool reached = r.stored.fault.operations >= k;
        test_stored_fail(&r.stored, 0);
        failures += ps_world_state(r.world, id) == PS_JOB_RUNNING;
        wait_ms(&r, 1000);
        ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
        ck_assert_float_eq_tol(stored_parameter(&r), -0.5F, 1e-6F);
        ck_assert_uint_eq(test_stored_count(&r.stored, "models"), 1);
        ck_assert_uint_eq(r.stored.fault.fsyncs_after_error, 0);
        ck_assert_ptr_null(ps_runs_get(r.runs, id));
        restart(&r); /* sweeps what could not be removed */
        ck_assert(!has_checkpoints(&r, id));
        close_rig(&r);
        if (!reached)
            break;
    }
    ck_assert_uint_ge(failures, 5); /* the model's own operations */
}
END_TEST

START_TEST(a_job_in_memory_keeps_no_checkpoints_and_begins_anew)
{
    rig r = {0};
    uint64_t bytes;
    open_rig(&r);
    uint64_t id = begin_job(&r, "durability: memory\n");
    ck_assert_int_eq(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes), PS_FAILED_PRECONDITION);
    push(&r, id, 1, 5);
    restart(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ck_assert_ptr_null(ps_runs_get(r.runs, id));
    ps_world_attach(r.world, 1, "w1");
    ck_assert_str_eq(ps_world_task_of(r.world, 1)->kind, "plan");
    ck_assert_uint_eq(test_stored_count(&r.stored, "checkpoints"), 0);
    close_rig(&r);
}
END_TEST

START_TEST(a_job_begins_with_the_model_of_its_submission_and_then_its_file_goes)
{
    rig r = {0};
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    push(&r, id, 1, 5);
    train(&r);
    ck_assert_uint_eq(test_stored_count(&r.stored, "models"), 1);
    id = ps_world_submit(r.world, "b", 1, "asp", false, "initialize_from: a\n");
    ck_assert_int_eq(ps_model_file_delete(&r.stored.files, "a"), PS_OK);
    ps_world_plan(r.world, ps_world_task_of(r.world, 1), ROWS, 0, SHAPE);
    settle(&r);
    ck_assert_float_eq_tol(parameter(&r, id), -0.5F, 1e-6F);
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert_str_eq(test_stored_find(&r.stored, "models", "a."), "");
    ck_assert_uint_eq(test_stored_count(&r.stored, "models"), 1);
    close_rig(&r);
}
END_TEST

START_TEST(the_sweep_takes_folders_of_ended_jobs_and_no_others)
{
    rig r = {0};
    uint64_t bytes;
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    uint64_t runs = ps_world_submit(r.world, "b", 1, "asp", false, "");
    ps_world_plan(r.world, ps_world_task_of(r.world, 1), ROWS, 0, SHAPE);
    settle(&r);
    ck_assert_int_eq(ps_lifecycle_checkpoint(r.lifecycle, runs, &bytes), PS_OK);
    static const char *const names[] = {"1", "77", "01", "notes"};
    for (size_t i = 0; i < 4; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s/checkpoints/%s", r.stored.dir, names[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    restart(&r);
    ck_assert(!has_checkpoints(&r, id)); /* 1 */
    ck_assert(has_checkpoints(&r, runs));
    ck_assert(has_checkpoints(&r, 77)); /* of another catalog, perhaps */
    ck_assert_uint_eq(test_stored_count(&r.stored, "checkpoints"), 4);
    close_rig(&r);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_job_makes_parameters_then_a_model_and_leaves_no_checkpoint},
    {&a_restart_goes_on_from_the_checkpoint_bit_for_bit},
    {&rows_are_given_out_again_from_where_pushes_ended},
    {&a_full_disk_at_the_end_costs_nothing_but_time},
    {&what_room_there_is_goes_to_the_model},
    {&the_last_checkpoint_is_written_once_there_is_room_for_it_and_only_once},
    {&cancelling_a_job_that_waits_for_room_takes_its_checkpoints},
    {&whatever_fails_while_the_job_ends_the_next_try_succeeds, 60},
    {&a_job_in_memory_keeps_no_checkpoints_and_begins_anew},
    {&a_job_begins_with_the_model_of_its_submission_and_then_its_file_goes},
    {&the_sweep_takes_folders_of_ended_jobs_and_no_others},
    {0},
};

int main(void)
{
    return ps_check_main("server/runs/lifecycle", cases);
}
