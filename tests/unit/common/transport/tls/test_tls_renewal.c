/* tls_renewal under a simulated clock: when a certificate is renewed, and what becomes of one whose
 * renewal fails for a while, or for ever. */
#include "common/transport/tls/tls_renewal.h"

#include "tests/lib/check_main.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY ((int64_t)24 * HOUR)

START_TEST(half_of_its_life_and_up_to_a_tenth)
{
    int64_t least = INT64_MAX, most = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        ps_tls_renewal r;
        ps_tls_renewal_init(&r, seed);
        ps_tls_renewal_has(&r, 5000, 5000 + DAY);
        int64_t due = 5000 + (int64_t)ps_tls_renewal_wait(&r, 5000);
        ps_tls_renewal_has(&r, 5000, 5000 + DAY); /* read again: nothing has changed */
        ck_assert_int_eq(5000 + (int64_t)ps_tls_renewal_wait(&r, 5000), due);
        least = due < least ? due : least;
        most = due > most ? due : most;
        ck_assert_uint_eq(ps_tls_renewal_wait(&r, due), 0);
        ck_assert_uint_eq(ps_tls_renewal_wait(&r, 5000 + DAY), UINT64_MAX);
    }
    ck_assert_int_ge(least, 5000 + DAY / 2);
    ck_assert_int_le(most, 5000 + DAY / 2 + DAY / 10);
    ck_assert_int_ge(most - least, DAY / 11); /* not all at once */
}
END_TEST

/* Attempts between the first one, which is due, and the end. */
static unsigned attempts(int64_t life, bool lasting, int64_t *longest)
{
    ps_tls_renewal r;
    unsigned n = 0;
    ps_tls_renewal_init(&r, 7);
    ps_tls_renewal_has(&r, 0, life);
    int64_t now = (int64_t)ps_tls_renewal_wait(&r, 0);
    *longest = 0;
    while (now < life) {
        ck_assert_uint_eq(ps_tls_renewal_wait(&r, now), 0);
        ps_tls_renewal_failed(&r, now, lasting);
        n++;
        uint64_t wait = ps_tls_renewal_wait(&r, now);
        ck_assert_uint_gt(wait, 0);
        *longest = (int64_t)wait > *longest ? (int64_t)wait : *longest;
        now += (int64_t)wait;
    }
    ck_assert_uint_eq(ps_tls_renewal_wait(&r, now), UINT64_MAX);
    return n;
}

