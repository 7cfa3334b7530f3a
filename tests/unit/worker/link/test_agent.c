/* The agent against a psd, tasks and a clock that are this test. */
#include "worker/link/agent.h"

#include "tests/lib/check_main.h"
#include "tests/unit/worker/agent_rig.h"
#include "worker/link/lease.h"

#include <stdio.h>
#include <string.h>

START_TEST(hello_goes_first_and_heartbeats_follow_the_welcome)
{
    begin();
    ck_assert_uint_eq(w.opened, 1);
    ck_assert_int_eq(kind(0), PSD__V1__WORKER_MESSAGE__BODY_HELLO);
    ck_assert_uint_eq(w.sent[0]->hello->incarnation, 99);
    ck_assert_uint_eq(w.sent[0]->hello->n_leases, 0);
    pass(5000);
    ck_assert_uint_eq(w.count, 1); /* nothing before the welcome */
    welcome();
    ck_assert_str_eq(ps_agent_state(w.agent), "attached");
    ck_assert_uint_eq(w.wake_ms, 1000);
    pass(999);
    ck_assert_uint_eq(w.count, 1);
    pass(1);
    ck_assert_int_eq(kind(1), PSD__V1__WORKER_MESSAGE__BODY_HEARTBEAT);
    pass(1000);
    ck_assert_uint_eq(w.count, 3);
    end();
}
END_TEST

START_TEST(reports_made_while_away_arrive_as_one_after_the_reconnect)
{
    begin();
    welcome();
    give_task(7);
    ck_assert_uint_eq(w.started, 1);
    progress(7, 228, 128, NULL);
    ck_assert_int_eq(kind(1), PSD__V1__WORKER_MESSAGE__BODY_PROGRESS);
    ck_assert_uint_eq(w.sent[1]->progress->samples, 128);
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
    ck_assert_str_eq(ps_agent_state(w.agent), "waiting");
    forget_sent();
    progress(7, 356, 128, NULL);
    progress(7, 484, 128, NULL);
    ck_assert_uint_eq(w.count, 0);
    pass(PS_AGENT_RETRY_MIN_MS);
    ck_assert_uint_eq(w.opened, 2);
    ck_assert_uint_eq(w.sent[0]->hello->n_leases, 1);
    ck_assert_uint_eq(w.sent[0]->hello->leases[0], 7);
    welcome();
    ck_assert_uint_eq(w.count, 2);
    const Psd__V1__TaskProgress *p = w.sent[1]->progress;
    ck_assert_uint_eq(p->position, 484);
    ck_assert_uint_eq(p->samples, 256);
    ck_assert_uint_eq(p->steps, 2);
    ck_assert_uint_eq(p->n_metric_sums, 1);
    ck_assert_str_eq(p->metric_sums[0]->name, "accuracy");
    ck_assert_double_eq(p->metric_sums[0]->value, 128);
    ck_assert_double_eq(p->loss_sum, 128.0);
    end();
}
END_TEST

START_TEST(a_result_that_may_be_lost_is_sent_again_and_then_forgotten)
{
    begin();
    welcome();
    give_task(7);
    result(7);
    ck_assert_int_eq(kind(1), PSD__V1__WORKER_MESSAGE__BODY_RESULT);
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
    forget_sent();
    pass(PS_AGENT_RETRY_MIN_MS);
    ck_assert_uint_eq(w.sent[0]->hello->leases[0], 7);
    welcome();
    ck_assert_int_eq(kind(1), PSD__V1__WORKER_MESSAGE__BODY_RESULT);
    ck_assert_uint_eq(w.sent[1]->result->lease_id, 7);
    pass(PS_AGENT_RESULT_MS); /* psd has had time to lose us */
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
    forget_sent();
    pass(PS_AGENT_RETRY_MIN_MS);
    ck_assert_uint_eq(w.sent[0]->hello->n_leases, 0);
    end();
}
END_TEST

