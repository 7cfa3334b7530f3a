/* kind_train: epochs, evaluation, and what fails a training job. */
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

static void ignore(void *user)
{
}

START_TEST(under_bsp_an_epoch_begins_when_the_one_before_is_done_and_evaluated)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_training(w, "bsp", true, "workers: 2\nshards: {rows_per_task: 50}\n");
    ps_world_attach(w, 2, "w2");
    ps_world_trained(w, ps_world_task_of(w, 1));
    ck_assert_ptr_null(ps_world_task_of(w, 1)); /* w2 still trains epoch 0 */
    ck_assert(ps_world_traced(w, "leave 1 w1"));
    ps_world_trained(w, ps_world_task_of(w, 2));
    uint64_t at = ps_world_task_of(w, 1) ? 1 : 2;
    ck_assert_str_eq(ps_world_task_of(w, at)->kind, "evaluate");
    ck_assert_uint_eq(ps_world_task_of(w, at)->end, 20);
    ck_assert_ptr_null(ps_world_task_of(w, 3 - at));
    ps_world_evaluated(w, ps_world_task_of(w, at), 70);
    ck_assert_uint_eq(ps_world_task_of(w, 1)->epoch, 1);
    ck_assert_uint_eq(ps_world_task_of(w, 2)->epoch, 1);
    ck_assert_uint_ne(ps_world_task_of(w, 1)->clock, 0); /* what enter() said */
    ps_world_free(&w);
}
END_TEST

/* A book in which everything that was given out is done, with the clock that is open. */
static void book_begin(void *user, uint64_t job_id, const ps_booked_task *task)
{
}

static uint64_t book_report(void *user, uint64_t job_id, uint64_t lease_id, uint64_t position)
{
    return position;
}

static bool book_end(void *user, uint64_t job_id, uint64_t lease_id, bool done, ps_row_set *left)
{
    return true;
}

static const ps_sched_book all_done = {.begin = book_begin, .report = book_report, .end = book_end};

/* That one had pushed its last rows: its leaving ends the clock, and a test before that would be of
 * parameters that change meanwhile. */
START_TEST(the_test_of_an_epoch_comes_behind_the_leaving_of_a_lost_worker)
{
    ps_world *w = ps_world_new(NULL, false);
    ps_sched_free(&w->sched);
    w->book = &all_done;
    ps_world_start(w);
    ps_world_recover(w);
    ps_world_training(w, "bsp", true, "workers: 2\nshards: {rows_per_task: 50}\n");
    ps_world_attach(w, 2, "w2");
    ps_world_trained(w, ps_world_task_of(w, 1));
    ck_assert_ptr_null(ps_world_task_of(w, 1));
    ps_world_failed(w, ps_world_task_of(w, 2), 1, true, "stopping");
    ps_world_task *test = ps_world_task_of(w, 1);
    ck_assert_ptr_nonnull(test);
    ck_assert_str_eq(test->kind, "evaluate");
    const char *left = memmem(w->trace.data, w->trace.len, "leave 1 w2\n", 11);
    ck_assert_ptr_nonnull(left);
    ck_assert_uint_gt(test->said, (size_t)(left - (const char *)w->trace.data));
    ps_world_free(&w);
}
END_TEST

START_TEST(a_finished_jobs_loss_is_its_last_epochs_mean)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "");
    while (ps_world_task_of(w, 1)->epoch == 0)
        ps_world_trained(w, ps_world_task_of(w, 1));
    ps_world_report(w, ps_world_task_of(w, 1), ps_world_task_of(w, 1)->begin + 1, 4);
    for (int i = 0; i < 6; i++) { /* longer than any rate looks back */
        ps_world_run_ms(w, 5000);
        ck_ok(ps_sched_heartbeat(w->sched, 1));
    }
    while (ps_world_state(w, id) == PS_JOB_RUNNING) {
        ps_world_task *task = ps_world_task_of(w, 1);
        if (task->end == 100)
            ps_world_report(w, task, task->end, 1);
        ps_world_trained(w, task);
    }
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_DONE);
    ck_assert(r->progress.has_loss);
    ck_assert_double_eq_tol(r->progress.loss, 2.5, 1e-12);
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

