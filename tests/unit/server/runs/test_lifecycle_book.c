/* lifecycle_book: which rows of a job are done is what its parameters say, whoever was lost. */
#include "tests/lib/ck_ok.h"
#include "tests/unit/server/runs/lifecycle_rig.h"

#include <stdlib.h>

/* A push of the rows [begin, end) of the task. */
static ps_status push_as(rig *r, const char *worker, const ps_world_task *task, uint64_t begin,
                         uint64_t end)
{
    static uint64_t sequence;
    ps_run *run = ps_runs_get(r->runs, task->job);
    ps_push_header header = {
        .incarnation = 1, .sequence = ++sequence, .lease = task->lease, .rows = {begin, end}};
    ps_push_reply reply;
    ps_status st = test_params_push(ps_run_store(run), worker, &header, 1, &reply);
    ps_run_unref(&run);
    return st;
}

static ps_status push_rows(rig *r, const ps_world_task *task, uint64_t begin, uint64_t end)
{
    return push_as(r, "w1", task, begin, end);
}

/* What counts is what was pushed, not what was reported: of a worker that is lost, that says less
 * than it did, or more; and of psd. */
START_TEST(rows_are_given_out_again_from_where_pushes_ended)
{
    rig r;
    open_rig(&r);
    uint64_t id = begin_job(&r, "");
    ps_world_task lost = *ps_world_task_of(r.world, 1);
    ck_ok(push_rows(&r, &lost, 0, 10));
    ck_ok(push_rows(&r, &lost, 10, 20));
    ck_ok(push_rows(&r, &lost, 30, 40)); /* its other step was faster */
    ps_world_report(r.world, ps_world_task_of(r.world, 1), 10, 1);
    ck_ok(ps_world_hello(r.world, 2, "w1", 2, 1, NULL, 0)); /* it starts anew */
    ck_assert_uint_eq(ps_world_task_of(r.world, 2)->begin, 20);
    ck_assert_uint_eq(ps_world_task_of(r.world, 2)->end, 30);
    ck_assert_int_eq(push_rows(&r, &lost, 20, 30), PS_PERMISSION_DENIED); /* on the way since */
    ck_ok(push_rows(&r, ps_world_task_of(r.world, 2), 20, 30));
    uint64_t bytes;
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    ps_world_trained(r.world, ps_world_task_of(r.world, 2));
    ps_world_task next = *ps_world_task_of(r.world, 2);
    ck_assert_uint_eq(next.begin, 40);
    ck_ok(push_rows(&r, &next, 40, 50));
    ps_world_trained(r.world, ps_world_task_of(r.world, 2));
    restart(&r);
    ps_world_attach(r.world, 3, "w1");
    ck_assert_uint_eq(ps_world_task_of(r.world, 3)->begin, 40); /* as its parameters are */
    ck_assert_float_eq_tol(parameter(&r, id), -0.4f, 1e-6f);
    ck_ok(push_rows(&r, ps_world_task_of(r.world, 3), 40, 90));
    ps_world_trained(r.world, ps_world_task_of(r.world, 3)); /* says that all is done */
    ck_assert_uint_eq(ps_world_task_of(r.world, 3)->begin, 90);
    ck_ok(push_rows(&r, ps_world_task_of(r.world, 3), 90, 100));
    /* lost when nothing is left to do: that is the end of the training */
    ck_ok(ps_world_hello(r.world, 4, "w1", 3, 1, NULL, 0));
    settle(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_DONE);
    ck_assert_float_eq_tol(stored_parameter(&r), -0.6f, 1e-6f);
    close_rig(&r);
}
END_TEST

/* Puts the file tests/golden/checkpoint/NAME in place of the job's checkpoints. */
static void put_golden(rig *r, uint64_t job_id, const char *name)
{
    char from[512], command[2048];
    (void)snprintf(from, sizeof from, "%s/tests/golden/checkpoint/%s", getenv("PSD_SOURCE_ROOT"),
                   name);
    char *folder =
        ps_asprintf("%s/checkpoints/%llu", r->stored.files.data_dir, (unsigned long long)job_id);
    (void)snprintf(command, sizeof command, "mkdir -p %s && rm -f %s/* && cp %s %s/checkpoint-1",
                   folder, folder, from, folder);
    ck_assert_int_eq(system(command), 0);
    ps_free(&folder);
}

/* Files of a psd that did not book rows (3 epochs of 600, a model [600, 1], sgd, linear): the rows
 * come from the job's progress, and the schedule goes on from there. */
