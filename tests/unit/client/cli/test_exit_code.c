/* exit_code: the numbers that psctl(1) promises. */
#include "client/cli/exit_code.h"
#include "tests/lib/check_main.h"

START_TEST(the_documented_numbers_are_kept)
{
    ck_assert_int_eq(ps_exit_of(PS_OK), 0);
    ck_assert_int_eq(ps_exit_of(PS_ABORTED), 1);
    ck_assert_int_eq(ps_exit_of(PS_INTERNAL), 1);
    ck_assert_int_eq(ps_exit_of(PS_NO_ACCESS), 1);
    ck_assert_int_eq(ps_exit_of(PS_BROKEN_PIPE), 1);
    ck_assert_int_eq(ps_exit_of(PS_UNAVAILABLE), 3);
    ck_assert_int_eq(ps_exit_of(PS_DEADLINE_EXCEEDED), 3);
    ck_assert_int_eq(ps_exit_of(PS_PERMISSION_DENIED), 4);
    ck_assert_int_eq(ps_exit_of(PS_UNAUTHENTICATED), 4);
    ck_assert_int_eq(ps_exit_of(PS_NOT_FOUND), 5);
    ck_assert_int_eq(ps_exit_of(PS_INVALID_ARGUMENT), 6);
    ck_assert_int_eq(ps_exit_of(PS_ALREADY_EXISTS), 7);
    ck_assert_int_eq(ps_exit_of(PS_FAILED_PRECONDITION), 7);
}
END_TEST

START_TEST(no_failure_looks_like_success)
{
    for (int code = PS_OK + 1; code < PS_STATUS_COUNT; code++)
        ck_assert_int_ne(ps_exit_of((ps_status)code), 0);
}
END_TEST

static const ps_check_case tests[] = {
    {&the_documented_numbers_are_kept},
    {&no_failure_looks_like_success},
    {0},
};

int main(void)
{
    return ps_check_main("client/cli/exit_code", tests);
}