START_TEST(under_asp_evaluation_runs_beside_training_and_the_last_one_after_it)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", true, "workers: 2\nshards: {rows_per_task: 50}\n");
    ps_world_attach(w, 2, "w2");
    ps_world_trained(w, ps_world_task_of(w, 1)); /* w1 goes on with epoch 1 */
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "train");
    ck_assert_uint_eq(ps_world_task_of(w, 1)->epoch, 1);
    ps_world_trained(w, ps_world_task_of(w, 2));
    ck_assert_str_eq(ps_world_task_of(w, 2)->kind, "evaluate");
    ck_assert_uint_eq(ps_world_task_of(w, 2)->epoch, 0);
    ps_world_trained(w, ps_world_task_of(w, 1));
    ps_world_trained(w, ps_world_task_of(w, 1));
    ck_assert_ptr_null(ps_world_task_of(w, 1)); /* all is trained; epoch 0 is still evaluated */
    ps_world_evaluated(w, ps_world_task_of(w, 2), 10);
    uint64_t at = ps_world_task_of(w, 1) ? 1 : 2;
    ck_assert_str_eq(ps_world_task_of(w, at)->kind, "evaluate");
    ck_assert_uint_eq(ps_world_task_of(w, at)->epoch, 1);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ps_world_evaluated(w, ps_world_task_of(w, at), 90);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_assert(w->outcome.has_test);
    ck_assert_uint_eq(w->outcome.test_metrics.count, 1);
    ck_assert_str_eq(w->outcome.test_metrics.at[0].name, "accuracy");
    ck_assert_double_eq(w->outcome.test_metrics.at[0].value, 0.9);
    ck_assert_uint_eq(w->outcome.samples, 200);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_failing_task_goes_to_another_worker_and_the_third_time_fails_the_job)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 100}\n");
    ps_world_attach(w, 2, "w2");
    ps_world_failed(w, ps_world_task_of(w, 1), 14, true, "the device is busy");
    ps_world_run_ms(w, 500); /* not at once */
    uint64_t early = ps_world_task_of(w, 2) ? ps_world_task_of(w, 2)->epoch : 1;
    ck_assert_uint_eq(early, 1);
    if (ps_world_task_of(w, 2))
        ps_world_trained(w, ps_world_task_of(w, 2));
    if (ps_world_task_of(w, 1))
        ps_world_trained(w, ps_world_task_of(w, 1));
    ps_world_run_ms(w, 1000);
    ck_assert_ptr_null(ps_world_task_of(w, 1)); /* not to w1 again */
    ck_assert_uint_eq(ps_world_task_of(w, 2)->epoch, 0);
    ps_world_failed(w, ps_world_task_of(w, 2), 14, true, "the device is busy");
    ps_world_run_ms(w, 2500);
    ps_world_failed(w, ps_world_task_of(w, 1), 14, true, "the device is \xff gone");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id,
                           "a train task failed 3 times, last on worker w1: the device is ? gone");
    ck_assert(ps_world_traced(w, "ended 1 failed"));
    ps_world_free(&w);
}
END_TEST

START_TEST(a_failure_that_no_other_worker_would_avoid_ends_the_job_at_once)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "");
    ps_world_attach(w, 1, "w1");
    ps_world_failed(w, ps_world_task_of(w, 1), 5, false, "/d/x.gz: No such file");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "worker w1: /d/x.gz: No such file");
    ps_world_free(&w);
}
END_TEST

static void ignore_cb(void *user)
{
}

static bool said(ps_world *w, uint64_t id, const char *line)
{
    ps_watch *watch = NULL;
    ps_watch_event event;
    bool found = false;
    ck_ok(ps_sched_watch(w->sched, id, ignore_cb, NULL, &watch));
    while (ps_watch_next(watch, &event) == PS_OK) {
        found = found || (event.log && strcmp(event.log->text, line) == 0);
        ps_watch_event_clear(&event);
    }
    ps_watch_close(&watch);
    return found;
}

/* A lease is lost, and what it had left is trained when the next epoch's rows are done. */
START_TEST(epochs_that_end_at_once_are_each_told)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", true, "workers: 2\nshards: {rows_per_task: 50}\n");
    ps_world_attach(w, 2, "w2");
    for (int i = 0; i < 3; i++) /* the other half of epoch 1, and epoch 2 */
        ps_world_trained(w, ps_world_task_of(w, 2));
    ck_assert(!said(w, id, "epoch 1 of 2 is done"));
    ps_sched_leave(w->sched, 1);
    ck_assert_uint_eq(ps_world_task_of(w, 2)->epoch, 0);
    ps_world_trained(w, ps_world_task_of(w, 2));
    ck_assert(said(w, id, "epoch 1 of 2 is done"));
    ck_assert(said(w, id, "epoch 2 of 2 is done"));
    w->on_finish = PS_WORLD_LATER; /* an ended job's lines are gone */
    ps_world_evaluated(w, ps_world_task_of(w, 2), 50);
    ck_assert(said(w, id, "epoch 1: no test of its own, a newer one was done"));
    ck_assert(said(w, id, "epoch 2: test accuracy 0.5000, test loss 0.5000"));
    ps_world_free(&w);
}
END_TEST

