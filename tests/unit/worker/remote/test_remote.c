/* What is worth repeating. The calls themselves are tested with test_exchange. */
#include "worker/remote/remote.h"

#include "tests/lib/check_main.h"

static bool again(ps_retry *retry, ps_status status, const char *message, uint64_t now_ms,
                  uint64_t *delay_ms)
{
    ps_error error;
    ps_error_save(&error, ps_fail(status, "%s", message));
    return ps_retry_after(retry, &error, now_ms, delay_ms);
}

START_TEST(what_passes_is_repeated_with_growing_pauses)
{
    ps_retry retry = {0};
    uint64_t delay, before = 0;
    for (uint64_t i = 0; i < 40; i++) {
        ck_assert(again(&retry, PS_UNAVAILABLE, "down", 1000 * i, &delay));
        ck_assert_uint_ge(delay, before);
        ck_assert_uint_le(delay, 2000);
        before = delay;
    }
    ps_retry_succeeded(&retry);
    ck_assert(again(&retry, PS_ABORTED, "again", 50000, &delay));
    ck_assert_uint_eq(delay, 50);
}
END_TEST

START_TEST(what_does_not_pass_is_not_repeated)
{
    ps_retry retry = {0};
    uint64_t delay;
    ck_assert(!again(&retry, PS_INVALID_ARGUMENT, "NaN", 0, &delay));
    ck_assert(!again(&retry, PS_FAILED_PRECONDITION, "fenced", 0, &delay));
    ck_assert(!again(&retry, PS_PERMISSION_DENIED, "no lease", 0, &delay));
    ck_assert(!again(&retry, PS_CANCELLED, "cancelled", 0, &delay));
}
END_TEST

START_TEST(no_lease_is_believed_only_after_the_connection_has_been_well_for_a_while)
{
    ps_retry retry = {0};
    uint64_t delay;
    ck_assert(again(&retry, PS_UNAVAILABLE, "reset", 1000, &delay));
    ck_assert(again(&retry, PS_PERMISSION_DENIED, "no lease", 2000, &delay));
    ck_assert(again(&retry, PS_NOT_FOUND, "no job", 2000, &delay));
    ck_assert(!again(&retry, PS_PERMISSION_DENIED, "no lease", 1000 + PS_RETRY_GRACE_MS, &delay));
}
END_TEST

START_TEST(a_limit_that_does_not_move_is_given_up)
{
    ps_retry retry = {0};
    uint64_t delay;
    unsigned attempts = 0;
    while (again(&retry, PS_RESOURCE_EXHAUSTED, "over the limit", 0, &delay))
        attempts++;
    ck_assert_uint_eq(attempts, PS_RETRY_EXHAUSTED);
}
END_TEST

static bool told(ps_retry *retry, int retry_ms, uint64_t now_ms, uint64_t *delay_ms)
{
    ps_error error;
    ps_error_save(&error, ps_fail_retry(PS_RESOURCE_EXHAUSTED, retry_ms, "quota of x"));
    return ps_retry_after(retry, &error, now_ms, delay_ms);
}

START_TEST(what_psd_says_of_when_to_try_again_is_kept_to)
{
    ps_retry retry = {0};
    uint64_t delay, now = 5000;
    for (unsigned i = 0; i < 3 * PS_RETRY_EXHAUSTED; i++, now += 120) {
        ck_assert(told(&retry, 120, now, &delay));
        ck_assert_uint_eq(delay, 120);
    }
    ck_assert(told(&retry, 120, 5000 + PS_RETRY_TOLD_MS - 1, &delay));
    ck_assert(!told(&retry, 120, 5000 + PS_RETRY_TOLD_MS, &delay)); /* in vain for too long */
    ps_retry_succeeded(&retry);
    ck_assert(told(&retry, 120, 5000 + PS_RETRY_TOLD_MS, &delay));
    ck_assert(told(&retry, 86400000, 6000 + PS_RETRY_TOLD_MS, &delay));
    ck_assert_uint_eq(delay, 60000); /* not a day */
    ck_assert(!told(&retry, -1, 6000 + PS_RETRY_TOLD_MS, &delay));
}
END_TEST

static const ps_check_case tests[] = {
    {&what_passes_is_repeated_with_growing_pauses},
    {&what_does_not_pass_is_not_repeated},
    {&no_lease_is_believed_only_after_the_connection_has_been_well_for_a_while},
    {&a_limit_that_does_not_move_is_given_up},
    {&what_psd_says_of_when_to_try_again_is_kept_to},
    {0}};

int main(void)
{
    return ps_check_main("worker/remote/remote", tests);
}
