/* lifecycle: a scheduler, parameters and a disk that fails: nothing that was trained is lost. */
#include "server/runs/lifecycle.h"

#include "server/catalog/models.h"
#include "server/durable/checkpoint.h"
#include "tests/lib/ck_ok.h"
#include "tests/unit/server/runs/lifecycle_rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
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
    ck_ok(ps_lifecycle_checkpoint_all(r.lifecycle, &jobs, &bytes));
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

START_TEST(the_model_says_what_its_plan_has_settled)
{
    rig r = {0};
    open_rig(&r);
    r.world->plan_model = "{architecture: mlp, layers: [4, 3], classes: [a, b, c]}";
    uint64_t id = begin_job(&r, "");
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ps_model_record *model = NULL;
    ck_ok(ps_catalog_model_get(r.stored.catalog, "a", &model));
    ck_assert_ptr_nonnull(strstr(model->config, "classes: [\"a\",\"b\",\"c\"]"));
    ps_model_record_free(&model);
    close_rig(&r);
}
END_TEST

START_TEST(a_disk_that_fails_at_the_start_costs_nothing_but_time)
{
    rig r = {0};
    uint64_t bytes;
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    push(&r, id, 1, 5);
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    char path[160], away[160];
    (void)snprintf(path, sizeof path, "%s/checkpoints/1/checkpoint-1", r.stored.dir);
    (void)snprintf(away, sizeof away, "%s/away", r.stored.dir);
    ck_assert_int_eq(rename(path, away), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0); /* it can be opened, and reading it fails */
    restart(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ps_world_assert_reason(r.world, id, "its checkpoint cannot be read: ");
    ps_world_assert_reason(r.world, id, "checkpoint-1: read: Is a directory; put that right");
    ck_assert(has_checkpoints(&r, id));
    ck_assert_ptr_null(ps_runs_get(r.runs, id));
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(rename(away, path), 0);
    wait_ms(&r, 1000);
    ps_world_assert_reason(r.world, id, "");
    ck_assert_float_eq_tol(parameter(&r, id), -0.5F, 1e-6F);
    ps_world_attach(r.world, 1, "w1");
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert_float_eq_tol(stored_parameter(&r), -0.5F, 1e-6F);
    close_rig(&r);
}
END_TEST

/* Of checkpoint-N of the job; further bytes go. */
static void cut_checkpoint(const rig *r, uint64_t job_id, unsigned number)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s/checkpoints/%llu/checkpoint-%u", r->stored.dir,
                   (unsigned long long)job_id, number);
    ck_assert_int_eq(truncate(path, 100), 0);
}

static void nothing_new_cb(void *user)
{
}

/* Among the lines of the job's log there is one with this in it. */
static bool said(rig *r, uint64_t job_id, const char *part)
{
    ps_watch *watch = NULL;
    ps_watch_event event;
    bool found = false;
    ck_ok(ps_sched_watch(r->world->sched, job_id, nothing_new_cb, NULL, &watch));
    while (ps_watch_next(watch, &event) == PS_OK) {
        found |= event.log && strstr(event.log->text, part);
        ps_watch_event_clear(&event);
    }
    ps_watch_close(&watch);
    return found;
}

START_TEST(a_job_goes_on_from_the_older_checkpoint_and_says_so)
{
    rig r = {0};
    uint64_t bytes;
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    push(&r, id, 1, 5);
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    push(&r, id, 2, 5);
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    cut_checkpoint(&r, id, 2);
    restart(&r);
    ck_assert_float_eq_tol(parameter(&r, id), -0.5F, 1e-6F);
    ck_assert_uint_eq(test_stored_count(&r.stored, "checkpoints/1"), 3);
    ck_assert_str_eq(test_stored_find(&r.stored, "checkpoints/1", "checkpoint-2"),
                     "checkpoint-2.damaged");
    ck_assert(said(&r, id, "goes on from checkpoint 1: 1 newer is damaged or gone; psd's log"));
    ps_world_attach(r.world, 1, "w1");
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert(!has_checkpoints(&r, id)); /* nobody needs it any more */
    close_rig(&r);
}
END_TEST

static void newer_cb(void *user, ps_buf *out)
{
    ps_buf_append(out, user, 4);
}

