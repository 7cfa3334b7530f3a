/* off_loop: work of any thread is done once, on a pool thread, and counted until then. */
#include "common/loop/off_loop.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 4, EACH = 200 };

static ps_loop *loop;
static atomic_uint done, on_the_loop;
static pthread_t loop_thread;

typedef struct piece {
    ps_off_loop off;
    unsigned again; /* submits so many more, one after the other */
} piece;

static void run(ps_off_loop *off)
{
    piece *p = ps_container(off, piece, off);
    atomic_fetch_add(&on_the_loop, pthread_equal(pthread_self(), loop_thread) != 0);
    if (p->again) {
        piece *next = ps_new(piece);
        next->again = p->again - 1;
        ps_off_loop_submit(loop, &next->off, run);
    }
    ps_free(&p); /* the pool may not need it any more */
    atomic_fetch_add(&done, 1);
}

static void stop_when_idle(void *user)
{
    if (!ps_off_loop_pending())
        ps_loop_stop(loop);
}

static void run_until_idle(void)
{
    ps_timer *timer = NULL;
    ps_timer_create(loop, stop_when_idle, NULL, &timer);
    ps_timer_start(timer, 1, 1);
    ps_loop_run(loop);
    ps_timer_free(&timer);
}

static void *submit_many(void *user)
{
    for (int i = 0; i < EACH; i++)
        ps_off_loop_submit(loop, &ps_new(piece)->off, run);
    return NULL;
}

START_TEST(it_is_pending_from_the_submission_on_and_begins_only_with_the_loop)
{
    loop_thread = pthread_self();
    ck_ok(ps_loop_create(&loop));
    ck_assert_uint_eq(ps_off_loop_pending(), 0);
    ps_off_loop_submit(loop, &ps_new(piece)->off, run);
    ps_off_loop_submit(loop, &ps_new(piece)->off, run);
    ck_assert_uint_eq(ps_off_loop_pending(), 2);
    ck_assert_uint_eq(atomic_load(&done), 0);
    run_until_idle();
    ck_assert_uint_eq(atomic_load(&done), 2);
    ck_assert_uint_eq(atomic_load(&on_the_loop), 0);
    ps_loop_free(&loop);
}
END_TEST

START_TEST(many_threads_submit_and_everything_is_done_once)
{
    pthread_t threads[THREADS];
    loop_thread = pthread_self();
    ck_ok(ps_loop_create(&loop));
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_many, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_uint_eq(ps_off_loop_pending(), THREADS * EACH);
    run_until_idle();
    ck_assert_uint_eq(atomic_load(&done), THREADS * EACH);
    ps_loop_free(&loop);
}
END_TEST

START_TEST(work_that_makes_work_is_pending_all_the_while)
{
    loop_thread = pthread_self();
    ck_ok(ps_loop_create(&loop));
    piece *first = ps_new(piece);
    first->again = 100;
    ps_off_loop_submit(loop, &first->off, run);
    run_until_idle(); /* once idle, it is: the chain was never seen as none */
    ck_assert_uint_eq(atomic_load(&done), 101);
    ps_loop_free(&loop);
}
END_TEST

static atomic_uint turns, side_by_side;

static void take_turn(void *user)
{
    atomic_fetch_add(&side_by_side, atomic_fetch_add(&turns, 1) % 2);
    for (int i = 0; i < 20 && atomic_load(&side_by_side) == 0; i++)
        sched_yield();
    atomic_fetch_add(&turns, 1);
}

START_TEST(turns_are_taken_one_at_a_time)
{
    ps_off_loop_turn turn = {0};
    ck_ok(ps_loop_create(&loop));
    for (unsigned taken = 2; taken <= 200; taken += 2) {
        for (int i = 0; i < 3; i++)
            ps_off_loop_turn_submit(loop, &turn, take_turn, NULL);
        ck_assert_uint_eq(ps_off_loop_pending(), 1);
        run_until_idle();
        ck_assert_uint_eq(atomic_load(&turns), taken);
    }
    ck_assert_uint_eq(atomic_load(&side_by_side), 0);
    ps_loop_free(&loop);
}
END_TEST

static const ps_check_case cases[] = {
    {&it_is_pending_from_the_submission_on_and_begins_only_with_the_loop},
    {&many_threads_submit_and_everything_is_done_once},
    {&turns_are_taken_one_at_a_time},
    {&work_that_makes_work_is_pending_all_the_while},
    {0},
};

int main(void)
{
    return ps_check_main("common/loop/off_loop", cases);
}