START_TEST(it_is_tried_until_the_end_and_not_without_pause)
{
    static const struct {
        int64_t life;
        unsigned least, most;
        int64_t longest;
    } rows[] = {
        {5 * SECOND, 4, 20, 500},
        {MINUTE, 5, 20, 5 * SECOND},
        {HOUR, 5, 20, 5 * MINUTE},
        {DAY, 60, 120, 10 * MINUTE},
        {90 * DAY, 5000, 10000, 10 * MINUTE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t longest;
        unsigned n = attempts(rows[i].life, false, &longest);
        ck_assert_msg(n >= rows[i].least && n <= rows[i].most, "%zu: %u", i, n);
        ck_assert_int_le(longest, rows[i].longest);
    }
    int64_t longest; /* nobody renews there: asked now and then, should that change */
    ck_assert_uint_le(attempts(90 * DAY, true, &longest), 1500);
    ck_assert_int_le(longest, HOUR);
    ck_assert_uint_ge(attempts(MINUTE, true, &longest), 4);
}
END_TEST

/* A day of certificates of a minute, with a signer that is away for 20 s of each 2 minutes: there
 * is always one that holds. */
START_TEST(outages_that_are_shorter_than_half_a_life_are_not_noticed)
{
    ps_tls_renewal r;
    int64_t now = 0, end = MINUTE;
    unsigned renewed = 0, failed = 0;
    ps_tls_renewal_init(&r, 42);
    ps_tls_renewal_has(&r, now, end);
    while (now < DAY) {
        uint64_t wait = ps_tls_renewal_wait(&r, now);
        ck_assert_uint_ne(wait, UINT64_MAX);
        now += (int64_t)wait;
        ck_assert_int_lt(now, end);
        if (now % (2 * MINUTE) < 20 * SECOND) {
            ps_tls_renewal_failed(&r, now, false);
            failed++;
            continue;
        }
        end = now + MINUTE;
        ps_tls_renewal_has(&r, now, end);
        renewed++;
    }
    ck_assert_uint_ge(renewed, 2000);
    ck_assert_uint_ge(failed, 500);
}
END_TEST

START_TEST(a_clock_that_is_set_and_dates_that_make_no_sense)
{
    ps_tls_renewal r;
    ps_tls_renewal_init(&r, 1);
    ps_tls_renewal_has(&r, HOUR, 2 * HOUR);
    ck_assert_uint_ge(ps_tls_renewal_wait(&r, 0), 3 * HOUR / 2); /* the clock went back */
    ck_assert_uint_eq(ps_tls_renewal_wait(&r, 100 * HOUR), UINT64_MAX);
    ps_tls_renewal_has(&r, 5 * HOUR, 4 * HOUR); /* ends before it begins */
    ck_assert_uint_eq(ps_tls_renewal_wait(&r, 4 * HOUR), UINT64_MAX);
    ps_tls_renewal_failed(&r, HOUR, false);
    ck_assert_uint_gt(ps_tls_renewal_wait(&r, HOUR), 0);
}
END_TEST

START_TEST(the_clock_of_who_judges_goes_on_whatever_ours_does)
{
    const ps_tls_judge unknown = {0},
                       ahead = {.said_ms = HOUR, .wall_ms = 9 * HOUR, .monotonic_ms = 77};
    ck_assert_int_eq(ps_tls_judge_now(&unknown, 5 * HOUR, 3), 5 * HOUR);
    ck_assert_int_eq(ps_tls_judge_now(&ahead, 9 * HOUR, 77), HOUR);
    ck_assert_int_eq(ps_tls_judge_now(&ahead, 9 * HOUR + MINUTE, 77 + MINUTE), HOUR + MINUTE);
    ck_assert_int_eq(ps_tls_judge_now(&ahead, HOUR, 77 + MINUTE),
                     HOUR + MINUTE);                                     /* ours was set right */
    ck_assert_int_eq(ps_tls_judge_now(&ahead, 10 * HOUR, 77), 2 * HOUR); /* or the machine slept */
}
END_TEST

START_TEST(a_clock_that_is_off_is_seen_by_what_came_right_now)
{
    static const struct {
        int64_t ours, off;
    } rows[] = {{100 * HOUR, 0},
                {100 * HOUR + MINUTE, 0},
                {111 * HOUR, 0},
                {112 * HOUR, 12 * HOUR}, /* half of its life */
                {300 * HOUR, 200 * HOUR},
                {100 * HOUR - 5 * MINUTE, 0}, /* it is dated back by so much */
                {100 * HOUR - 6 * MINUTE, -6 * MINUTE},
                {0, -100 * HOUR}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ps_tls_judge judge = {.said_ms = 100 * HOUR, .wall_ms = rows[i].ours};
        ck_assert_int_eq(ps_tls_judge_off(&judge, 100 * HOUR - 5 * MINUTE, 124 * HOUR),
                         rows[i].off);
        judge.said_ms = 0;
        ck_assert_int_eq(ps_tls_judge_off(&judge, 100 * HOUR - 5 * MINUTE, 124 * HOUR), 0);
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&half_of_its_life_and_up_to_a_tenth},
    {&it_is_tried_until_the_end_and_not_without_pause},
    {&outages_that_are_shorter_than_half_a_life_are_not_noticed},
    {&a_clock_that_is_set_and_dates_that_make_no_sense},
    {&the_clock_of_who_judges_goes_on_whatever_ours_does},
    {&a_clock_that_is_off_is_seen_by_what_came_right_now},
    {0},
};

int main(void)
{
    return ps_check_main("transport/tls_renewal", tests);
}