START_TEST(a_checkpoint_without_rows_is_read)
{
    static const char *const modes[] = {"asp", "bsp"};
    rig r;
    uint64_t total;
    open_rig(&r);
    uint64_t id = ps_world_submit(r.world, "old", 3, modes[_i], false, "");
    ps_world_attach(r.world, 1, "w1");
    ps_world_plan(r.world, ps_world_task_of(r.world, 1), 600, 0, SHAPE);
    settle(&r);
    put_golden(&r, id, modes[_i]);
    restart(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ps_world_attach(r.world, 1, "w1");
    wait_ms(&r, 1250);
    ps_job_record *job = ps_world_job(r.world, id);
    ps_run *run = ps_runs_get(r.runs, id);
    ck_assert_ptr_nonnull(run);
    uint64_t done = ps_ledger_rows_done(ps_param_store_ledger(ps_run_store(run)), &total);
    ck_assert_uint_ge(done, 600);
    ck_assert_uint_eq(total, 1800);
    ck_assert_uint_eq(job->progress.samples, done);
    const ps_world_task *task = ps_world_task_of(r.world, 1);
    ck_assert_uint_eq(task->epoch, done / 600);
    ck_assert_uint_le(task->begin, done % 600);
    ps_run_unref(&run);
    ps_job_record_free(&job);
    close_rig(&r);
}
END_TEST

/* Under bsp the last rows of an epoch wait for the end of their clock: the epoch is evaluated, and
 * a checkpoint has neither these rows nor, then, the epoch. It is trained and evaluated again, as
 * often as psd is restarted meanwhile. */
START_TEST(an_evaluated_epoch_whose_clock_had_not_ended_is_gone_on_with)
{
    rig r;
    uint64_t bytes;
    open_rig(&r);
    uint64_t id =
        ps_world_submit(r.world, "a", 2, "bsp", true, "workers: 2\nshards: {rows_per_task: 50}\n");
    ps_world_attach(r.world, 1, "w1");
    ps_world_plan(r.world, ps_world_task_of(r.world, 1), ROWS, 20, SHAPE);
    settle(&r);
    ps_world_attach(r.world, 2, "w2");
    settle(&r);
    ck_ok(push_rows(&r, ps_world_task_of(r.world, 1), 0, 50));
    const ps_world_task *second = ps_world_task_of(r.world, 2);
    ck_assert_int_eq(push_rows(&r, second, 50, 100), PS_PERMISSION_DENIED); /* it is w2's */
    ck_ok(push_as(&r, "w2", second, 50, 100));
    ps_world_report(r.world, ps_world_task_of(r.world, 2), 100, 1); /* and then it stands still */
    ps_world_trained(r.world, ps_world_task_of(r.world, 1));
    ck_assert_str_eq(ps_world_task_of(r.world, 1)->kind, "evaluate");
    ps_world_evaluated(r.world, ps_world_task_of(r.world, 1), 10);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    restart(&r);
    ck_ok(ps_lifecycle_checkpoint(r.lifecycle, id, &bytes));
    restart(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_RUNNING);
    ps_world_attach(r.world, 3, "w1");
    settle(&r);
    for (uint64_t begin = 0; begin < 100; begin += 50) {
        ck_assert_uint_eq(ps_world_task_of(r.world, 3)->begin, begin);
        ck_ok(push_rows(&r, ps_world_task_of(r.world, 3), begin, begin + 50));
        ps_world_trained(r.world, ps_world_task_of(r.world, 3));
        settle(&r);
    }
    ck_assert_ptr_nonnull(ps_world_task_of(r.world, 3));
    ck_assert_str_eq(ps_world_task_of(r.world, 3)->kind, "evaluate");
    close_rig(&r);
}
END_TEST

/* No report of a worker could say what it has measured. */
START_TEST(losses_of_too_many_column_blocks_are_refused)
{
    enum { TENSORS = 50, COLUMNS = 64 };
    static char names[TENSORS][16], none[] = "";
    static uint64_t shape[] = {1, COLUMNS};
    ps_data_plan_tensor tensors[TENSORS];
    rig r;
    open_rig(&r);
    for (size_t i = 0; i < TENSORS; i++) {
        (void)snprintf(names[i], sizeof names[i], "t%zu", i);
        tensors[i] = (ps_data_plan_tensor){.name = names[i], .shape = shape, .n_shape = 2};
    }
    const ps_data_plan plan = {
        .train_rows = ROWS, .tensors = tensors, .n_tensors = TENSORS, .model = none};
    uint64_t id = ps_world_submit(r.world, "a", 1, "asp", false,
                                  "column_blocks: 64\nrecord: {loss_changes: {}}\n");
    ps_world_attach(r.world, 1, "w1");
    ps_task_result result = {.lease_id = ps_world_task_of(r.world, 1)->lease};
    result.plan = ps_data_plan_copy(&plan);
    ck_ok(ps_sched_result(r.world->sched, 1, &result));
    settle(&r);
    ck_assert_int_eq(ps_world_state(r.world, id), PS_JOB_FAILED);
    ps_world_assert_reason(r.world, id, "a report on 3200 column blocks");
    close_rig(&r);
}
END_TEST

static const ps_check_case cases[] = {
    {&rows_are_given_out_again_from_where_pushes_ended},
    {&an_evaluated_epoch_whose_clock_had_not_ended_is_gone_on_with},
    {&a_checkpoint_without_rows_is_read, .repeat = 2},
    {&losses_of_too_many_column_blocks_are_refused},
    {0},
};

int main(void)
{
    return ps_check_main("server/runs/lifecycle_book", cases);
}
