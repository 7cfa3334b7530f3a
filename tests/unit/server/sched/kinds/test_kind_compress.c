/* kind_compress: windows and turns, what is lost on the way, restarts, limits, and workers that do
 * not tell the truth. The parameters' side is a ledger alone. */
#include "tests/unit/server/sched/kinds/compress_rig.h"

START_TEST(windows_are_calibrated_and_solved_in_turn_and_the_draft_is_published)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    ck_assert(ps_world_traced(w, "create 1 6")); /* words of three, two sums, and their tokens */
    solve_all(w);
    ck_assert_uint_eq(count(w, "clear 1\n"), WINDOWS - 1);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1);
    ck_assert(w->outcome.drafts);
    char *version = NULL;
    ck_ok(ps_sched_job_model(w->sched, id, "small", &version)); /* for who evaluates it */
    ck_assert_str_eq(version, "models/draft.1");
    ps_free(&version);
    ck_assert_str_eq(ps_world_task_of(w, 1)->model, ""); /* the parent, beside the draft */
    evaluate(w, 90, 89);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ck_assert(!w->outcome.drafts && w->outcome.has_test);
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_uint_eq(r->progress.tensors, 3);
    ck_assert_uint_eq(r->progress.tensors_total, 3);
    ck_assert_uint_eq(r->progress.samples, WINDOWS * ROWS);
    ck_assert_ptr_nonnull(strstr(r->result, "\"tensors\":3,"));
    ck_assert_ptr_nonnull(strstr(r->result, "\"test_loss\":0.11,\"parent_test_loss\":0.1"));
    ck_assert_ptr_nonnull(strstr(w->report, "\"compared\":{\"samples\":100,"));
    ps_job_record_free(&r);
    end(&w);
}
END_TEST

START_TEST(what_a_lost_worker_has_pushed_stays_and_the_rest_is_another_workers)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    ps_world_attach(w, 2, "w2");
    ps_world_task *kept = ps_world_task_of(w, 2), *mine = ps_world_task_of(w, 1);
    ck_assert(is(kept, "calibrate") && is(mine, "calibrate"));
    ck_assert_uint_ne(kept->begin, mine->begin);
    ck_ok(push(kept)); /* and then nothing is heard of it */
    uint64_t begin_of_kept = kept->begin, seen = 0;
    ck_ok(ps_sched_heartbeat(w->sched, 1));
    for (int i = 0; i < 3; i++) {
        ps_world_run_ms(w, PS_WORLD_TIMEOUT_MS / 2);
        ck_ok(ps_sched_heartbeat(w->sched, 1));
    }
    const ps_world_task late = *ps_world_task_of(w, 1);
    while (is(ps_world_task_of(w, 1), "calibrate")) {
        ck_assert_uint_ne(ps_world_task_of(w, 1)->begin, begin_of_kept);
        calibrates(w, ps_world_task_of(w, 1));
        seen++;
    }
    ck_assert_uint_eq(seen, TASKS - 1);
    ck_assert_int_eq(push(&late), PS_PERMISSION_DENIED); /* its lease has ended */
    ck_assert(is(ps_world_task_of(w, 1), "solve"));
    end(&w);
}
END_TEST

/* The same with a tensor: it is solved again. */
START_TEST(a_tensor_whose_worker_fails_is_solved_by_another_but_not_for_ever)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    calibrate_window(w, 0);
    for (int i = 0; i < 3; i++) {
        ps_world_task *task = ps_world_task_of(w, 1);
        ck_assert(is(task, "solve"));
        ck_assert_uint_eq(task->begin, 0);
        ps_world_failed(w, task, 13, true, "no memory");
        ck_ok(ps_sched_heartbeat(w->sched, 1));
        ps_world_run_ms(w, 3000);
    }
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "a solve task failed 3 times, last on worker w1: no memory");
    end(&w);
}
END_TEST

START_TEST(a_worker_that_says_done_and_has_pushed_nothing_is_not_believed)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    for (int i = 0; i < 12 && ps_world_state(w, id) == PS_JOB_RUNNING; i++) {
        ps_world_task *task = ps_world_task_of(w, 1);
        if (task)
            says_done(w, task, NULL);
        ck_ok(ps_sched_heartbeat(w->sched, 1));
        ps_world_run_ms(w, 3000);
    }
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "what it has summed did not come");
    end(&w);
}
END_TEST

/* A line of each tensor is kept until the report. */
START_TEST(a_worker_that_says_more_of_a_tensor_than_there_is_to_say_fails_the_job)
{
    enum { FIGURES = 16 << 10 };
    for (size_t more = 0; more < 2; more++) {
        uint64_t id;
        ps_world *w = begin("{loss: 100}", &id);
        calibrate_window(w, 0);
        ps_world_task *task = ps_world_task_of(w, 1);
        ck_assert(is(task, "solve"));
        char *line = ps_alloc_array(FIGURES + 2, 1);
        memset(line, ' ', FIGURES + more);
        line[0] = '{';
        line[FIGURES + more - 1] = '}';
        says_done(w, task, line);
        free(line);
        ck_assert_int_eq(ps_world_state(w, id), more ? PS_JOB_FAILED : PS_JOB_RUNNING);
        if (more)
            ps_world_assert_reason(w, id,
                                   "16385 bytes about tensor layers.0.weight, allowed are 16384");
        end(&w);
    }
}
END_TEST