START_TEST(of_many_short_tasks_a_hello_names_the_last_few)
{
    begin();
    welcome();
    const uint64_t last = 5000; /* psd takes 4096 leases in a hello and 256 messages at once */
    for (uint64_t id = 1; id <= last; id++) {
        give_task(id);
        result(id);
        forget_sent();
    }
    give_task(last + 1);
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
    result(last + 1); /* so this is the one that nobody has */
    pass(PS_AGENT_RETRY_MIN_MS);
    welcome();
    const Psd__V1__Hello *hello = w.sent[0]->hello;
    ck_assert_uint_eq(hello->n_leases, PS_AGENT_RESULTS + 1);
    ck_assert_uint_eq(w.count, 1 + hello->n_leases); /* a result for each of them */
    bool sent[PS_AGENT_RESULTS + 1] = {false};
    for (size_t i = 1; i < w.count; i++) {
        ck_assert_int_eq(kind(i), PSD__V1__WORKER_MESSAGE__BODY_RESULT);
        uint64_t ago = last + 1 - w.sent[i]->result->lease_id;
        ck_assert_uint_le(ago, PS_AGENT_RESULTS);
        ck_assert(!sent[ago]);
        sent[ago] = true;
    }
    end();
}
END_TEST

START_TEST(a_result_is_kept_by_when_it_was_sent_not_by_when_its_task_began)
{
    begin();
    w.hello.slots = 2;
    welcome();
    give_task(1);
    for (uint64_t id = 2; id < 2 + 2 * PS_AGENT_RESULTS; id++) {
        give_task(id);
        result(id);
        forget_sent();
    }
    result(1);
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
    forget_sent();
    pass(PS_AGENT_RETRY_MIN_MS);
    const Psd__V1__Hello *hello = w.sent[0]->hello;
    ck_assert_uint_eq(hello->n_leases, PS_AGENT_RESULTS);
    ck_assert_uint_eq(hello->leases[PS_AGENT_RESULTS - 1], 1);
    end();
}
END_TEST

START_TEST(what_a_task_said_is_sent_again_after_a_reconnect)
{
    begin();
    welcome();
    give_task(5);
    say(5, 70);
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "gone");
    result(5);
    forget_sent();
    pass(PS_AGENT_RETRY_MAX_MS);
    welcome();
    ck_assert_int_eq(kind(1), PSD__V1__WORKER_MESSAGE__BODY_OUTPUT);
    ck_assert_uint_eq(w.sent[1]->output->output->n_tokens, 1);
    ck_assert_int_eq(kind(2), PSD__V1__WORKER_MESSAGE__BODY_RESULT);
    end();
}
END_TEST

START_TEST(of_many_log_lines_the_last_are_kept)
{
    begin();
    welcome();
    give_task(7);
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
    forget_sent();
    for (int i = 0; i < PS_LEASE_LOGS + 5; i++) {
        char text[16];
        snprintf(text, sizeof(text), "line %d", i);
        progress(7, 100, 1, text);
    }
    pass(PS_AGENT_RETRY_MIN_MS);
    welcome();
    ck_assert_uint_eq(w.count, 1 + PS_LEASE_LOGS);
    ck_assert_str_eq(w.sent[1]->progress->log->text, "line 5");
    uint64_t samples = 0;
    for (size_t i = 1; i < w.count; i++)
        samples += w.sent[i]->progress->samples;
    ck_assert_uint_eq(samples, PS_LEASE_LOGS + 5); /* numbers are never dropped */
    end();
}
END_TEST

START_TEST(a_second_task_finds_the_slot_busy_and_the_same_lease_is_not_run_twice)
{
    begin();
    welcome();
    give_task(7);
    give_task(7);
    ck_assert_uint_eq(w.started, 1);
    ck_assert_uint_eq(w.count, 1);
    give_task(8);
    ck_assert_uint_eq(w.started, 1);
    ck_assert_uint_eq(w.sent[1]->result->lease_id, 8);
    ck_assert_int_eq(w.sent[1]->result->code, 8); /* RESOURCE_EXHAUSTED */
    ck_assert(w.sent[1]->result->retry);
    result(7);
    give_task(9);
    ck_assert_uint_eq(w.started, 2);
    end();
}
END_TEST

