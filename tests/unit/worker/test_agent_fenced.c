/* The agent of a psworker whose place another one of its name has taken. */
#include "common/base/log.h"
#include "common/base/repeat.h"
#include "tests/lib/check_main.h"
#include "tests/unit/worker/agent_rig.h"
#include "worker/link/agent.h"

START_TEST(refusals_wait_longer_each_time_though_each_begins_with_a_welcome)
{
    begin();
    uint64_t expected = PS_AGENT_RETRY_MIN_MS;
    for (int i = 0; i < 10; i++) {
        welcome();
        ps_agent_ended(w.agent, PS_FAILED_PRECONDITION, "a later psworker is attached");
        ck_assert_uint_eq(w.wake_ms, expected);
        expected = 2 * expected < PS_AGENT_RETRY_MAX_MS ? 2 * expected : PS_AGENT_RETRY_MAX_MS;
        forget_sent();
        pass(w.wake_ms);
    }
    ck_assert_uint_eq(w.opened, 11);
    end();
    begin();
    for (int i = 0; i < 3; i++) { /* one that was taken begins with the shortest again */
        welcome();
        pass(1000);
        ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
        ck_assert_uint_eq(w.wake_ms, PS_AGENT_RETRY_MIN_MS);
        pass(w.wake_ms);
    }
    end();
}
END_TEST

static unsigned warnings;

static void count_warnings(void *state, ps_log_level level, const char *line)
{
    (void)state, (void)line;
    warnings += level == PS_LOG_WARNING;
}

START_TEST(a_refusal_is_told_once_and_then_seldom)
{
    ps_log_set_sink(count_warnings, NULL);
    begin();
    for (unsigned long ms = 0; ms < 5 * PS_REPEAT_FIRST_MS; ms += w.wake_ms) {
        welcome();
        ps_agent_ended(w.agent, PS_FAILED_PRECONDITION, "a later psworker is attached");
        forget_sent();
        pass(w.wake_ms);
    }
    ck_assert_uint_eq(warnings, 3);
    end();
    ps_log_set_sink(NULL, NULL);
}
END_TEST

START_TEST(whose_place_is_taken_gives_up_its_tasks_and_begins_anew_when_that_is_gone)
{
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        begin();
        welcome();
        give_task(7);
        pass(1000);
        ps_agent_ended(w.agent, PS_UNAVAILABLE, "the worker has attached again");
        pass(w.wake_ms);
        welcome();
        ps_agent_ended(w.agent, PS_FAILED_PRECONDITION, "a later psworker is attached");
        ck_assert_uint_eq(w.cancelled_lease, 7);
        ck_assert_uint_eq(w.stopped, 0);
        result(7);
        forget_sent();
        pass(w.wake_ms);
        welcome();
        if (forgotten) /* psd was restarted, and the later one is not back */
            pass(1000);
        else
            ps_agent_ended(w.agent, PS_ABORTED, "say hello as a new incarnation");
        if (forgotten)
            ps_agent_ended(w.agent, PS_OK, "");
        else
            pass(PS_AGENT_RECONNECT_MS);
        ck_assert_uint_eq(w.stopped, 1);
        ck_assert_uint_eq(w.gone, 1);
        ck_assert(ps_agent_superseded(w.agent));
        end();
    }
}
END_TEST

START_TEST(a_task_given_before_it_begins_anew_is_cancelled_in_the_end)
{
    begin();
    welcome();
    ps_agent_ended(w.agent, PS_FAILED_PRECONDITION, "a later psworker is attached");
    pass(w.wake_ms);
    welcome();
    give_task(8); /* by a psd that knows no later one */
    pass(1000);
    ck_assert_uint_eq(w.stopped, 1);
    ck_assert_uint_eq(w.cancelled, 0);
    pass(5000);
    ck_assert_uint_eq(w.cancelled_lease, 8);
    end();
}
END_TEST

/* Its machine's clock is behind the other's: another incarnation made at once would be, too. */
START_TEST(a_new_one_that_is_behind_all_the_same_begins_anew_after_a_while)
{
    begin();
    welcome();
    ps_agent_ended(w.agent, PS_ABORTED, "say hello as a new incarnation");
    ck_assert_uint_eq(w.gone, 0);
    ck_assert_uint_eq(w.wake_ms, PS_AGENT_RETRY_MAX_MS);
    pass(PS_AGENT_RETRY_MAX_MS - 1);
    ck_assert_uint_eq(w.gone, 0);
    pass(1);
    ck_assert_uint_eq(w.gone, 1);
    ck_assert_uint_eq(w.opened, 1);
    ck_assert(ps_agent_superseded(w.agent));
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&refusals_wait_longer_each_time_though_each_begins_with_a_welcome},
    {&a_refusal_is_told_once_and_then_seldom},
    {&whose_place_is_taken_gives_up_its_tasks_and_begins_anew_when_that_is_gone},
    {&a_task_given_before_it_begins_anew_is_cancelled_in_the_end},
    {&a_new_one_that_is_behind_all_the_same_begins_anew_after_a_while},
    {0},
};

int main(void)
{
    return ps_check_main("worker/agent_fenced", tests);
}
