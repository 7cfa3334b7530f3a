/* worker: leases are kept by a sign of life, lost by silence, and never anybody else's. */
#include "tests/lib/check_main.h"
#include "tests/lib/world.h"

START_TEST(a_silent_worker_loses_only_what_it_has_not_done)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 50}\nworkers: 2\n");
    ps_world_report(w, ps_world_task_of(w, 1), 30, 2.5);
    ps_world_run_ms(w, PS_WORLD_TIMEOUT_MS - 500);
    ck_assert(ps_sched_holds_lease(w->sched, "w1", id));
    ps_world_attach(w, 2, "w2"); /* late: gets the second half */
    ck_assert_uint_eq(ps_world_task_of(w, 2)->begin, 50);
    ps_world_run_ms(w, 1000);
    ck_assert(!ps_sched_holds_lease(w->sched, "w1", id));
    ck_assert(ps_world_traced(w, "drop 1"));
    ck_assert(ps_world_traced(w, "leave 1 w1"));
    ck_assert(!ps_world_traced(w, "leave 1 w2"));
    ps_world_trained(w, ps_world_task_of(w, 2));
    ck_assert_uint_eq(ps_world_task_of(w, 2)->begin, 30);
    ck_assert_uint_eq(ps_world_task_of(w, 2)->end, 50);
    ck_assert_uint_eq(ps_world_task_of(w, 2)->epoch, 0);
    ck_assert_int_eq(ps_sched_heartbeat(w->sched, 1), PS_NOT_FOUND);
    ps_world_free(&w);
}
END_TEST

START_TEST(heartbeats_keep_leases_and_a_worker_that_comes_back_in_time_too)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 50}\n");
    for (int i = 0; i < 5; i++) {
        ps_world_run_ms(w, PS_WORLD_TIMEOUT_MS - 1000);
        ck_ok(ps_sched_heartbeat(w->sched, 1));
    }
    uint64_t lease = ps_world_task_of(w, 1)->lease;
    ps_sched_detach(w->sched, 1);
    ps_world_run_ms(w, 5000);
    ck_ok(ps_world_hello(w, 2, "w1", 1, 1, (uint64_t[]){lease, 99}, 2));
    ck_assert(ps_world_traced(w, "cancel 2")); /* 99 is nobody's */
    ck_assert(ps_sched_holds_lease(w->sched, "w1", id));
    ck_assert_ptr_null(ps_world_task_of(w, 2)); /* its slot is taken by the lease it has kept */
    ps_world_task *task = &w->tasks[w->n_tasks - 1];
    task->session = 2;
    ps_world_trained(w, task);
    ck_assert_ptr_null(ps_world_task_of(w, 2)); /* still busy with 99 */
    ps_world_task other = {.session = 2, .lease = 99};
    ps_world_failed(w, &other, 1, true, "cancelled");
    ck_assert_uint_eq(ps_world_task_of(w, 2)->begin, 50);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_lost_connection_ends_the_lease_that_others_wait_for_within_seconds)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "bsp", false, "shards: {rows_per_task: 50}\nworkers: 2\n");
    ps_world_attach(w, 2, "w2");
    uint64_t lease = ps_world_task_of(w, 1)->lease;
    ps_sched_detach(w->sched, 1);
    ps_world_run_ms(w, 750);
    ck_ok(ps_world_hello(w, 3, "w1", 1, 1, &lease, 1)); /* back in time */
    ps_world_run_ms(w, 5000);
    ck_assert(ps_sched_holds_lease(w->sched, "w1", id));
    ps_sched_detach(w->sched, 3);
    ps_world_run_ms(w, 1250);
    ck_assert(!ps_sched_holds_lease(w->sched, "w1", id));
    ck_assert(ps_world_traced(w, "leave 1 w1"));
    ck_assert(ps_sched_holds_lease(w->sched, "w2", id));
    /* and when it comes after all, it is told */
    ck_ok(ps_world_hello(w, 4, "w1", 1, 1, &lease, 1));
    ck_assert(ps_world_traced(w, "cancel 4"));
    ps_world_free(&w);
}
END_TEST

/* Under bsp nobody begins the next epoch before the last one's evaluation; under asp all go on. */
START_TEST(a_lost_connection_ends_an_evaluation_that_others_wait_for)
{
    bool waited_for = _i == 0;
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, waited_for ? "bsp" : "asp", true,
                                    "shards: {rows_per_task: 100}\nworkers: 2\n");
    ps_world_trained(w, ps_world_task_of(w, 1));
    ck_assert_str_eq(ps_world_task_of(w, 1)->kind, "evaluate");
    ps_world_attach(w, 2, "w2");
    ck_assert(!ps_world_task_of(w, 2) == waited_for);
    ps_sched_detach(w->sched, 1);
    ps_world_run_ms(w, 750);
    ck_assert(ps_sched_holds_lease(w->sched, "w1", id)); /* it may still come back */
    ps_world_run_ms(w, 500);
    ck_assert(!ps_sched_holds_lease(w->sched, "w1", id) == waited_for);
    ck_assert_str_eq(ps_world_task_of(w, 2)->kind, waited_for ? "evaluate" : "train");
    ps_world_free(&w);
}
END_TEST