START_TEST(a_cancelled_lease_reaches_its_task)
{
    begin();
    welcome();
    give_task(7);
    cancel_lease(7);
    ck_assert_uint_eq(w.cancelled, 1);
    ck_assert_uint_eq(w.cancelled_lease, 7);
    cancel_lease(1234); /* unknown: nothing */
    ck_assert_uint_eq(w.cancelled, 1);
    end();
}
END_TEST

START_TEST(stopping_sends_the_result_then_closes_then_goes)
{
    begin();
    welcome();
    give_task(7);
    ps_agent_stop(w.agent);
    ck_assert_uint_eq(w.stopped, 1);
    ck_assert_uint_eq(w.closed, 0);
    give_task(8);                                 /* crossed our stop, or another slot is free */
    ck_assert_int_eq(w.sent[1]->result->code, 1); /* given back; no failure of the job's */
    result(7);
    ck_assert_uint_eq(w.closed, 1);
    ck_assert_uint_eq(w.gone, 0);
    ps_agent_ended(w.agent, PS_OK, "");
    ck_assert_uint_eq(w.gone, 1);
    end();
}
END_TEST

START_TEST(a_task_that_does_not_stop_in_time_is_cancelled)
{
    begin();
    welcome();
    give_task(7);
    ps_agent_stop(w.agent);
    pass(4999);
    ck_assert_uint_eq(w.cancelled, 0);
    pass(1);
    ck_assert_uint_eq(w.cancelled, 1);
    result(7);
    pass(PS_AGENT_CLOSING_MS); /* psd never ends the stream */
    ck_assert_uint_eq(w.gone, 1);
    end();
}
END_TEST

START_TEST(without_a_psd_stopping_waits_for_nothing)
{
    begin();
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "connection refused");
    ps_agent_stop(w.agent);
    ck_assert_uint_eq(w.gone, 1);
    end();
}
END_TEST

START_TEST(without_a_psd_a_running_task_holds_up_stopping_only_for_the_reconnect)
{
    begin();
    welcome();
    give_task(7);
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
    pass(60000); /* gone for long: dialling */
    ps_agent_stop(w.agent);
    ck_assert_uint_eq(w.stopped, 1);
    ck_assert_uint_eq(w.wake_ms, PS_AGENT_RECONNECT_MS);
    pass(PS_AGENT_RECONNECT_MS - 1);
    ck_assert_uint_eq(w.gone, 0);
    ck_assert_uint_eq(w.cancelled, 0);
    pass(1);
    ck_assert_uint_eq(w.cancelled_lease, 7);
    ck_assert_uint_eq(w.gone, 1);
    result(7); /* the thread's last word */
    pass(60000);
    ck_assert_uint_eq(w.gone, 1);
    end();
}
END_TEST

START_TEST(psd_that_is_back_in_time_takes_the_result_of_a_stopping_worker)
{
    begin();
    welcome();
    give_task(7);
    ps_agent_stop(w.agent);
    pass(1000);
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset"); /* the time begins here */
    result(7);
    forget_sent();
    ck_assert_uint_eq(w.gone, 0);
    pass(PS_AGENT_RECONNECT_MS - 1);
    ck_assert_int_eq(kind(0), PSD__V1__WORKER_MESSAGE__BODY_HELLO);
    welcome();
    ck_assert_int_eq(kind(1), PSD__V1__WORKER_MESSAGE__BODY_RESULT);
    ck_assert_uint_eq(w.closed, 1);
    pass(1); /* attached: that time is over and means nothing */
    ck_assert_uint_eq(w.gone, 0);
    ps_agent_ended(w.agent, PS_OK, "");
    ck_assert_uint_eq(w.gone, 1);
    end();
}
END_TEST

START_TEST(a_result_that_nobody_takes_is_given_up_with_the_worker)
{
    begin();
    welcome();
    give_task(7);
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
    result(7);
    ps_agent_stop(w.agent);
    for (unsigned ms = 0; ms < PS_AGENT_RECONNECT_MS; ms += 100) {
        ck_assert_uint_eq(w.gone, 0);
        pass(100);
        ps_agent_ended(w.agent, PS_UNAVAILABLE, "connection refused"); /* whenever it dials */
    }
    ck_assert_uint_eq(w.gone, 1);
    end();
}
END_TEST

