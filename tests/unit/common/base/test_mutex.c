/* mutex: who has it, and what may not be done with it. */
#include "common/base/mutex.h"

#include "common/base/clock.h"
#include "tests/lib/check_main.h"
#include "tests/lib/dies.h"

#include <string.h>

static ps_mutex mutex = PS_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void in_another_thread(void *(*act)(void *))
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, act, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

static void *look(void *unused)
{
    (void)unused;
    ck_assert(!ps_mutex_is_held(&mutex));
    ck_assert(!ps_mutex_try_lock(&mutex));
    return NULL;
}

START_TEST(it_is_held_by_the_thread_that_locked_it_and_by_no_other)
{
    ck_assert(!ps_mutex_is_held(&mutex));
    ps_mutex_lock(&mutex);
    ck_assert(ps_mutex_is_held(&mutex));
    ck_assert(!ps_mutex_try_lock(&mutex));
    in_another_thread(look);
    ps_mutex_unlock(&mutex);
    ck_assert(!ps_mutex_is_held(&mutex));
    ck_assert(ps_mutex_try_lock(&mutex));
    ck_assert(ps_mutex_is_held(&mutex));
    ps_mutex_unlock(&mutex);
}
END_TEST

static bool said_so;

static void *say(void *unused)
{
    (void)unused;
    ps_mutex_lock(&mutex); /* who waits does not have it */
    said_so = true;
    pthread_cond_broadcast(&changed);
    ps_mutex_unlock(&mutex);
    return NULL;
}

START_TEST(who_has_waited_holds_it_again)
{
    pthread_t thread;
    ps_mutex_lock(&mutex);
    ck_assert_int_eq(pthread_create(&thread, NULL, say, NULL), 0);
    while (!said_so)
        ps_mutex_wait(&mutex, &changed);
    ck_assert(ps_mutex_is_held(&mutex));
    ck_assert(!ps_mutex_wait_until(&mutex, &changed, &(struct timespec){0})); /* long over */
    ck_assert(ps_mutex_is_held(&mutex));
    ps_mutex_unlock(&mutex);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

/* By the wall clock it would be over at once, or decades later: CLOCK_MONOTONIC counts from the
 * machine's start. */
START_TEST(a_wait_is_as_long_as_it_says_whatever_the_wall_clock_says)
{
    enum { WAIT_MS = 30 };
    pthread_cond_t never;
    ps_condition_init(&never);
    uint64_t begun = ps_clock_ms(&ps_clock_system);
    const struct timespec until = ps_condition_in_ms(WAIT_MS);
    ps_mutex_lock(&mutex);
    while (ps_mutex_wait_until(&mutex, &never, &until))
        ;
    ps_mutex_unlock(&mutex);
    uint64_t took = ps_clock_ms(&ps_clock_system) - begun;
    ck_assert(took + 1 >= WAIT_MS && took < 5000);
    pthread_cond_destroy(&never);
}
END_TEST

static void lock_twice(void)
{
    ps_mutex_lock(&mutex);
    ps_mutex_lock(&mutex);
}

static void unlock_what_is_free(void)
{
    ps_mutex_unlock(&mutex);
}

static void *unlock(void *unused)
{
    (void)unused;
    ps_mutex_unlock(&mutex);
    return NULL;
}

static void unlock_anothers(void)
{
    ps_mutex_lock(&mutex);
    in_another_thread(unlock);
}

static void wait_without_it(void)
{
    ps_mutex_wait(&mutex, &changed);
}

static void destroy_a_held_one(void)
{
    ps_mutex_lock(&mutex);
    ps_mutex_destroy(&mutex);
}

START_TEST(what_would_hang_or_break_it_is_named)
{
    static const struct {
        void (*act)(void);
        const char *demanded;
    } wrongs[] = {
        {lock_twice, "!ps_mutex_is_held(mutex)"},
        {unlock_what_is_free, "ps_mutex_is_held(mutex)"},
        {unlock_anothers, "ps_mutex_is_held(mutex)"},
        {wait_without_it, "ps_mutex_is_held(mutex)"},
        {destroy_a_held_one, "!atomic_load(&mutex->holder)"},
    };
    for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
        char said[PS_DIES_SAID];
        ps_test_dies(wrongs[i].act, said);
        ck_assert_msg(strstr(said, "this must hold: ") && strstr(said, wrongs[i].demanded), "%s",
                      said);
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&it_is_held_by_the_thread_that_locked_it_and_by_no_other},
    {&who_has_waited_holds_it_again},
    {&a_wait_is_as_long_as_it_says_whatever_the_wall_clock_says},
    {&what_would_hang_or_break_it_is_named},
    {0},
};

int main(void)
{
    return ps_check_main("common/base/mutex", cases);
}