START_TEST(the_sleep_of_psd_itself_is_nobodys_silence)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 50}\n");
    ps_world_run_ms(w, 1000);
    w->time.now_ns += 3 * PS_WORLD_TIMEOUT_MS * UINT64_C(1000000); /* no tick in between */
    ps_world_run_ms(w, 250);
    ck_assert(ps_sched_holds_lease(w->sched, "w1", id));
    ck_ok(ps_sched_heartbeat(w->sched, 1));
    ps_world_run_ms(w, PS_WORLD_TIMEOUT_MS + 500); /* this silence is the worker's */
    ck_assert(!ps_sched_holds_lease(w->sched, "w1", id));
    ps_world_free(&w);
}
END_TEST

START_TEST(a_worker_that_started_anew_has_nothing_and_an_older_one_is_refused)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_training(w, "asp", false, "shards: {rows_per_task: 50}\n");
    ps_world_report(w, ps_world_task_of(w, 1), 20, 1);
    ck_ok(ps_world_hello(w, 2, "w1", 5, 1, NULL, 0));
    ck_assert(ps_world_traced(w, "drop 1"));
    ck_assert_uint_eq(ps_world_task_of(w, 2)->begin, 20);
    ck_assert_int_eq(ps_world_hello(w, 3, "w1", 4, 1, NULL, 0), PS_FAILED_PRECONDITION);
    ck_ok(ps_sched_heartbeat(w->sched, 2));
    ck_assert_int_eq(ps_sched_heartbeat(w->sched, 1), PS_NOT_FOUND);
    ps_sched_detach(w->sched, 2); /* it may come back */
    ck_assert_int_eq(ps_world_hello(w, 3, "w1", 4, 1, NULL, 0), PS_FAILED_PRECONDITION);
    ck_ok(ps_world_hello(w, 4, "w1", 5, 1, NULL, 0));
    ps_sched_leave(w->sched, 4);
    ck_assert_int_eq(ps_world_hello(w, 5, "w1", 4, 1, NULL, 0), PS_ABORTED);
    ck_ok(ps_world_hello(w, 5, "w1", 6, 1, NULL, 0));
    ps_sched_detach(w->sched, 5);
    ps_world_run_ms(w, PS_WORLD_TIMEOUT_MS + 500); /* it did not */
    ck_assert_int_eq(ps_world_hello(w, 6, "w1", 5, 1, NULL, 0), PS_ABORTED);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_task_that_crossed_a_workers_leaving_returns_at_once)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 50}\n");
    ps_world_report(w, ps_world_task_of(w, 1), 40, 1);
    ps_sched_leave(w->sched, 1);
    ck_assert(!ps_sched_holds_lease(w->sched, "w1", id));
    ck_assert(ps_world_traced(w, "leave 1 w1"));
    ps_world_attach(w, 2, "w2");
    ck_assert_uint_eq(ps_world_task_of(w, 2)->begin, 40);
    ps_sched_counts counts;
    ps_sched_count(w->sched, &counts);
    ck_assert_uint_eq(counts.leases_lost, 0);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_worker_that_is_stopping_gets_nothing_more)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_training(w, "asp", false, "shards: {rows_per_task: 50}\n");
    ps_world_report(w, ps_world_task_of(w, 1), 40, 1);
    ps_world_failed(w, ps_world_task_of(w, 1), 1, true, "stopping");
    ps_world_run_ms(w, 3000);
    ck_assert_ptr_null(ps_world_task_of(w, 1));
    ps_world_attach(w, 2, "w2");
    ck_assert_uint_eq(ps_world_task_of(w, 2)->begin, 40);
    ps_world_run_ms(w, 5000);
    ck_ok(ps_sched_heartbeat(w->sched, 1));
    ck_ok(ps_sched_heartbeat(w->sched, 2));
    ps_world_trained(w, ps_world_task_of(w, 2));
    ps_world_run_ms(w, 5000); /* it did not stop after all */
    ck_ok(ps_sched_heartbeat(w->sched, 1));
    uint64_t again = ps_world_submit(w, "b", 1, "asp", false, "");
    ck_assert_uint_eq(ps_world_task_of(w, 1)->job, again);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_worker_lost_again_and_again_without_progress_fails_the_job)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 100}\n");
    for (uint64_t i = 2; i < 12 && ps_world_state(w, id) == PS_JOB_RUNNING; i++)
        ck_ok(ps_world_hello(w, i, "w1", i, 1, NULL, 0));
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_FAILED);
    ps_world_assert_reason(w, id, "lost its worker 8 times in a row");
    ps_world_free(&w);
}
END_TEST