START_TEST(a_checkpoint_of_a_newer_psd_waits_for_that)
{
    rig r = {0};
    char folder[160];
    uint8_t version[4];
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    ps_run *run = ps_runs_get(r.runs, id);
    (void)snprintf(folder, sizeof folder, "%s/checkpoints/%llu", r.stored.dir,
                   (unsigned long long)id);
    ps_put_u32le(version, 99);
    ck_ok(ps_checkpoint_write(r.stored.files.disk, folder, ps_run_store(run), 2, newer_cb, version,
                              NULL));
    ps_run_unref(&run);
    restart(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ps_world_assert_reason(r.world, id, "a newer psd wrote it (progress of version 99, this one");
    ps_world_assert_reason(r.world, id, "or cancel the job; it is kept (1 try failed");
    ck_assert_ptr_null(ps_runs_get(r.runs, id));
    wait_ms(&r, 1000);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ck_assert_str_eq(test_stored_find(&r.stored, "checkpoints/1", "checkpoint-1"), "checkpoint-1");
    close_rig(&r);
}
END_TEST

static void nonsense_cb(void *user, ps_buf *out)
{
    static const uint8_t version[4] = {4};
    ps_buf_append(out, version, sizeof version);
    ps_buf_puts(out, "nonsense");
}

/* Its checksums are right, and what it says of the job's progress is not. */
START_TEST(a_checkpoint_that_makes_no_sense_is_kept_and_the_one_before_is_taken)
{
    for (int older = 1; older >= 0; older--) {
        rig r = {0};
        uint64_t bytes;
        open_rig(&r);
        uint64_t id = begin_job(&r, "");
        push(&r, id, 1, 5);
        if (older)
            ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
        push(&r, id, 2, 5);
        ps_run *run = ps_runs_get(r.runs, id);
        char folder[160];
        (void)snprintf(folder, sizeof folder, "%s/checkpoints/1", r.stored.dir);
        ck_ok(ps_checkpoint_write(r.stored.files.disk, folder, ps_run_store(run), 0, nonsense_cb,
                                  NULL, NULL));
        ps_run_unref(&run);
        restart(&r);
        const char *name = older ? "checkpoint-2" : "checkpoint-1";
        ck_assert_ptr_nonnull(
            strstr(test_stored_find(&r.stored, "checkpoints/1", name), ".damaged"));
        if (older) {
            ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
            ck_assert_float_eq_tol(parameter(&r, id), -0.5F, 1e-6F);
            ck_assert(said(&r, id, "goes on from checkpoint 1: 1 newer is damaged or gone"));
            ps_world_attach(r.world, 1, "w1");
            train(&r);
            ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
        } else {
            ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_FAILED);
            ps_world_assert_reason(r.world, id,
                                   "cannot go on after the restart: what it says of the job: ");
            ps_world_assert_reason(r.world, id, "no checkpoint is good (they are kept, ");
        }
        close_rig(&r);
    }
}
END_TEST

START_TEST(a_job_without_a_good_checkpoint_fails_and_its_files_stay)
{
    rig r = {0};
    uint64_t bytes;
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    cut_checkpoint(&r, id, 1);
    for (int i = 0; i < 2; i++) { /* once more: the sweep leaves them, too */
        restart(&r);
        ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_FAILED);
        ps_world_assert_reason(r.world, id, "none of 1 checkpoints is good (they are kept");
        ck_assert_uint_eq(test_stored_count(&r.stored, "checkpoints/1"), 1);
        ck_assert_str_eq(test_stored_find(&r.stored, "checkpoints/1", "checkpoint-1"),
                         "checkpoint-1.damaged");
    }
    close_rig(&r);
}
END_TEST

START_TEST(a_full_disk_at_the_end_costs_nothing_but_time)
{
    rig r = {0};
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    uint64_t bytes;
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    push(&r, id, 1, 5);
    r.stored.fault.room = 0;
    train(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ps_world_assert_reason(r.world, id, "the model is not written yet: model a: ");
    ps_world_assert_reason(r.world, id, "/models/.incoming-a.");
    ps_world_assert_reason(r.world, id, ": write: no space left on device; put that right");
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
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
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
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    r.stored.fault.room = 0;
    train(&r);
    ck_ok(ps_sched_cancel(r.world->sched, id, "anna", "", NULL));
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
        ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
        fault_at(&r.stored.fault.fails, k);
        train(&r);
        bool reached = fault_struck(&r.stored.fault.fails);
        fault_at(&r.stored.fault.fails, 0);
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
    ck_ok(ps_model_file_delete(&r.stored.files, "a"));
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
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, runs, &bytes));
    static const char *const names[] = {"1", "77", "01", "notes"};
    for (size_t i = 0; i < 4; i++) {
        char path[160];
        (void)snprintf(path, sizeof path, "%s/checkpoints/%s", r.stored.dir, names[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    static const char *const records[] = {"1", "1.new", "77", "77.new", "notes"};
    for (size_t i = 0; i < 5; i++) {
        char path[32];
        (void)snprintf(path, sizeof path, "records/%s", records[i]);
        test_stored_write(&r.stored, path, "r", 1);
    }
    restart(&r);
    ck_assert_uint_eq(test_stored_count(&r.stored, "records"), 3);
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
    {&the_model_says_what_its_plan_has_settled},
    {&a_disk_that_fails_at_the_start_costs_nothing_but_time},
    {&a_job_goes_on_from_the_older_checkpoint_and_says_so},
    {&a_checkpoint_of_a_newer_psd_waits_for_that},
    {&a_checkpoint_that_makes_no_sense_is_kept_and_the_one_before_is_taken},
    {&a_job_without_a_good_checkpoint_fails_and_its_files_stay},
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
