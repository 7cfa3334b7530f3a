#include "common/base/status.h"

#include "tests/lib/check_main.h"

#include <errno.h>
#include <string.h>

START_TEST(a_failure_keeps_code_and_message)
{
    ps_status st = ps_fail(PS_NOT_FOUND, "tensor %s", "w1");
    ck_assert_int_eq(st, PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "tensor w1");
    st = ps_wrap(st, "job %d", 7);
    ck_assert_int_eq(st, PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "job 7: tensor w1");
}
END_TEST

START_TEST(a_message_that_is_too_long_is_cut)
{
    char text[2 * PS_ERROR_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ck_assert_int_eq(ps_fail(PS_IO, "%s", text), PS_IO);
    ck_assert_uint_eq(strlen(ps_error_message()), PS_ERROR_MAX - 1);
    ck_assert_int_eq(ps_wrap(PS_IO, "%s", text), PS_IO);
    ck_assert_uint_eq(strlen(ps_error_message()), PS_ERROR_MAX - 1);
}
END_TEST

START_TEST(grpc_codes_are_those_of_the_specification)
{
    /* https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
    ck_assert_int_eq(ps_status_grpc(PS_OK), 0);
    ck_assert_int_eq(ps_status_grpc(PS_INVALID_ARGUMENT), 3);
    ck_assert_int_eq(ps_status_grpc(PS_UNAUTHENTICATED), 16);
    ck_assert_int_eq(ps_status_grpc(PS_NO_SPACE), 8);
    for (int code = 0; code <= 16; code++)
        ck_assert_int_eq(ps_status_grpc(ps_status_from_grpc(code)), code);
    ck_assert_int_eq(ps_status_from_grpc(99), PS_UNKNOWN);
    ck_assert_int_eq(ps_status_from_grpc(-1), PS_UNKNOWN);
}
END_TEST

START_TEST(errno_maps_to_a_code_and_its_text)
{
    ck_assert_int_eq(ps_fail_errno(ENOSPC, "checkpoint /x"), PS_NO_SPACE);
    ck_assert_str_eq(ps_error_message(), "checkpoint /x: No space left on device");
    /* no refusal by a server, and no server that is away */
    ck_assert_int_eq(ps_fail_errno(EACCES, "x"), PS_NO_ACCESS);
    ck_assert_int_eq(ps_fail_errno(EPERM, "x"), PS_NO_ACCESS);
    ck_assert_int_eq(ps_fail_errno(EPIPE, "x"), PS_BROKEN_PIPE);
}
END_TEST

START_TEST(a_saved_error_survives_other_failures)
{
    ps_error kept;
    ps_error_save(&kept, ps_fail(PS_CORRUPT, "segment 3"));
    ck_assert_int_eq(ps_fail(PS_IO, "other"), PS_IO);
    ck_assert_int_eq(ps_error_raise(&kept), PS_CORRUPT);
    ck_assert_str_eq(ps_error_message(), "segment 3");
}
END_TEST

static const ps_check_case cases[] = {
    {&a_failure_keeps_code_and_message},          {&a_message_that_is_too_long_is_cut},
    {&grpc_codes_are_those_of_the_specification}, {&errno_maps_to_a_code_and_its_text},
    {&a_saved_error_survives_other_failures},     {0},
};

int main(void)
{
    return ps_check_main("base/status", cases);
}
