/* work: the pool has as many threads as it was told to have. */
#include "common/loop/loop.h"
#include "tests/lib/check_main.h"

#include <pthread.h>
#include <time.h>

enum { WORKS = 6 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t came = PTHREAD_COND_INITIALIZER;
static unsigned inside, most, wanted, left;
static ps_loop *loop;

/* Stays until `wanted` are in here at once, or a while has passed. */
static void meet_cb(ps_work *w)
{
    struct timespec end;
    (void)clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 5;
    pthread_mutex_lock(&lock);
    if (++inside > most)
        most = inside;
    pthread_cond_broadcast(&came);
    while (most < wanted && pthread_cond_timedwait(&came, &lock, &end) == 0)
        ;
    inside--;
    pthread_mutex_unlock(&lock);
}

static void met_cb(ps_work *w)
{
    if (--left == 0)
        ps_loop_stop(loop);
}

/* The most that ran at once of WORKS, in a pool of n threads. */
static unsigned most_at_once(unsigned n)
{
    ps_work works[WORKS];
    ps_work_set_threads(n);
    ck_ok(ps_loop_create(&loop));
    left = WORKS;
    wanted = n;
    for (int i = 0; i < WORKS; i++) {
        works[i] = (ps_work){.work = meet_cb, .done = met_cb};
        ps_work_submit(loop, &works[i]);
    }
    ps_loop_run(loop);
    ps_loop_free(&loop);
    ck_assert_uint_eq(left, 0);
    return most;
}

START_TEST(more_threads_than_libuv_has_of_itself)
{
    ck_assert_uint_eq(most_at_once(WORKS), WORKS);
}
END_TEST

START_TEST(one_thread_does_one_thing_at_a_time)
{
    ck_assert_uint_eq(most_at_once(1), 1);
}
END_TEST

static const ps_check_case cases[] = {
    {&more_threads_than_libuv_has_of_itself},
    {&one_thread_does_one_thing_at_a_time},
    {0},
};

int main(void)
{
    return ps_check_main("common/loop/work", cases);
}
