/* require: what does not hold ends the process, and says where. */
#include "common/base/sm.h"
#include "common/loop/loop.h"
#include "tests/lib/check_main.h"
#include "tests/lib/dies.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static void be_wrong(void)
{
    int parts = 2;
    PS_REQUIRE(parts == 2);
    PS_REQUIRE(parts == 3);
}

START_TEST(what_does_not_hold_is_named_and_ends_the_process)
{
    char said[PS_DIES_SAID];
    ps_test_dies(be_wrong, said);
    ck_assert_msg(strstr(said, "test_require.c:") && strstr(said, ": this must hold: parts == 3"),
                  "%s", said);
}
END_TEST

static void never(void *user)
{
    (void)user;
}

static void *make_a_timer(void *loop)
{
    ps_timer *timer;
    ps_timer_create(loop, never, NULL, &timer);
    return NULL;
}

static void touch_from_another_thread(void)
{
    ps_loop *loop;
    pthread_t thread;
    if (ps_loop_create(&loop) || pthread_create(&thread, NULL, make_a_timer, loop))
        _exit(1);
    pthread_join(thread, NULL);
}

START_TEST(a_loop_is_not_touched_from_another_thread)
{
    char said[PS_DIES_SAID];
    ps_test_dies(touch_from_another_thread, said);
    ck_assert_msg(strstr(said, "timer.c:") && strstr(said, "ps_loop_is_current(loop)"), "%s", said);
}
END_TEST

static void move_where_nothing_leads(void)
{
    static const char *const names[] = {"begun", "over"};
    static const ps_sm_set next[] = {[0] = PS_SM(1), [1] = 0};
    static const ps_sm machine = {.tag = "thing", .names = names, .next = next, .count = 2};
    unsigned state = 0;
    ps_sm_go(&machine, &state, 1, NULL);
    ps_sm_go(&machine, &state, 0, NULL);
}

START_TEST(a_state_machine_of_ours_makes_no_illegal_move)
{
    char said[PS_DIES_SAID];
    ps_test_dies(move_where_nothing_leads, said);
    ck_assert_msg(strstr(said, "ps_sm_may(&machine, ps_sm_from, (0))"), "%s", said);
}
END_TEST

static void block(void *loop)
{
    ps_loop_require_off();
    ps_loop_stop(loop);
}

static void block_in_a_callback(void)
{
    ps_loop *loop;
    ps_timer *timer;
    if (ps_loop_create(&loop))
        _exit(1);
    ps_loop_require_off(); /* it does not run yet */
    ps_timer_create(loop, block, loop, &timer);
    ps_timer_start(timer, 0, 0);
    ps_loop_run(loop);
}

START_TEST(what_blocks_is_not_called_in_a_loops_callback)
{
    char said[PS_DIES_SAID];
    ps_test_dies(block_in_a_callback, said);
    ck_assert_msg(strstr(said, "!ps_loop_runs_here()"), "%s", said);
}
END_TEST

static const ps_check_case cases[] = {
    {&what_does_not_hold_is_named_and_ends_the_process},
    {&a_loop_is_not_touched_from_another_thread},
    {&what_blocks_is_not_called_in_a_loops_callback},
    {&a_state_machine_of_ours_makes_no_illegal_move},
    {0},
};

int main(void)
{
    return ps_check_main("common/base/require", cases);
}