START_TEST(progress_counts_rows_and_means_over_the_last_seconds)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 100}\n");
    for (uint64_t at = 10; at <= 80; at += 10) {
        ps_world_run_ms(w, 500);
        ps_world_report(w, ps_world_task_of(w, 1), at, at < 40 ? 100 : 2);
    }
    ps_world_run_ms(w, 3000);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_uint_eq(r->progress.samples, 80);
    ck_assert_uint_eq(r->progress.samples_total, 200);
    ck_assert_uint_eq(r->progress.epoch, 1);
    ck_assert_uint_eq(r->progress.epochs, 2);
    ck_assert_uint_eq(r->progress.steps, 5); /* psd's updates, not the workers' */
    ck_assert_uint_eq(r->progress.workers, 1);
    ck_assert_uint_eq(r->progress.staleness_max, 3);
    ck_assert_double_eq(r->progress.loss, 2);
    ck_assert_uint_eq(r->metrics.count, 1);
    ck_assert_str_eq(r->metrics.at[0].name, "accuracy");
    ck_assert_double_eq(r->metrics.at[0].value, 0.5);
    ck_assert_double_gt(r->progress.samples_per_second, 5);
    ck_assert_double_lt(r->progress.samples_per_second, 25);
    ck_assert_double_gt(r->progress.eta_seconds, 5);
    ck_assert_double_lt(r->progress.eta_seconds, 20);
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

START_TEST(what_is_left_is_unknown_until_there_was_a_second_of_work)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 100}\n");
    ps_world_report(w, ps_world_task_of(w, 1), 10, 100);
    ps_world_run_ms(w, 600);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_double_lt(r->progress.eta_seconds, 0);
    ps_job_record_free(&r);
    ps_world_run_ms(w, 1400);
    r = ps_world_job(w, id);
    ck_assert_double_gt(r->progress.eta_seconds, 0);
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

/* Has any line that was said of the job this in it? */
static bool was_said(ps_world *w, uint64_t id, const char *part)
{
    ps_watch *watch;
    ps_watch_event event;
    bool said = false;
    ck_ok(ps_sched_watch(w->sched, id, ignore, NULL, &watch));
    while (ps_watch_next(watch, &event) == PS_OK) {
        said |= event.log && strstr(event.log->text, part);
        ps_watch_event_clear(&event);
    }
    ps_watch_close(&watch);
    return said;
}

START_TEST(a_warm_up_that_takes_all_of_the_job_is_said)
{
    static const struct {
        const char *mode, *workers, *says; /* of 20 steps */
        unsigned warmup;
    } tries[] = {
        {"asp", "workers: 4\n", NULL, 19},
        {"asp", "workers: 4\n", "for 20 steps, and the job has 20: it never reaches", 20},
        {"bsp", "", NULL, 19},
        {"bsp", "workers: 4\n", "with all its workers 5: it may not reach", 5},
        {"bsp", "workers: 4\n", NULL, 4},
    };
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        ps_world *w = ps_world_new(NULL, true);
        char extra[128];
        (void)snprintf(extra, sizeof extra,
                       "  schedule: {name: linear, warmup_steps: %u}\n"
                       "shards: {rows_per_task: 50}\n%s",
                       tries[i].warmup, tries[i].workers);
        uint64_t id = ps_world_training(w, tries[i].mode, false, extra);
        ck_assert_int_eq(was_said(w, id, "warmup_steps"), tries[i].says != NULL);
        ck_assert(!tries[i].says || was_said(w, id, tries[i].says));
        ps_world_free(&w);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&a_finished_jobs_loss_is_its_last_epochs_mean},
    {&the_test_of_an_epoch_comes_behind_the_leaving_of_a_lost_worker},
    {&under_bsp_an_epoch_begins_when_the_one_before_is_done_and_evaluated},
    {&under_asp_evaluation_runs_beside_training_and_the_last_one_after_it},
    {&a_failing_task_goes_to_another_worker_and_the_third_time_fails_the_job},
    {&a_failure_that_no_other_worker_would_avoid_ends_the_job_at_once},
    {&epochs_that_end_at_once_are_each_told},
    {&a_warm_up_that_takes_all_of_the_job_is_said},
    {&progress_counts_rows_and_means_over_the_last_seconds},
    {&what_is_left_is_unknown_until_there_was_a_second_of_work},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/kind_train", cases);
}