START_TEST(refused_attempts_are_spaced_out)
{
    begin();
    uint64_t before = 0;
    for (int i = 0; i < 12; i++) {
        ps_agent_ended(w.agent, PS_PERMISSION_DENIED, "role observer may not attach");
        ck_assert_uint_ge(w.wake_ms, before);
        ck_assert_uint_le(w.wake_ms, PS_AGENT_RETRY_MAX_MS);
        before = w.wake_ms;
        pass(w.wake_ms);
    }
    ck_assert_uint_eq(before, PS_AGENT_RETRY_MAX_MS);
    end();
}
END_TEST

START_TEST(a_stream_moves_over_with_its_leases_at_once)
{
    begin();
    welcome();
    give_task(7);
    result(7);
    forget_sent();
    give_task(8);
    ps_agent_move_over(w.agent);
    ck_assert_uint_eq(w.left, 1);
    ck_assert_uint_eq(w.opened, 2);
    ck_assert_uint_eq(w.closed, 0);
    ck_assert_str_eq(ps_agent_state(w.agent), "dialling");
    ck_assert_uint_eq(w.count, 1); /* hello: what runs, and what may have been lost */
    ck_assert_uint_eq(w.sent[0]->hello->n_leases, 2);
    forget_sent();
    ps_agent_move_over(w.agent); /* and once more, before psd has said anything */
    ck_assert_uint_eq(w.left, 2);
    ck_assert_uint_eq(w.opened, 3);
    forget_sent();
    welcome();
    ck_assert_str_eq(ps_agent_state(w.agent), "attached");
    ck_assert_uint_eq(w.count, 1);
    ck_assert_uint_eq(w.sent[0]->result->lease_id, 7);
    ck_assert_uint_eq(w.cancelled + w.stopped, 0);
    result(8);
    ck_assert_uint_eq(w.sent[1]->result->lease_id, 8);
    end();
}
END_TEST

START_TEST(a_worker_that_is_away_or_leaves_does_not_move_over)
{
    begin();
    ps_agent_ended(w.agent, PS_UNAVAILABLE, "reset");
    ps_agent_move_over(w.agent); /* the next one is new anyway */
    ck_assert_uint_eq(w.left, 0);
    ck_assert_uint_eq(w.opened, 1);
    pass(w.wake_ms);
    ck_assert_uint_eq(w.opened, 2);
    welcome();
    ps_agent_stop(w.agent);
    ck_assert_uint_eq(w.closed, 1);
    ps_agent_move_over(w.agent);
    ck_assert_uint_eq(w.left, 0);
    ps_agent_ended(w.agent, PS_OK, "");
    ck_assert_uint_eq(w.gone, 1);
    end();
}
END_TEST

static const ps_check_case tests[] = {
    {&hello_goes_first_and_heartbeats_follow_the_welcome},
    {&reports_made_while_away_arrive_as_one_after_the_reconnect},
    {&a_result_that_may_be_lost_is_sent_again_and_then_forgotten},
    {&of_many_short_tasks_a_hello_names_the_last_few},
    {&a_result_is_kept_by_when_it_was_sent_not_by_when_its_task_began},
    {&what_a_task_said_is_sent_again_after_a_reconnect},
    {&of_many_log_lines_the_last_are_kept},
    {&a_second_task_finds_the_slot_busy_and_the_same_lease_is_not_run_twice},
    {&a_cancelled_lease_reaches_its_task},
    {&stopping_sends_the_result_then_closes_then_goes},
    {&a_task_that_does_not_stop_in_time_is_cancelled},
    {&without_a_psd_stopping_waits_for_nothing},
    {&without_a_psd_a_running_task_holds_up_stopping_only_for_the_reconnect},
    {&psd_that_is_back_in_time_takes_the_result_of_a_stopping_worker},
    {&a_result_that_nobody_takes_is_given_up_with_the_worker},
    {&refused_attempts_are_spaced_out},
    {&a_stream_moves_over_with_its_leases_at_once},
    {&a_worker_that_is_away_or_leaves_does_not_move_over},
    {0}};

int main(void)
{
    return ps_check_main("worker/link/agent", tests);
}
