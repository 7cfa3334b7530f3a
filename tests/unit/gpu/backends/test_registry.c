/* Which device is taken, and what is said of it. */
#include "gpu/backends/registry.h"

#include "gpu/cpu/cpu.h"
#include "tests/lib/check_main.h"

#include <string.h>
#include <unistd.h>

static ps_status no_device(const ps_backend_options *options, ps_backend **out)
{
    (void)options;
    (void)out;
    return ps_fail(PS_UNAVAILABLE, "no such card");
}

static ps_status no_driver(const ps_backend_options *options, ps_backend **out)
{
    (void)options;
    (void)out;
    return ps_fail(PS_UNAVAILABLE, "no driver");
}

static const ps_backend_row rows[] = {
    {"one", no_device}, {"two", no_driver}, {"cpu", ps_cpu_open}, {0}};
static const ps_backend_row none[] = {{"one", no_device}, {0}};
static const ps_backend_options options = {.threads = 1};

START_TEST(auto_takes_the_first_that_opens_and_says_why_not_the_others)
{
    ps_backend *b = NULL;
    char text[256];
    ck_ok(ps_backend_open_among(rows, "auto", &options, &b));
    ck_assert_str_eq(ps_backend_describe(b, text, sizeof text), "cpu (no such card; no driver)");
    ps_backend_close(&b);
    ck_assert_ptr_null(b);
}
END_TEST

START_TEST(auto_fails_when_nothing_opens)
{
    ps_backend *b = NULL;
    ck_assert_int_eq(ps_backend_open_among(none, "auto", &options, &b), PS_UNAVAILABLE);
    ck_assert_str_eq(ps_error_message(), "no device to compute with: no such card");
    ck_assert_ptr_null(b);
}
END_TEST

START_TEST(a_device_asked_for_by_name_needs_no_reason)
{
    ps_backend *b = NULL;
    char text[256];
    ck_ok(ps_backend_open("cpu", &options, &b));
    ck_assert_str_eq(ps_backend_describe(b, text, sizeof text), "cpu");
    ps_backend_close(&b);
}
END_TEST

START_TEST(a_device_asked_for_by_name_that_is_not_there_is_an_error)
{
    ps_backend *b = NULL;
    ck_assert_int_eq(ps_backend_open_among(rows, "two", &options, &b), PS_UNAVAILABLE);
    ck_assert_str_eq(ps_error_message(), "device two: no driver");
}
END_TEST

START_TEST(an_unknown_device_is_told_what_there_is)
{
    ps_backend *b = NULL;
    ck_assert_int_eq(ps_backend_open("tpu", &options, &b), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), "device tpu: unknown, there are auto, cuda, cpu");
}
END_TEST

START_TEST(auto_always_finds_a_device_on_this_machine)
{
    ps_backend *b = NULL;
    char text[256];
    ck_ok(ps_backend_open("auto", &options, &b));
    (void)ps_backend_describe(b, text, sizeof text);
    if (access("/dev/nvidiactl", F_OK) != 0)
        ck_assert_ptr_nonnull(strstr(text, "cpu ("));
    ps_backend_close(&b);
}
END_TEST

START_TEST(the_cpu_says_what_it_is)
{
    ps_backend *b = NULL;
    ck_ok(ps_backend_open("cpu", &(ps_backend_options){.threads = 3}, &b));
    ck_assert_int_eq(b->info.threads, 3);
    ck_assert_str_eq(b->info.label, "cpu");
    ck_assert_ptr_nonnull(strstr(b->info.device, ", 3 threads"));
    ck_assert_uint_gt(b->info.memory, 1 << 20);
    ps_backend_close(&b);
    ck_ok(ps_backend_open("cpu", &(ps_backend_options){0}, &b));
    ck_assert_int_ge(b->info.threads, 1);
    ps_backend_close(&b);
}
END_TEST

START_TEST(threads_out_of_range_are_refused)
{
    ps_backend *b = NULL;
    ck_assert_int_eq(ps_backend_open("cpu", &(ps_backend_options){.threads = -1}, &b),
                     PS_INVALID_ARGUMENT);
    ck_assert_int_eq(ps_backend_open("cpu", &(ps_backend_options){.threads = 100000}, &b),
                     PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "threads: 100000, allowed are 0"));
    ck_assert_ptr_null(b);
}
END_TEST

static const ps_check_case tests[] = {
    {.test = &auto_takes_the_first_that_opens_and_says_why_not_the_others},
    {.test = &auto_fails_when_nothing_opens},
    {.test = &a_device_asked_for_by_name_needs_no_reason},
    {.test = &a_device_asked_for_by_name_that_is_not_there_is_an_error},
    {.test = &an_unknown_device_is_told_what_there_is},
    {.test = &auto_always_finds_a_device_on_this_machine},
    {.test = &the_cpu_says_what_it_is},
    {.test = &threads_out_of_range_are_refused},
    {0},
};

int main(void)
{
    return ps_check_main("gpu/backends/registry", tests);
}
