/* The table alone, its clock ours. */
#include "common/transport/server/pace.h"

#include "tests/lib/check_main.h"

#include <stdio.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static ps_pace *pace;
static uint64_t now;

static void open_pace(void)
{
    now = 1000 * S;
    ps_pace_create(&pace);
}

static ps_pace_source from(const char *host)
{
    char address[80];
    ps_pace_source source;
    snprintf(address, sizeof address, "%s:4711", host);
    ck_assert(ps_pace_source_of(address, &source));
    return source;
}

static ps_pace_turn ask(const char *host, int fd)
{
    ps_pace_source source = from(host);
    return ps_pace_ask(pace, &source, fd, now);
}

static void refused(const char *host)
{
    ps_pace_source source = from(host);
    ps_pace_refused(pace, &source, now);
}

static void spend_burst(const char *host)
{
    for (int i = 0; i < PS_PACE_BURST; i++)
        ck_assert_int_eq(ask(host, 1), PS_PACE_BEGIN);
}

static bool same(const char *a, const char *b)
{
    ps_pace_source x = from(a), y = from(b);
    return memcmp(&x, &y, sizeof x) == 0;
}

START_TEST(an_address_is_an_ipv4_one_or_64_bits_of_ipv6)
{
    ck_assert(same("192.0.2.1", "192.0.2.1"));
    ck_assert(!same("192.0.2.1", "192.0.2.2"));
    ck_assert(same("192.0.2.1", "[::ffff:192.0.2.1]"));
    ck_assert(!same("[::ffff:192.0.2.1]", "[::ffff:192.0.2.2]"));
    ck_assert(same("[2001:db8:1:2::1]", "[2001:db8:1:2:ffff:ffff:ffff:ffff]"));
    ck_assert(!same("[2001:db8:1:2::1]", "[2001:db8:1:3::1]"));
    ck_assert(!same("[::1]", "0.0.0.1"));
    static const char *none[] = {"?", "", "psd.example:1", "192.0.2.1", "[2001:db8::1]", "[::1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        ps_pace_source source;
        ck_assert_msg(!ps_pace_source_of(none[i], &source), "%s", none[i]);
    }
}
END_TEST

START_TEST(who_was_not_refused_does_not_wait)
{
    open_pace();
    ck_assert(!ps_pace_any(pace));
    ck_assert_int_eq(ask("192.0.2.1", 1), PS_PACE_BEGIN);
    ck_assert(!ps_pace_any(pace)); /* asking is not remembered */
    refused("192.0.2.1");
    ck_assert(ps_pace_any(pace));
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(ask("192.0.2.2", 1), PS_PACE_BEGIN);
    ck_assert_uint_eq(ps_pace_due_ns(pace), UINT64_MAX);
    ck_assert_int_eq(ps_pace_next(pace, now), -1);
    ps_pace_free(&pace);
}
END_TEST

START_TEST(after_the_burst_they_begin_in_turn_at_the_rate)
{
    open_pace();
    refused("192.0.2.1");
    spend_burst("192.0.2.1");
    for (int fd = 0; fd < PS_PACE_WAITING; fd++)
        ck_assert_int_eq(ask("192.0.2.1", fd), PS_PACE_WAIT);
    for (int fd = 0; fd < PS_PACE_WAITING; fd++) {
        uint64_t due = ps_pace_due_ns(pace);
        ck_assert_uint_eq(due, now + S / PS_PACE_RATE);
        ck_assert_int_eq(ps_pace_next(pace, due - 1), -1);
        now = due;
        ck_assert_int_eq(ps_pace_next(pace, now), fd);
        ck_assert_int_eq(ps_pace_next(pace, now), -1);
    }
    ck_assert_uint_eq(now, 1001 * S); /* the last one has waited for a second */
    ck_assert_uint_eq(ps_pace_due_ns(pace), UINT64_MAX);
    /* what is not used is saved, up to a burst */
    now += S / 2;
    for (int i = 0; i < PS_PACE_RATE / 2; i++)
        ck_assert_int_eq(ask("192.0.2.1", 1), PS_PACE_BEGIN);
    ck_assert_int_eq(ask("192.0.2.1", 1), PS_PACE_WAIT);
    ck_assert_int_eq(ps_pace_give_up(pace), 1);
    now += 5 * S;
    spend_burst("192.0.2.1");
    ck_assert_int_eq(ask("192.0.2.1", 1), PS_PACE_WAIT);
    ck_assert_int_eq(ps_pace_give_up(pace), 1);
    ps_pace_free(&pace);
}
END_TEST

