/* The pool: every turn once, by whoever is there, also when several call at once. */
#include "gpu/cpu/threads.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <pthread.h>
#include <stdatomic.h>

static const int counts[] = {1, 2, 5};
#define COUNTS 3

typedef struct tally {
    int threads;
    int64_t n, grain;
    unsigned char *seen; /* [n], written without a lock: each turn is one thread's */
    _Atomic int64_t turns;
    atomic_int wrong; /* pieces that are not as promised */
    atomic_int busy[8];
} tally;

static void count_cb(void *context, int64_t begin, int64_t end, int slot)
{
    tally *t = context;
    if (slot < 0 || slot >= t->threads || begin % t->grain || end <= begin ||
        end - begin > t->grain || (end != t->n && (end - begin) != t->grain))
        atomic_fetch_add(&t->wrong, 1);
    if (atomic_exchange(&t->busy[slot], 1)) /* a slot is one thread's at a time */
        atomic_fetch_add(&t->wrong, 1);
    for (int64_t i = begin; i < end; i++)
        t->seen[i]++;
    atomic_fetch_add(&t->turns, end - begin);
    atomic_store(&t->busy[slot], 0);
}

static void check_loop(ps_threads *pool, int64_t n, int64_t grain)
{
    tally t = {
        .threads = ps_threads_count(pool), .n = n, .grain = grain, .seen = ps_alloc((size_t)n + 1)};
    ps_threads_for(pool, n, grain, count_cb, &t);
    ck_assert_int_eq(t.turns, n);
    ck_assert_int_eq(t.wrong, 0);
    for (int64_t i = 0; i < n; i++)
        ck_assert_int_eq(t.seen[i], 1);
    ps_free(&t.seen);
}

START_TEST(every_turn_is_done_once_and_done_on_return)
{
    ps_threads *pool;
    ck_ok(ps_threads_new(counts[_i], &pool));
    ck_assert_int_eq(ps_threads_count(pool), counts[_i]);
    static const int64_t sizes[] = {0, 1, 2, 3, 7, 64, 1000};
    for (int round = 0; round < 200; round++) {
        for (int s = 0; s < 7; s++)
            check_loop(pool, sizes[s], 1 + round % 9);
    }
    ps_threads_free(&pool);
    ck_assert_ptr_null(pool);
}
END_TEST

/* The helpers have gone to sleep between two loops. */
START_TEST(sleeping_helpers_are_no_obstacle)
{
    ps_threads *pool;
    ck_ok(ps_threads_new(counts[_i], &pool));
    for (int round = 0; round < 20; round++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        check_loop(pool, 100, 1);
    }
    ps_threads_free(&pool);
}
END_TEST

static void *call_often(void *pool)
{
    for (int round = 0; round < 300; round++)
        check_loop(pool, 50, 3);
    return NULL;
}

START_TEST(several_may_call_at_once)
{
    ps_threads *pool;
    pthread_t callers[4];
    ck_ok(ps_threads_new(counts[_i], &pool));
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&callers[i], NULL, call_often, pool), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_join(callers[i], NULL), 0);
    ps_threads_free(&pool);
}
END_TEST

typedef struct meeting {
    atomic_int arrived;
    atomic_int slots; /* one bit each */
} meeting;

/* Each piece waits until as many others run as there are threads. */
static void meet_cb(void *context, int64_t begin, int64_t end, int slot)
{
    (void)begin;
    (void)end;
    meeting *m = context;
    atomic_fetch_or(&m->slots, 1 << slot);
    atomic_fetch_add(&m->arrived, 1);
    while (atomic_load(&m->arrived) < 5)
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
}

START_TEST(all_threads_take_part)
{
    ps_threads *pool;
    meeting m = {0};
    ck_ok(ps_threads_new(5, &pool));
    ps_threads_for(pool, 5, 1, meet_cb, &m);
    ck_assert_int_eq(m.slots, 31);
    ps_threads_free(&pool);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &every_turn_is_done_once_and_done_on_return, .timeout_s = 60, .repeat = COUNTS},
    {.test = &sleeping_helpers_are_no_obstacle, .timeout_s = 60, .repeat = COUNTS},
    {.test = &several_may_call_at_once, .timeout_s = 60, .repeat = COUNTS},
    {.test = &all_threads_take_part, .timeout_s = 60},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/threads", tests);
}