START_TEST(after_a_restart_it_goes_on_where_the_parameters_are)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    calibrate_window(w, 0);
    solve(w, 0);
    calibrates(w, ps_world_task_of(w, 1));
    ck_ok(push(ps_world_task_of(w, 1))); /* nobody has heard of it but the parameters */
    restart(w, id);
    for (int i = 0; i < TASKS - 2; i++)
        calibrates(w, ps_world_task_of(w, 1));
    restart(w, id); /* window 1 is summed, its tensor is not solved */
    ck_assert(!ps_world_traced(w, "clear 1"));
    solve(w, 2);
    calibrate_window(w, 2);
    w->on_finish = PS_WORLD_LATER; /* while the draft is written */
    solve(w, 4);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1);
    w->on_finish = PS_WORLD_YES;
    restart(w, id);
    ck_assert_uint_eq(count(w, "finish 1\n"), 1); /* it is written anew */
    evaluate(w, 90, 90);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    end(&w);
}
END_TEST

/* It is of a moment before the sums were cleared, whatever was done of it. */
START_TEST(a_restart_while_sums_are_cleared_clears_them_again)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    calibrate_window(w, 0);
    w->on_create = PS_WORLD_LATER;
    solve(w, 0);
    ck_assert_uint_eq(count(w, "clear 1\n"), 1);
    ck_assert_ptr_null(ps_world_task_of(w, 1));
    w->on_create = PS_WORLD_YES;
    restart(w, id);
    ck_assert_uint_eq(count(w, "clear 1\n"), 1);
    calibrate_window(w, 1);
    end(&w);
}
END_TEST

/* Between the two halves of a checkpoint: how far the job is, and its parameters. */
START_TEST(a_first_window_may_be_summed_before_its_checkpoint_has_the_parameters)
{
    uint64_t id;
    scheme = BLOCKS;
    ps_world *w = begin("{loss: 100}", &id);
    ck_ok(ps_sched_progress_save(w->sched, id, &w->blob));
    solve(w, 4);
    calibrate_window(w, 0);
    ps_world_task *task = ps_world_task_of(w, 1);
    ck_assert(is(task, "solve") && task->begin == 0);
    ps_row_set left = {0};
    (void)ps_ledger_lease_end(ledger, task->lease, false, &left);
    ps_row_set_free(&left);
    ps_world_restart(w);
    ps_world_attach(w, 1, "w1");
    ps_world_run_ms(w, 250);
    solve(w, 4); /* again */
    solve(w, 0);
    calibrate_window(w, 1);
    solve(w, 2);
    evaluate(w, 90, 90);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    end(&w);
    scheme = "int4, group: row";
}
END_TEST

START_TEST(a_checkpoint_that_is_cut_is_none)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    calibrate_window(w, 0);
    solve(w, 0);
    ps_buf whole = PS_BUF_EMPTY;
    ck_ok(ps_sched_progress_save(w->sched, id, &whole));
    w->n_tasks = 0;
    ps_buf_clear(&w->blob);
    size_t len = 1 + 3 * (size_t)_i;
    ps_buf_append(&w->blob, whole.data, len < whole.len ? len : whole.len - 1);
    ps_world_restart(w);
    ps_world_run_ms(w, 250);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "progress");
    ps_buf_free(&whole);
    end(&w);
}
END_TEST

START_TEST(one_that_is_cancelled_while_it_is_drafted_ends_with_the_answer)
{
    uint64_t id;
    ps_world *w = begin("{loss: 100}", &id);
    w->on_finish = PS_WORLD_LATER;
    solve_all(w);
    ck_ok(ps_sched_cancel(w->sched, id, "anna", "", NULL));
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLING);
    ps_sched_drafted(w->sched, id, NULL,
                     &(ps_draft){.version = "models/draft.1",
                                 .sha256 = PS_WORLD_DIGEST,
                                 .parent_sha256 = PS_WORLD_DIGEST});
    ps_world_run_ms(w, 250);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_CANCELLED);
    ck_assert(ps_world_traced(w, "ended 1 cancelled"));
    end(&w);
}
END_TEST

static const ps_check_case tests[] = {
    {&windows_are_calibrated_and_solved_in_turn_and_the_draft_is_published},
    {&what_a_lost_worker_has_pushed_stays_and_the_rest_is_another_workers},
    {&a_tensor_whose_worker_fails_is_solved_by_another_but_not_for_ever},
    {&a_worker_that_says_done_and_has_pushed_nothing_is_not_believed},
    {&a_worker_that_says_more_of_a_tensor_than_there_is_to_say_fails_the_job},
    {&after_a_restart_it_goes_on_where_the_parameters_are},
    {&a_restart_while_sums_are_cleared_clears_them_again},
    {&a_first_window_may_be_summed_before_its_checkpoint_has_the_parameters},
    {&a_checkpoint_that_is_cut_is_none, 0, 50},
    {&one_that_is_cancelled_while_it_is_drafted_ends_with_the_answer},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/kinds/kind_compress", tests);
}
