/* repeat: a line that would come at every try comes at once, then seldom, and tells how often. */
#include "common/base/repeat.h"
#include "tests/lib/check_main.h"

#include <string.h>

START_TEST(the_first_is_said_at_once_and_the_others_seldom_with_a_count)
{
    ps_repeat r = {0};
    char text[PS_REPEAT_TEXT];
    ck_assert(ps_repeat_due(&r, 1000, NULL));
    ck_assert_str_eq(ps_repeat_text(&r, text), "");
    for (uint64_t s = 1; s < 60; s++)
        ck_assert(!ps_repeat_due(&r, 1000 + s * 1000, NULL));
    ck_assert(ps_repeat_due(&r, 61000, NULL));
    ck_assert_str_eq(ps_repeat_text(&r, text), " (61 times so far)");
    ck_assert(!ps_repeat_due(&r, 61000 + 119999, NULL)); /* twice as long */
    ck_assert(ps_repeat_due(&r, 61000 + 120000, NULL));
}
END_TEST

START_TEST(another_failure_is_said_at_once)
{
    ps_repeat r = {0};
    char text[PS_REPEAT_TEXT];
    ck_assert(ps_repeat_due(&r, 0, "connection refused"));
    ck_assert(!ps_repeat_due(&r, 1000, "connection refused"));
    ck_assert(ps_repeat_due(&r, 2000, "certificate has expired"));
    ck_assert_str_eq(ps_repeat_text(&r, text), "");
    ck_assert(!ps_repeat_due(&r, 3000, "certificate has expired"));
}
END_TEST

START_TEST(a_day_of_tries_every_second_is_under_thirty_lines)
{
    ps_repeat r = {0};
    unsigned said = 0;
    for (uint64_t s = 0; s < 86400; s++)
        said += ps_repeat_due(&r, s * 1000, NULL);
    ck_assert_uint_ge(said, 24);
    ck_assert_uint_lt(said, 30);
}
END_TEST

START_TEST(when_it_goes_well_again_that_is_told_once_and_the_next_failure_is_a_first)
{
    ps_repeat r = {0};
    char text[PS_REPEAT_TEXT];
    ck_assert(!ps_repeat_over(&r));
    for (uint64_t s = 0; s < 35; s++)
        (void)ps_repeat_due(&r, s * 1000, NULL);
    ck_assert(ps_repeat_over(&r));
    ck_assert_str_eq(ps_repeat_text(&r, text), " (after 35 failures)");
    ck_assert(!ps_repeat_over(&r));
    ck_assert(ps_repeat_due(&r, 36000, NULL));
    ck_assert_str_eq(ps_repeat_text(&r, text), "");
    ck_assert(ps_repeat_over(&r));
    ck_assert_str_eq(ps_repeat_text(&r, text), " (after 1 failure)");
}
END_TEST

static const ps_check_case cases[] = {
    {&the_first_is_said_at_once_and_the_others_seldom_with_a_count},
    {&another_failure_is_said_at_once},
    {&a_day_of_tries_every_second_is_under_thirty_lines},
    {&when_it_goes_well_again_that_is_told_once_and_the_next_failure_is_a_first},
    {0},
};

int main(void)
{
    return ps_check_main("common/base/repeat", cases);
}
