/* human: numbers as people read them, at the borders between units. */
#include "client/show/human.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

START_TEST(bytes_have_units_of_a_thousand)
{
    static const struct {
        double bytes;
        const char *text;
    } rows[] = {{0, "0 B"},         {512, "512 B"},     {999, "999 B"},     {1000, "1.0 kB"},
                {1234, "1.2 kB"},   {12345, "12.3 kB"}, {99949, "99.9 kB"}, {99951, "100 kB"},
                {999499, "999 kB"}, {999500, "1.0 MB"}, {1.2e9, "1.2 GB"},  {-5, "0 B"},
                {34e12, "34.0 TB"}, {5e18, "5000 PB"},  {NAN, "0 B"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_str_eq(ps_human_bytes(rows[i].bytes).text, rows[i].text);
}
END_TEST

START_TEST(sizes_are_shown_as_they_are_written)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0 B"},
                {1, "1 B"},
                {1000, "1 kB"},
                {1024, "1 KiB"},
                {UINT64_C(200) << 30, "200 GiB"},
                {200000000000, "200 GB"},
                {UINT64_C(3) << 40, "3 TiB"},
                {1536 << 20, "1536 MiB"},
                {(1 << 20) + 1, "1048577 B"},
                {UINT64_MAX, "18446744073709551615 B"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_str_eq(ps_human_size(rows[i].bytes).text, rows[i].text);
    ck_assert_str_eq(ps_human_binary(1023).text, "1023 B");
    ck_assert_str_eq(ps_human_binary(1536).text, "1.5 KiB");
    ck_assert_str_eq(ps_human_binary(1024 * 1024 - 1).text, "1.0 MiB");
    ck_assert_str_eq(ps_human_binary(214.7e9).text, "200 GiB");
    ck_assert_str_eq(ps_human_binary(-1).text, "0 B");
}
END_TEST

START_TEST(counts_show_a_tenth_only_where_it_says_something)
{
    ck_assert_str_eq(ps_human_count(0).text, "0");
    ck_assert_str_eq(ps_human_count(7).text, "7");
    ck_assert_str_eq(ps_human_count(7.25).text, "7.2");
    ck_assert_str_eq(ps_human_count(42.4).text, "42");
    ck_assert_str_eq(ps_human_count(12400).text, "12.4k");
    ck_assert_str_eq(ps_human_count(535818).text, "536k");
    ck_assert_str_eq(ps_human_count(1.3e9).text, "1.3G");
}
END_TEST

START_TEST(durations_have_two_units_at_the_most)
{
    static const struct {
        double seconds;
        const char *text;
    } rows[] = {{0, "0s"},        {0.44, "0.4s"},    {9.96, "10s"},      {42, "42s"},
                {59.6, "1m 00s"}, {192, "3m 12s"},   {3599, "59m 59s"},  {3600, "1h 00m"},
                {7500, "2h 05m"}, {86400, "1d 00h"}, {273600, "3d 04h"}, {-1, "-"},
                {1e12, "-"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_str_eq(ps_human_duration(rows[i].seconds).text, rows[i].text);
    ck_assert_str_eq(ps_human_duration(NAN).text, "-");
    ck_assert_str_eq(ps_human_duration(INFINITY).text, "-");
}
END_TEST

START_TEST(values_have_four_places_where_they_say_something)
{
    static const struct {
        double value;
        const char *text;
    } rows[] = {{0, "0.0000"},
                {0.88754, "0.8875"},
                {-2.5, "-2.5000"},
                {0.001, "0.0010"},
                {3.5e-5, "3.5e-05"},
                {999999, "999999.0000"},
                {1979477605251426157106036736.0, "1.98e+27"},
                {INFINITY, "inf"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        ck_assert_str_eq(ps_human_value(rows[i].value).text, rows[i].text);
}
END_TEST

START_TEST(times_are_local_and_intervals_count_from_now)
{
    setenv("TZ", "UTC", 1);
    tzset();
    ck_assert_str_eq(ps_human_time(1767225600000).text, "2026-01-01 00:00:00");
    ck_assert_str_eq(ps_human_time(0).text, "-");
    ck_assert_str_eq(ps_human_ago(1000, 193000).text, "3m 12s ago");
    ck_assert_str_eq(ps_human_ago(5000, 1000).text, "0s ago"); /* the other clock is ahead */
    ck_assert_str_eq(ps_human_ago(0, 1000).text, "-");
    ck_assert_str_eq(ps_human_ago(INT64_MAX, 1000).text, "0s ago");
    ck_assert_double_eq(ps_seconds_between(1000, 2500), 1.5);
    ck_assert_double_eq(ps_seconds_between(INT64_MIN, INT64_MAX), 0x1p64 / 1000);
    ck_assert_double_eq(ps_seconds_between(INT64_MAX, INT64_MIN), 0);
}
END_TEST

START_TEST(what_is_left_is_told_in_days_while_there_are_some)
{
    ck_assert_str_eq(ps_human_left(90 * 86400 - 1, 0).text, "89 days left");
    ck_assert_str_eq(ps_human_left(2 * 86400, 0).text, "2 days left");
    ck_assert_str_eq(ps_human_left(2 * 86400 - 60, 0).text, "1d 23h left");
    ck_assert_str_eq(ps_human_left(86399, 59).text, "23h 59m left"); /* a leaf of a day */
    ck_assert_str_eq(ps_human_left(7, 7).text, "0s left");
    ck_assert_str_eq(ps_human_left(7, 8).text, "expired");
    ck_assert_str_eq(ps_human_left(INT64_MIN, INT64_MAX).text, "expired");
    ck_assert_str_eq(ps_human_holder("spiffe://lab/submitter/ann"), "ann");
    ck_assert_str_eq(ps_human_holder("ann"), "ann");
}
END_TEST

static const ps_check_case tests[] = {
    {&bytes_have_units_of_a_thousand},
    {&sizes_are_shown_as_they_are_written},
    {&counts_show_a_tenth_only_where_it_says_something},
    {&durations_have_two_units_at_the_most},
    {&values_have_four_places_where_they_say_something},
    {&times_are_local_and_intervals_count_from_now},
    {&what_is_left_is_told_in_days_while_there_are_some},
    {0},
};

int main(void)
{
    return ps_check_main("client/show/human", tests);
}