START_TEST(nobody_passes_those_who_wait)
{
    open_pace();
    refused("192.0.2.1");
    spend_burst("192.0.2.1");
    ck_assert_int_eq(ask("192.0.2.1", 7), PS_PACE_WAIT);
    now += S;
    ck_assert_int_eq(ask("192.0.2.1", 8), PS_PACE_WAIT);
    ck_assert_int_eq(ps_pace_next(pace, now), 7);
    ck_assert_int_eq(ps_pace_next(pace, now), 8);
    ps_pace_free(&pace);
}
END_TEST

START_TEST(too_many_that_wait_are_closed_and_told_of_now_and_then)
{
    open_pace();
    refused("192.0.2.1");
    spend_burst("192.0.2.1");
    for (int fd = 0; fd < PS_PACE_WAITING; fd++)
        ck_assert_int_eq(ask("192.0.2.1", fd), PS_PACE_WAIT);
    ck_assert_int_eq(ask("192.0.2.1", 90), PS_PACE_CLOSE_SAY);
    ck_assert_int_eq(ask("192.0.2.1", 91), PS_PACE_CLOSE);
    now += PS_PACE_SAY_NS - 1;
    ck_assert_int_eq(ask("192.0.2.1", 92), PS_PACE_CLOSE);
    now += 1;
    ck_assert_int_eq(ask("192.0.2.1", 93), PS_PACE_CLOSE_SAY);
    for (int fd = 0; fd < PS_PACE_WAITING; fd++)
        ck_assert_int_eq(ps_pace_give_up(pace), fd);
    ck_assert_int_eq(ps_pace_give_up(pace), -1);
    ps_pace_free(&pace);
}
END_TEST

static bool is_odd(int fd)
{
    return fd % 2;
}

START_TEST(who_is_gone_leaves_his_place)
{
    open_pace();
    refused("192.0.2.1");
    spend_burst("192.0.2.1");
    for (int fd = 0; fd < PS_PACE_WAITING; fd++)
        ck_assert_int_eq(ask("192.0.2.1", fd), PS_PACE_WAIT);
    ps_pace_source here = from("192.0.2.1"), elsewhere = from("192.0.2.2");
    ck_assert_int_eq(ps_pace_take_gone(pace, &elsewhere, is_odd), -1);
    for (int fd = 1; fd < PS_PACE_WAITING; fd += 2)
        ck_assert_int_eq(ps_pace_take_gone(pace, &here, is_odd), fd);
    ck_assert_int_eq(ps_pace_take_gone(pace, &here, is_odd), -1);
    ck_assert_int_eq(ask("192.0.2.1", 20), PS_PACE_WAIT);
    for (int fd = 0; fd < PS_PACE_WAITING; fd += 2)
        ck_assert_int_eq(ps_pace_give_up(pace), fd); /* in their order, still */
    ck_assert_int_eq(ps_pace_give_up(pace), 20);
    ck_assert_int_eq(ps_pace_give_up(pace), -1);
    ps_pace_free(&pace);
}
END_TEST

