/* run: found by the job's number as long as it is there, alive as long as somebody has it. */
#include "server/runs/run.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"
#include "tests/lib/params.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

static ps_clock_virtual now;

static ps_runs *new_runs(void)
{
    now.now_ns = 100 * SECOND;
    return ps_runs_create(ps_clock_virtual_table(&now));
}

/* Of so many columns, by which it is told from others. */
static ps_param_store *new_store(uint64_t columns)
{
    test_params p;
    test_params_init(&p, 2, columns);
    ps_param_store *store;
    ck_ok(ps_param_store_create(&p.config, &store));
    return store;
}

static uint64_t columns_of(ps_run *run)
{
    return ps_param_store_placement(ps_run_store(run))->tensors[0].columns;
}

START_TEST(a_run_is_found_until_it_is_removed_and_lives_while_it_is_held)
{
    ps_runs *runs = new_runs();
    ps_run *run = NULL;
    ck_assert_ptr_null(ps_runs_get(runs, 7));
    ck_assert_int_eq(ps_runs_find(runs, 7, &run), PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "job 7 has no parameters here: it is not running");
    ps_runs_add(runs, 7, new_store(3), true);
    ps_runs_add(runs, 9, new_store(4), false);
    ck_ok(ps_runs_find(runs, 7, &run));
    ck_assert_uint_eq(ps_run_job(run), 7);
    ck_assert_uint_eq(columns_of(run), 3);
    ck_assert(ps_run_durable(run));
    ps_runs_remove(runs, 7);
    ps_runs_remove(runs, 7); /* nothing */
    ck_assert_ptr_null(ps_runs_get(runs, 7));
    ck_assert_uint_eq(columns_of(run), 3); /* ours still */
    ps_run_unref(&run);
    ck_assert_ptr_null(run);
    run = ps_runs_get(runs, 9);
    ck_assert(!ps_run_durable(run));
    ps_runs_free(&runs); /* with 9 in it, which we hold */
    ck_assert_uint_eq(columns_of(run), 4);
    ps_run_unref(&run);
}
END_TEST

START_TEST(one_of_the_same_number_takes_the_place_of_the_one_before)
{
    ps_runs *runs = new_runs();
    ps_runs_add(runs, 7, new_store(3), true);
    ps_run *before = ps_runs_get(runs, 7);
    ps_runs_add(runs, 7, new_store(5), false);
    ps_run *after = ps_runs_get(runs, 7);
    ck_assert_uint_eq(columns_of(before), 3);
    ck_assert_uint_eq(columns_of(after), 5);
    size_t n;
    uint64_t *all = ps_runs_list(runs, &n);
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(all[0], 7);
    ps_free(&all);
    ps_run_unref(&before);
    ps_run_unref(&after);
    ps_runs_free(&runs);
}
END_TEST

START_TEST(checkpoints_take_turns_and_none_begins_after_the_end)
{
    ps_runs *runs = new_runs();
    ps_runs_add(runs, 7, new_store(3), true);
    ps_run *run = ps_runs_get(runs, 7);
    ck_ok(ps_run_checkpoint_begin(run, false));
    ck_assert_int_eq(ps_run_checkpoint_begin(run, false), PS_AGAIN);
    ps_run_checkpoint_done(run);
    ck_ok(ps_run_checkpoint_begin(run, true));
    ps_run_checkpoint_done(run);
    ck_assert(!ps_run_is_final(run));
    ps_run_set_final(run);
    ck_assert(ps_run_is_final(run));
    ps_run_end(run);
    for (int wait = 0; wait < 2; wait++) {
        ck_assert_int_eq(ps_run_checkpoint_begin(run, wait), PS_FAILED_PRECONDITION);
        ck_assert_str_eq(ps_error_message(), "job 7 has ended");
    }
    ps_run_end(run); /* nobody was left in there */
    ps_run_unref(&run);
    ps_runs_free(&runs);
}
END_TEST

typedef struct ending {
    ps_run *run;
    atomic_bool ended;
} ending;

static void *end_it(void *user)
{
    ending *e = user;
    ps_run_end(e->run);
    atomic_store(&e->ended, true);
    return NULL;
}

START_TEST(the_end_waits_for_the_checkpoint_that_is_being_written)
{
    ps_runs *runs = new_runs();
    ps_runs_add(runs, 7, new_store(3), true);
    ending e = {.run = ps_runs_get(runs, 7)};
    pthread_t thread;
    ck_ok(ps_run_checkpoint_begin(e.run, true));
    ck_assert_int_eq(pthread_create(&thread, NULL, end_it, &e), 0);
    struct timespec wait = {.tv_nsec = 20000000};
    (void)nanosleep(&wait, NULL);
    ck_assert(!atomic_load(&e.ended));
    ps_run_checkpoint_done(e.run);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(atomic_load(&e.ended));
    ps_run_unref(&e.run);
    ps_runs_free(&runs);
}
END_TEST

START_TEST(rates_are_over_the_time_since_they_were_last_asked_for)
{
    ps_runs *runs = new_runs();
    ps_job_gauges g = {0};
    uint64_t in, out;
    ps_runs_add(runs, 7, new_store(3), true);
    ps_run *run = ps_runs_get(runs, 7);
    ps_run_count(run, 4000, 100);
    ps_run_count(run, 4000, 100);
    now.now_ns += 4 * SECOND;
    ps_run_gauges(run, &g);
    ck_assert_double_eq(g.bytes_in_per_second, 2000);
    ck_assert_double_eq(g.bytes_out_per_second, 50);
    ps_run_count(run, 600, 0);
    now.now_ns += SECOND / 2; /* too soon: the rates of before */
    ps_run_gauges(run, &g);
    ck_assert_double_eq(g.bytes_in_per_second, 2000);
    now.now_ns += SECOND;
    ps_run_gauges(run, &g);
    ck_assert_double_eq(g.bytes_in_per_second, 400);
    ck_assert_double_eq(g.bytes_out_per_second, 0);
    ps_run_bytes(run, &in, &out);
    ck_assert_uint_eq(in, 8600);
    ck_assert_uint_eq(out, 200);
    ps_run_unref(&run);
    ps_runs_free(&runs);
}
END_TEST

enum { THREADS = 4, ROUNDS = 2000 };

static void *come_and_go(void *user)
{
    ps_runs *runs = user;
    for (int i = 0; i < ROUNDS; i++) {
        ps_run *run = ps_runs_get(runs, 7);
        if (run) {
            uint64_t columns = columns_of(run);
            ck_assert(columns == 3 || columns == 5);
            ps_run_count(run, 1, 1);
        }
        ps_run_unref(&run);
    }
    return NULL;
}

START_TEST(runs_may_be_looked_up_while_jobs_begin_and_end)
{
    ps_runs *runs = new_runs();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, come_and_go, runs), 0);
    for (int i = 0; i < 100; i++) {
        ps_runs_add(runs, 7, new_store(i % 2 ? 3 : 5), true);
        if (i % 3 == 0)
            ps_runs_remove(runs, 7);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ps_runs_free(&runs);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_run_is_found_until_it_is_removed_and_lives_while_it_is_held},
    {&one_of_the_same_number_takes_the_place_of_the_one_before},
    {&checkpoints_take_turns_and_none_begins_after_the_end},
    {&the_end_waits_for_the_checkpoint_that_is_being_written},
    {&rates_are_over_the_time_since_they_were_last_asked_for},
    {&runs_may_be_looked_up_while_jobs_begin_and_end, 60},
    {0},
};

int main(void)
{
    return ps_check_main("server/runs/run", cases);
}
