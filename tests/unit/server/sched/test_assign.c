/* assign: who gets the workers. */
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

START_TEST(two_jobs_share_the_workers_evenly_and_in_order)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t a = ps_world_submit(w, "a", 9, "asp", false, "workers: 4\n");
    for (uint64_t i = 1; i <= 4; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "w%u", (unsigned)i);
        ps_world_attach(w, i, name);
    }
    ps_world_plan(w, ps_world_task_of(w, 1), 1000, 0, 4);
    ck_assert_ptr_nonnull(ps_world_task_of(w, 4)); /* all four train a */
    uint64_t b = ps_world_submit(w, "b", 9, "asp", false, "workers: 4\n");
    ck_assert_int_eq(ps_world_state(w, b), PS_JOB_RUNNING);
    ps_world_trained(w, ps_world_task_of(w, 1)); /* gives way to b's plan */
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "plan");
    ps_world_plan(w, ps_world_task_of(w, 1), 1000, 0, 4);
    unsigned of_a = 0, of_b = 0;
    for (int round = 0; round < 3; round++)
        for (uint64_t i = 1; i <= 4; i++)
            ps_world_trained(w, ps_world_task_of(w, i));
    for (uint64_t i = 1; i <= 4; i++) {
        of_a += ps_world_task_of(w, i)->job == a;
        of_b += ps_world_task_of(w, i)->job == b;
    }
    ck_assert_uint_eq(of_a, 2);
    ck_assert_uint_eq(of_b, 2);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_job_takes_no_more_workers_than_it_asked_for_and_waits_for_enough)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_submit(w, "a", 1, "asp", false, "workers: 2\nmin_workers: 2\n");
    ps_world_attach(w, 1, "w1");
    ps_world_assert_reason(w, id, "waits for workers: 1 here, 2 needed");
    ps_world_attach(w, 2, "w2");
    ps_world_attach(w, 3, "w3");
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ps_world_assert_reason(w, id, "");
    for (uint64_t i = 1; i <= 3; i++)
        if (ps_world_task_of(w, i) && strcmp(ps_world_task_of(w, i)->kind, "plan") == 0)
            ps_world_plan(w, ps_world_task_of(w, i), 1000, 0, 4);
    unsigned busy = 0;
    for (uint64_t i = 1; i <= 3; i++)
        busy += ps_world_task_of(w, i) != NULL;
    ck_assert_uint_eq(busy, 2);
    ps_world_free(&w);
}
END_TEST

START_TEST(no_more_jobs_run_at_once_than_max_running)
{
    ps_world *w = ps_world_new(NULL, true); /* at most 4 */
    ps_world_attach(w, 1, "w1");
    uint64_t ids[6];
    for (size_t i = 0; i < 6; i++)
        ids[i] = ps_world_submit(w, "a", 1, "asp", false, "");
    ck_assert_int_eq(ps_world_state(w, ids[3]), PS_JOB_RUNNING);
    ck_assert_int_eq(ps_world_state(w, ids[4]), PS_JOB_QUEUED);
    ps_world_assert_reason(w, ids[4], "waits its turn: jobs running: 4, at most 4 may");
    ps_world_serve(w, (uint64_t[]){1}, 1, 50, 0);
    for (size_t i = 0; i < 6; i++)
        ck_assert_int_eq(ps_world_state(w, ids[i]), PS_JOB_DONE);
    ps_world_free(&w);
}
END_TEST

static uint64_t submit_predict(ps_world *w)
{
    uint64_t id = 0;
    ck_ok(ps_sched_submit(w->sched, "anna",
                          ps_slice_str("kind: predict\nname: p\nmodel_name: digits\n"
                                       "data: {format: idx, test: {features: /x}}\n"),
                          NULL, NULL, &id));
    return id;
}

/* The tasks that are out of a job of that kind. */
static unsigned out(const ps_world *w, const char *kind)
{
    unsigned n = 0;
    for (size_t i = 0; i < w->n_tasks; i++)
        n += !w->tasks[i].answered && strcmp(w->tasks[i].kind, kind) == 0;
    return n;
}