START_TEST(those_of_all_addresses_are_bounded_together)
{
    open_pace();
    int waiting = 0;
    for (int i = 0; i < 20; i++) {
        char host[32];
        snprintf(host, sizeof host, "192.0.2.%d", i);
        refused(host);
        spend_burst(host);
        while (ask(host, 1) == PS_PACE_WAIT)
            waiting++;
    }
    ck_assert_int_eq(waiting, PS_PACE_WAITING_ALL);
    ck_assert_int_eq(ask("198.51.100.1", 1), PS_PACE_BEGIN); /* nobody was refused from there */
    while (ps_pace_give_up(pace) >= 0)
        waiting--;
    ck_assert_int_eq(waiting, 0);
    ps_pace_free(&pace);
}
END_TEST

START_TEST(it_is_forgotten_a_while_after_the_last_refusal)
{
    open_pace();
    refused("192.0.2.1");
    now += PS_PACE_FORGET_NS - 1;
    refused("192.0.2.1");
    now += PS_PACE_FORGET_NS - 1;
    spend_burst("192.0.2.1");
    ck_assert_int_eq(ask("192.0.2.1", 3), PS_PACE_WAIT);
    now += 1; /* not while somebody waits: the others would pass him */
    ck_assert_int_eq(ask("192.0.2.1", 4), PS_PACE_WAIT);
    ck_assert_int_eq(ps_pace_give_up(pace), 3);
    ck_assert_int_eq(ps_pace_give_up(pace), 4);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(ask("192.0.2.1", 1), PS_PACE_BEGIN);
    ck_assert(!ps_pace_any(pace));
    ps_pace_free(&pace);
}
END_TEST

static void refuse_many(int first, int n)
{
    for (int i = first; i < first + n; i++) {
        char host[32];
        snprintf(host, sizeof host, "10.0.%d.%d", i / 256, i % 256);
        refused(host);
        now += MS;
    }
}

START_TEST(a_full_table_forgets_the_longest_ago_and_nobody_who_waits)
{
    open_pace();
    refused("192.0.2.1");
    spend_burst("192.0.2.1");
    ck_assert_int_eq(ask("192.0.2.1", 5), PS_PACE_WAIT);
    refuse_many(0, PS_PACE_ADDRESSES - 1);
    for (int i = 0; i < PS_PACE_BURST; i++)
        ck_assert_int_eq(ask("10.0.0.0", 1), PS_PACE_BEGIN);
    refuse_many(PS_PACE_ADDRESSES - 1, 1); /* in the place of 10.0.0.0 */
    for (int i = 0; i < 2 * PS_PACE_BURST; i++)
        ck_assert_int_eq(ask("10.0.0.0", 1), PS_PACE_BEGIN);
    spend_burst("10.0.0.1"); /* is known, still */
    ck_assert_int_eq(ask("10.0.0.1", 6), PS_PACE_WAIT);
    ck_assert_int_eq(ask("192.0.2.1", 7), PS_PACE_WAIT);
    int fds[3] = {ps_pace_give_up(pace), ps_pace_give_up(pace), ps_pace_give_up(pace)};
    ck_assert_int_eq(fds[0] + fds[1] + fds[2], 5 + 6 + 7);
    ck_assert_int_eq(ps_pace_give_up(pace), -1);
    ps_pace_free(&pace);
}
END_TEST

static const ps_check_case cases[] = {
    {&an_address_is_an_ipv4_one_or_64_bits_of_ipv6, 20},
    {&who_was_not_refused_does_not_wait, 20},
    {&after_the_burst_they_begin_in_turn_at_the_rate, 20},
    {&nobody_passes_those_who_wait, 20},
    {&too_many_that_wait_are_closed_and_told_of_now_and_then, 20},
    {&who_is_gone_leaves_his_place, 20},
    {&those_of_all_addresses_are_bounded_together, 20},
    {&it_is_forgotten_a_while_after_the_last_refusal, 20},
    {&a_full_table_forgets_the_longest_ago_and_nobody_who_waits, 20},
    {0},
};

int main(void)
{
    return ps_check_main("transport/server/pace", cases);
}
