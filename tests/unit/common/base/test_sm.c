#include "common/base/sm.h"

#include "tests/lib/check_main.h"

#include <string.h>

enum { IDLE, BUSY, GONE };
static const char *const names[] = {"idle", "busy", "gone"};
static const ps_sm_set next[] = {
    [IDLE] = PS_SM(BUSY) | PS_SM(GONE), [BUSY] = PS_SM(IDLE), [GONE] = 0};
static const ps_sm machine = {
    .tag = "worker", .names = names, .next = next, .count = 3, .level = PS_LOG_INFO};

static char last[256];
static ps_log_level last_level;

static void keep(void *state, ps_log_level level, const char *line)
{
    last_level = level;
    strncpy(last, line, sizeof last - 1);
}

START_TEST(a_legal_move_is_made_and_traced)
{
    unsigned state = IDLE;
    ps_log_set_sink(keep, NULL);
    ck_ok(ps_sm_move(&machine, &state, BUSY, "worker=%s", "gpu1"));
    ck_assert_uint_eq(state, BUSY);
    ck_assert_str_eq(last, "worker: state=idle -> busy worker=gpu1");
    ck_assert_int_eq(last_level, PS_LOG_INFO);
}
END_TEST

START_TEST(an_illegal_move_changes_nothing_and_is_said)
{
    unsigned state = BUSY;
    ps_log_set_sink(keep, NULL);
    ck_assert_int_eq(ps_sm_move(&machine, &state, GONE, "worker=%s", "gpu1"),
                     PS_FAILED_PRECONDITION);
    ck_assert_uint_eq(state, BUSY);
    ck_assert_int_eq(last_level, PS_LOG_ERROR);
    ck_assert_str_eq(ps_error_message(), "worker worker=gpu1: is busy and cannot become gone");
    ck_assert_int_eq(ps_sm_move(&machine, &state, 17, NULL), PS_FAILED_PRECONDITION);
    state = 40; /* a state that there is not */
    ck_assert_int_eq(ps_sm_move(&machine, &state, IDLE, NULL), PS_FAILED_PRECONDITION);
}
END_TEST

START_TEST(a_move_of_our_own_is_made_and_traced_at_its_level)
{
    static const ps_sm quiet = {
        .tag = "slot", .names = names, .next = next, .count = 3, .level = PS_LOG_TRACE};
    unsigned state = IDLE;
    last[0] = 0;
    ps_log_set_sink(keep, NULL);
    ps_sm_go(&quiet, &state, BUSY, "slot=%d", 3);
    ck_assert_uint_eq(state, BUSY);
    ck_assert_str_eq(last, "");
    ps_log_set_level(PS_LOG_TRACE);
    ps_sm_go(&quiet, &state, IDLE, "slot=%d", 3);
    ck_assert_str_eq(last, "slot: state=busy -> idle slot=3");
}
END_TEST

START_TEST(an_end_is_a_state_that_nothing_follows)
{
    ck_assert(ps_sm_ended(&machine, GONE));
    ck_assert(!ps_sm_ended(&machine, IDLE));
    ck_assert(ps_sm_may(&machine, IDLE, GONE));
    ck_assert(!ps_sm_may(&machine, GONE, IDLE));
    ck_assert_str_eq(ps_sm_name(&machine, GONE), "gone");
    ck_assert_str_eq(ps_sm_name(&machine, 9), "unknown");
}
END_TEST

static const ps_check_case cases[] = {
    {&a_legal_move_is_made_and_traced},
    {&an_illegal_move_changes_nothing_and_is_said},
    {&a_move_of_our_own_is_made_and_traced_at_its_level},
    {&an_end_is_a_state_that_nothing_follows},
    {0},
};

int main(void)
{
    return ps_check_main("base/sm", cases);
}
