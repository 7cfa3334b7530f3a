/* finish: a model that cannot be written yet. */
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

static size_t count(const ps_world *w, const char *line)
{
    size_t n = 0;
    ps_buf copy = PS_BUF_EMPTY;
    ps_buf_append(&copy, w->trace.data, w->trace.len);
    for (const char *at = ps_buf_cstr(&copy); (at = strstr(at, line)) != NULL; at++)
        n++;
    ps_buf_free(&copy);
    return n;
}

static void nothing_cb(void *user)
{
}

/* The job has said this line once, in this psd or in one before. */
static void assert_said_once(ps_world *w, uint64_t id, const char *line)
{
    ps_watch *watch = NULL;
    ps_watch_event event;
    unsigned times = 0;
    ck_ok(ps_sched_watch(w->sched, id, nothing_cb, NULL, &watch));
    while (ps_watch_next(watch, &event) == PS_OK) {
        times += event.log && strcmp(event.log->text, line) == 0;
        ps_watch_event_clear(&event);
    }
    ck_assert_uint_eq(times, 1);
    ps_watch_close(&watch);
}

/* A job whose rows are done and whose model psd cannot write. */
static uint64_t unwritten(ps_world *w)
{
    w->on_finish = PS_WORLD_NO;
    uint64_t id = ps_world_training(w, "asp", false, "");
    ps_world_serve(w, (uint64_t[]){1}, 1, 100, 0);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1);
    return id;
}

START_TEST(it_is_tried_again_and_the_job_says_why_it_waits)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = unwritten(w);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ps_world_assert_reason(
        w, id,
        "the model is not written yet: the disk is full; put that right, or cancel the job; what "
        "was trained is kept (1 try failed, the next is 1 s later)");
    ck_assert_uint_eq(w->outcome.failed_writes, 0);
    ps_world_run_ms(w, 750);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1);
    ps_world_run_ms(w, 250);
    ck_assert_uint_eq(count(w, "finish 1\n"), 2);
    ck_assert_uint_eq(w->outcome.failed_writes, 1);
    ps_world_assert_reason(w, id, "(2 tries failed, the next is 2 s later)");
    ck_assert(!ps_world_traced(w, "ended 1 failed"));
    w->on_finish = PS_WORLD_YES;
    ps_world_run_ms(w, 2000);
    ck_assert_uint_eq(count(w, "finish 1\n"), 3);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_DONE);
    ck_assert_str_eq(r->reason, "");
    ck_assert_ptr_nonnull(strstr(r->result, "\"samples\":200,"));
    ps_job_record_free(&r);
    ps_world_free(&w);
}
END_TEST

START_TEST(the_waits_double_up_to_a_minute)
{
    ps_world *w = ps_world_new(NULL, true);
    unwritten(w);
    static const uint64_t waits[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        ps_world_run_ms(w, waits[i] * 1000 - 250);
        ck_assert_uint_eq(count(w, "finish 1\n"), i + 1);
        ps_world_run_ms(w, 250);
        ck_assert_uint_eq(count(w, "finish 1\n"), i + 2);
    }
    ps_world_free(&w);
}
END_TEST

START_TEST(nobody_asks_for_checkpoints_meanwhile_but_whoever_writes_the_model)
{
    ps_world *w = ps_world_new(NULL, true);
    unwritten(w);
    uint64_t before = w->n_checkpoints;
    ps_world_run_ms(w, 5 * PS_WORLD_CHECKPOINT_MS);
    ck_assert_uint_eq(w->n_checkpoints, before);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_job_that_waits_for_its_model_can_be_cancelled)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = unwritten(w);
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "no need", NULL));
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLED);
    ps_world_assert_reason(w, id, "cancelled by anna: no need");
    ck_assert(ps_world_traced(w, "ended 1 cancelled"));
    ps_world_run_ms(w, 10000);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_cancel_while_it_is_being_tried_counts_when_the_try_fails)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = unwritten(w);
    w->on_finish = PS_WORLD_LATER;
    ps_world_run_ms(w, 1000);
    ck_assert_uint_eq(count(w, "finish 1\n"), 2);
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLING);
    ps_error error;
    ps_error_save(&error, ps_fail(PS_NO_SPACE, "the disk is full"));
    ps_sched_finished(w->sched, id, &error);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLED);
    ps_world_free(&w);
}
END_TEST

START_TEST(after_a_restart_it_is_tried_at_once_with_the_same_outcome)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = unwritten(w);
    ps_world_run_ms(w, 3000);
    ck_ok(ps_sched_progress_save(w->sched, id, &w->blob));
    w->outcome = (ps_job_outcome){0};
    w->on_finish = PS_WORLD_LATER;
    ps_world_restart(w);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1);
    ck_assert_uint_eq(w->outcome.samples, 200);
    ck_assert_uint_eq(w->outcome.epochs, 2);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_int_eq(r->state, PS_JOB_RUNNING);
    ck_assert_str_eq(r->reason, "");
    ck_assert_uint_eq(r->progress.epoch, 2);
    ps_job_record_free(&r);
    assert_said_once(w, id, "goes on from its checkpoint: epoch 2, 200 of 200 samples");
    ps_sched_finished(w->sched, id, NULL);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ps_world_free(&w);
}
END_TEST

START_TEST(after_a_day_of_tries_the_job_fails)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = unwritten(w);
    for (int hour = 0; hour < 23; hour++)
        ps_world_run_ms(w, 3600 * 1000);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    for (int hour = 0; hour < 2; hour++)
        ps_world_run_ms(w, 3600 * 1000);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "the model could not be written: the disk is full");
    ck_assert(ps_world_traced(w, "ended 1 failed"));
    ps_world_free(&w);
}
END_TEST

START_TEST(a_job_that_is_wrong_itself_fails_at_once)
{
    ps_world *w = ps_world_new(NULL, true);
    w->on_finish = PS_WORLD_LATER;
    uint64_t id = ps_world_training(w, "asp", false, "");
    ps_world_serve(w, (uint64_t[]){1}, 1, 100, 0);
    ps_error error;
    ps_error_save(&error, ps_fail(PS_INVALID_ARGUMENT, "tensor w: rank 9, at most 8"));
    ps_sched_finished(w->sched, id, &error);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "the model could not be written: tensor w: rank 9, at most 8");
    ps_world_free(&w);
}
END_TEST

static const ps_check_case tests[] = {
    {&it_is_tried_again_and_the_job_says_why_it_waits},
    {&the_waits_double_up_to_a_minute},
    {&nobody_asks_for_checkpoints_meanwhile_but_whoever_writes_the_model},
    {&a_job_that_waits_for_its_model_can_be_cancelled},
    {&a_cancel_while_it_is_being_tried_counts_when_the_try_fails},
    {&after_a_restart_it_is_tried_at_once_with_the_same_outcome},
    {&after_a_day_of_tries_the_job_fails, 60},
    {&a_job_that_is_wrong_itself_fails_at_once},
    {0},
};

int main(void)
{
    return ps_check_main("sched/finish", tests);
}
