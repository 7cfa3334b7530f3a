/* endings: a loop has the signals, and then whoever had them before, without a moment in between.
 */
#include "client/call/endings.h"

#include "tests/lib/check_main.h"

#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t heard; /* by the handler that was there before */
static ps_loop *loop;
static int told;

static void hear(int number)
{
    (void)number;
    heard++;
}

static void told_cb(void *user, int number)
{
    (void)user;
    told = number;
    ps_loop_stop(loop);
}

static void stop_cb(void *user)
{
    (void)user;
    ps_loop_stop(loop);
}

static void run_for(unsigned ms)
{
    ps_timer *timer = NULL;
    ps_timer_create(loop, stop_cb, NULL, &timer);
    ps_timer_start(timer, ms, 0);
    ps_loop_run(loop);
    ps_timer_free(&timer);
}

static void begin(void)
{
    heard = told = 0;
    ck_ok(ps_loop_create(&loop));
    for (size_t i = 0; i < PS_ENDINGS; i++)
        (void)signal(ps_endings[i], hear);
}

static void end(void)
{
    ps_loop_free(&loop);
    for (size_t i = 0; i < PS_ENDINGS; i++)
        (void)signal(ps_endings[i], SIG_DFL);
}

START_TEST(a_loop_is_told_and_then_who_had_them_before)
{
    for (size_t i = 0; i < PS_ENDINGS; i++) {
        begin();
        ps_endings_watch watch;
        ps_endings_watch_begin(&watch, loop, told_cb, NULL);
        ck_assert_int_eq(raise(ps_endings[i]), 0);
        ps_loop_run(loop);
        ck_assert_int_eq(told, ps_endings[i]);
        ck_assert_int_eq(heard, 0);
        ps_endings_watch_end(&watch);
        for (size_t k = 0; k < PS_ENDINGS; k++)
            ck_assert_int_eq(raise(ps_endings[k]), 0);
        ck_assert_int_eq(heard, PS_ENDINGS);
        end();
    }
}
END_TEST

START_TEST(a_hangup_that_is_ignored_stays_so)
{
    begin();
    ps_endings_watch watch;
    (void)signal(SIGHUP, SIG_IGN);
    ps_endings_watch_begin(&watch, loop, told_cb, NULL);
    ck_assert_int_eq(raise(SIGHUP), 0);
    run_for(1);
    ck_assert_int_eq(told, 0);
    ps_endings_watch_end(&watch);
    ck_assert(signal(SIGHUP, SIG_DFL) == SIG_IGN);
    end();
}
END_TEST

/* ---- the moment in between: libuv has left the default, and a signal comes ---- */

static bool fire;

/* In the place of libc's, for libuv and ourselves. */
__attribute__((visibility("default"))) int sigaction(int number, const struct sigaction *action,
                                                     struct sigaction *before)
{
    static int (*real)(int, const struct sigaction *, struct sigaction *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "sigaction");
    int rc = real(number, action, before);
    if (fire && action && action->sa_handler == SIG_DFL)
        (void)kill(getpid(), number);
    return rc;
}

START_TEST(none_ends_us_while_they_are_given_back)
{
    begin();
    ps_endings_watch watch;
    ps_endings_watch_begin(&watch, loop, told_cb, NULL);
    fire = true;
    ps_endings_watch_end(&watch);
    fire = false;
    ck_assert_int_eq(heard, PS_ENDINGS); /* it was: or nothing came, or we were gone */
    end();
}
END_TEST

static const ps_check_case cases[] = {
    {&a_loop_is_told_and_then_who_had_them_before},
    {&a_hangup_that_is_ignored_stays_so},
    {&none_ends_us_while_they_are_given_back},
    {0},
};

int main(void)
{
    return ps_check_main("client/call/endings", cases);
}