START_TEST(jobs_on_stored_models_have_slots_of_their_own)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_store_model(w, "digits", 4);
    w->train_slots = 1;
    ck_ok(ps_world_hello(w, 1, "w1", 1, 2, NULL, 0));
    uint64_t first = submit_predict(w);
    ck_assert_uint_eq(out(w, "predict"), 1);
    ps_world_submit(w, "a", 1, "asp", false, "");
    ps_world_submit(w, "b", 1, "asp", false, "");
    ck_assert_uint_eq(out(w, "plan"), 1); /* the other slot, and that is all */
    uint64_t second = submit_predict(w);
    ck_assert_uint_eq(out(w, "predict"), 1);
    ps_world_assert_reason(w, second,
                           "waits for a worker: 1 here, 1 of 1 for predict tasks busy with jobs 1, "
                           "2");
    ps_world_assert_reason(w, first, "");
    ps_world_free(&w);
}
END_TEST

START_TEST(a_job_on_a_stored_model_goes_before_any_trainings_next_task)
{
    ps_world *w = ps_world_new(NULL, true); /* at most 4 of each */
    uint64_t ids[5];
    ps_world_store_model(w, "digits", 4);
    ps_world_attach(w, 1, "w1");
    for (size_t i = 0; i < 5; i++)
        ids[i] = ps_world_submit(w, "a", 1, "asp", false, "");
    ck_assert_int_eq(ps_world_state(w, ids[4]), PS_JOB_QUEUED);
    uint64_t short_one = submit_predict(w);
    ck_assert_int_eq(ps_world_state(w, short_one), PS_JOB_RUNNING);
    ps_world_assert_reason(w, short_one,
                           "waits for a worker: 1 here, 1 of 1 for predict tasks busy with job 1");
    ps_world_plan(w, ps_world_task_of(w, 1), 100, 0, 4);
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "predict");
    ps_world_free(&w);
}
END_TEST

START_TEST(a_running_job_says_what_it_waits_for)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "");
    ps_world_assert_reason(w, id, "");
    ps_sched_leave(w->sched, 1);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_RUNNING);
    ps_world_assert_reason(w, id, "waits for workers: 0 here, 1 needed");
    char evaluate[] = "evaluate", *kinds[] = {evaluate};
    ps_hello hello = {0};
    hello.incarnation = 1;
    hello.kinds = kinds;
    hello.n_kinds = 1;
    ck_ok(ps_sched_attach(w->sched, 2, "w2", "", &hello));
    ps_world_assert_reason(w, id, "waits for a worker that does train tasks: 1 here, 0 do");
    ps_world_attach(w, 3, "w3");
    ps_world_assert_reason(w, id, "");
    ps_sched_leave(w->sched, 3);
    ps_sched_drain(w->sched, true);
    ps_world_assert_reason(w, id, "waits: psd is draining and gives out no tasks");
    ps_sched_drain(w->sched, false);
    ps_world_store_model(w, "digits", 4);
    uint64_t failing = submit_predict(w);
    ps_world_assert_reason(w, failing, "waits for a worker that does predict tasks: 1 here, 0 do");
    ps_world_attach(w, 4, "w4"); /* goes to the prediction first */
    ps_world_failed(w, ps_world_task_of(w, 4), 14, true, "no card");
    ps_world_assert_reason(w, failing,
                           "waits for a worker: 2 here, 1 of 1 for predict tasks busy with job 1");
    ps_sched_leave(w->sched, 4);
    ps_world_attach(w, 5, "w5");
    ps_world_attach(w, 6, "w6"); /* one of them is free, and it is too early */
    ps_world_assert_reason(w, failing, "waits a moment before a task is tried again");
    ps_world_free(&w);
}
END_TEST

static const ps_check_case cases[] = {
    {&jobs_on_stored_models_have_slots_of_their_own},
    {&a_job_on_a_stored_model_goes_before_any_trainings_next_task},
    {&a_running_job_says_what_it_waits_for},
    {&two_jobs_share_the_workers_evenly_and_in_order},
    {&a_job_takes_no_more_workers_than_it_asked_for_and_waits_for_enough},
    {&no_more_jobs_run_at_once_than_max_running},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/assign", cases);
}