START_TEST(what_a_worker_makes_up_changes_nothing)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "workers: 2\nshards: {rows_per_task: 50}\n");
    ps_world_attach(w, 2, "w2");
    ps_world_task stolen = *ps_world_task_of(w, 1);
    stolen.session = 2;
    ps_world_report(w, &stolen, 50, 0); /* another's lease */
    ps_world_trained(w, &stolen);
    ps_world_report(w, ps_world_task_of(w, 1), 51, 0); /* beyond its end */
    ps_world_report(w, ps_world_task_of(w, 1), UINT64_MAX, 0);
    ps_world_report(w, ps_world_task_of(w, 1), 20, 0);
    ps_world_report(w, ps_world_task_of(w, 1), 10, 0); /* back */
    ps_job_record *r = ps_world_job(w, id);
    ck_assert_uint_eq(r->progress.samples, 20);
    ps_job_record_free(&r);
    ps_hello hello = {0};
    hello.n_leases = 5000;
    ck_assert_int_eq(ps_sched_attach(w->sched, 9, "w9", "", &hello), PS_INVALID_ARGUMENT);
    ps_world_free(&w);
}
END_TEST

START_TEST(a_draining_psd_gives_out_nothing)
{
    ps_world *w = ps_world_new(NULL, true);
    uint64_t id = ps_world_training(w, "asp", false, "shards: {rows_per_task: 50}\n");
    ps_sched_drain(w->sched, true);
    ps_world_trained(w, ps_world_task_of(w, 1));
    ck_assert_ptr_null(ps_world_task_of(w, 1));
    size_t n;
    ps_worker_info *list = ps_sched_workers(w->sched, "", 0, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(list[0].state, "draining");
    ck_assert_str_eq(list[0].name, "w1");
    ps_worker_infos_free(&list, n);
    ps_sched_drain(w->sched, false);
    ps_world_serve(w, (uint64_t[]){1}, 1, 100, 0);
    ck_assert_int_eq(ps_world_state(w, id), PS_JOB_DONE);
    ps_world_free(&w);
}
END_TEST

START_TEST(workers_are_listed_by_name_and_in_pages)
{
    static const char *const names[] = {"w3", "w1", "w10", "w2"};
    static const char *const sorted[] = {"w1", "w10", "w2", "w3"};
    ps_world *w = ps_world_new(NULL, true);
    for (size_t i = 0; i < 4; i++)
        ps_world_attach(w, i + 1, names[i]);
    for (size_t limit = 0; limit < 6; limit++) {
        for (size_t from = 0; from <= 4; from++) {
            size_t n;
            ps_worker_info *list =
                ps_sched_workers(w->sched, from ? sorted[from - 1] : "", limit, &n);
            size_t left = 4 - from;
            ck_assert_uint_eq(n, limit && limit < left ? limit : left);
            for (size_t i = 0; i < n; i++)
                ck_assert_str_eq(list[i].name, sorted[from + i]);
            ps_worker_infos_free(&list, n);
        }
    }
    ps_world_free(&w);
}
END_TEST

static void assert_state(ps_world *w, const char *state, uint32_t silent)
{
    ps_sched_counts counts;
    size_t n;
    ps_worker_info *list = ps_sched_workers(w->sched, "", 0, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_str_eq(list[0].state, state);
    ps_worker_infos_free(&list, n);
    ps_sched_count(w->sched, &counts);
    ck_assert_uint_eq(counts.workers_silent, silent);
}

START_TEST(a_worker_that_was_stopped_in_order_is_not_silent)
{
    ps_world *w = ps_world_new(NULL, true);
    ps_world_attach(w, 1, "w1");
    ps_sched_leave(w->sched, 1);
    assert_state(w, "left", 0);
    ps_world_run_ms(w, 2 * PS_WORLD_TIMEOUT_MS);
    assert_state(w, "left", 0);
    ps_world_attach(w, 2, "w1");
    assert_state(w, "idle", 0);
    ps_world_run_ms(w, 2 * PS_WORLD_TIMEOUT_MS);
    assert_state(w, "silent", 1); /* nobody told it to stop */
    ps_world_free(&w);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_worker_that_was_stopped_in_order_is_not_silent},
    {&workers_are_listed_by_name_and_in_pages},
    {&a_silent_worker_loses_only_what_it_has_not_done},
    {&heartbeats_keep_leases_and_a_worker_that_comes_back_in_time_too},
    {&a_lost_connection_ends_the_lease_that_others_wait_for_within_seconds},
    {&a_lost_connection_ends_an_evaluation_that_others_wait_for, .repeat = 2},
    {&the_sleep_of_psd_itself_is_nobodys_silence},
    {&a_worker_that_started_anew_has_nothing_and_an_older_one_is_refused},
    {&a_task_that_crossed_a_workers_leaving_returns_at_once},
    {&a_worker_that_is_stopping_gets_nothing_more},
    {&a_worker_lost_again_and_again_without_progress_fails_the_job},
    {&what_a_worker_makes_up_changes_nothing},
    {&a_draining_psd_gives_out_nothing},
    {0},
};

int main(void)
{
    return ps_check_main("server/sched/worker", cases);
}
