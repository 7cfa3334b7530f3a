/* renew_limit under a simulated clock. */
#include "server/guard/renew_limit.h"

#include "tests/lib/check_main.h"

#include <string.h>

static ps_clock_virtual now;
static ps_clock clock_at;
static ps_identity w1, w2, other_w1;

static ps_status once(ps_renew_limit *limit, const ps_identity *who)
{
    ps_status st = ps_renew_limit_begin(limit, who);
    if (!st)
        ps_renew_limit_done(limit, who);
    return st;
}

START_TEST(a_hundred_at_once_and_a_hundred_in_each_life)
{
    ps_renew_limit *limit = ps_renew_limit_create(60000, &clock_at);
    for (int i = 0; i < PS_RENEWALS; i++)
        ck_ok(once(limit, &w1));
    ck_assert_int_eq(once(limit, &w1), PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(ps_error_message(), "100 certificates for spiffe://lab/worker/w1 within the "
                                         "life of one; try again in 1 s");
    ck_ok(once(limit, &w2)); /* whose are others' */
    ck_ok(once(limit, &other_w1));
    unsigned given = 0;
    for (int ms = 0; ms < 60000; ms += 100, now.now_ns += 100 * UINT64_C(1000000))
        given += once(limit, &w1) == PS_OK;
    ck_assert(given >= PS_RENEWALS - 1 && given <= PS_RENEWALS);
    now.now_ns += 3600 * UINT64_C(1000000000);
    for (int i = 0; i < PS_RENEWALS; i++)
        ck_ok(once(limit, &w1));
    ck_assert_int_eq(once(limit, &w1), PS_RESOURCE_EXHAUSTED);
    ps_renew_limit_free(&limit);
}
END_TEST

START_TEST(long_waits_are_said)
{
    ps_renew_limit *limit = ps_renew_limit_create(UINT64_C(24) * 3600 * 1000, &clock_at);
    for (int i = 0; i < PS_RENEWALS; i++)
        ck_ok(once(limit, &w1));
    ck_assert_int_eq(once(limit, &w1), PS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "try again in 865 s"));
    ps_renew_limit_free(&limit);
}
END_TEST

START_TEST(one_at_a_time)
{
    ps_renew_limit *limit = ps_renew_limit_create(1000, &clock_at);
    ck_ok(ps_renew_limit_begin(limit, &w1));
    ck_assert_int_eq(ps_renew_limit_begin(limit, &w1), PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(ps_error_message(),
                     "another certificate for spiffe://lab/worker/w1 is being made");
    now.now_ns += 3600 * UINT64_C(1000000000); /* as good as new, and not forgotten */
    ck_ok(ps_renew_limit_begin(limit, &w2));
    ps_renew_limit_done(limit, &w2);
    ck_assert_int_eq(ps_renew_limit_begin(limit, &w1), PS_RESOURCE_EXHAUSTED);
    ps_renew_limit_done(limit, &w1);
    ck_ok(once(limit, &w1));
    ps_renew_limit_free(&limit);
}
END_TEST

static const ps_check_case tests[] = {
    {&a_hundred_at_once_and_a_hundred_in_each_life},
    {&long_waits_are_said},
    {&one_at_a_time},
    {0},
};

int main(void)
{
    clock_at = ps_clock_virtual_table(&now);
    if (ps_identity_make("lab", PS_ROLE_WORKER, "w1", &w1) ||
        ps_identity_make("lab", PS_ROLE_WORKER, "w2", &w2) ||
        ps_identity_make("lab", PS_ROLE_ADMIN, "w1", &other_w1))
        return 1;
    return ps_check_main("guard/renew_limit", tests);
}
