/* Header values of gRPC, backoff and flood points: the small pure parts. */
#include "common/transport/call/grpc_text.h"

#include "common/transport/call/floods.h"
#include "common/transport/channel/backoff.h"
#include "tests/lib/check_main.h"

static const char *encoded(const char *text)
{
    static ps_buf out;
    ps_buf_clear(&out);
    ps_grpc_percent_encode(text, &out);
    return ps_buf_cstr(&out);
}

static const char *decoded(const char *text)
{
    static ps_buf out;
    ps_buf_clear(&out);
    ps_grpc_percent_decode(ps_slice_str(text), &out);
    return ps_buf_cstr(&out);
}

START_TEST(messages_are_percent_encoded_as_the_specification_has_it)
{
    ck_assert_str_eq(encoded("plain text, 1+1=2"), "plain text, 1+1=2");
    ck_assert_str_eq(encoded("100%"), "100%25");
    ck_assert_str_eq(encoded("gr\xc3\xb6\xc3\x9f"
                             "e\n"),
                     "gr%C3%B6%C3%9Fe%0A");
    ck_assert_str_eq(decoded("gr%C3%B6%c3%9fe"), "gr\xc3\xb6\xc3\x9f"
                                                 "e");
    ck_assert_str_eq(decoded("50% %2 %zz %"), "50% %2 %zz %"); /* no escapes: as they are */
    ck_assert_str_eq(decoded("a%0Ab%1b["), "a?b?[");           /* cannot forge a line */
}
END_TEST

START_TEST(timeouts_are_read_and_written)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } rows[] = {{"1n", 1},
                {"250u", 250000},
                {"100m", 100000000},
                {"5S", 5000000000},
                {"2M", 120000000000},
                {"1H", 3600000000000},
                {"99999999S", 99999999000000000}};
    uint64_t ns = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ck_ok(ps_grpc_timeout_parse(ps_slice_str(rows[i].text), &ns));
        ck_assert_uint_eq(ns, rows[i].ns);
    }
    static const char *const bad[] = {"",           "m",   "1",    "100", "1x",
                                      "123456789m", "-1m", "1.5S", " 1m"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(ps_grpc_timeout_parse(ps_slice_str(bad[i]), &ns), PS_INVALID_ARGUMENT);
    static const uint64_t values[] = {1, 99999999, 100000000, 123456789012, UINT64_MAX / 8};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[16];
        ps_grpc_timeout_format(values[i], text);
        ck_ok(ps_grpc_timeout_parse(ps_slice_str(text), &ns));
        ck_assert_uint_ge(ns, values[i]); /* never shorter, and not much longer */
        ck_assert_uint_le(ns - values[i], values[i] / 1000);
    }
}
END_TEST

START_TEST(backoff_doubles_to_its_end_with_jitter)
{
    ps_backoff b;
    unsigned distinct = 0, last = 0;
    ps_backoff_init(&b, 100, 1000, 7);
    static const unsigned steps[] = {100, 200, 400, 800, 1000, 1000, 1000};
    for (size_t i = 0; i < 7; i++) {
        unsigned ms = ps_backoff_next(&b);
        ck_assert_uint_ge(ms, steps[i] / 2);
        ck_assert_uint_le(ms, steps[i]);
        distinct += i >= 4 && ms != last;
        last = ms;
    }
    ck_assert_uint_ge(distinct, 2);
    ps_backoff_reset(&b);
    ck_assert_uint_le(ps_backoff_next(&b), 100);
}
END_TEST

START_TEST(a_flood_is_noticed_and_a_busy_peer_is_not)
{
    ps_floods f;
    ps_floods_init(&f, 0);
    unsigned pings = 0;
    while (ps_floods_count(&f, PS_FLOOD_PING, 0))
        ck_assert_uint_lt(++pings, 1001);
    ck_assert_uint_eq(pings, 1000);
    ps_floods_init(&f, 0);
    for (uint64_t i = 0; i < 100000; i++) /* 50 a second */
        ck_assert(ps_floods_count(&f, PS_FLOOD_PING, i * 20000000));
    ps_floods_init(&f, 0);
    for (int i = 0; i < 100000; i++) { /* updates that answer what we send */
        ps_floods_earn(&f);
        ck_assert(ps_floods_count(&f, PS_FLOOD_WINDOW_UPDATE, 0));
        ck_assert(ps_floods_count(&f, PS_FLOOD_WINDOW_UPDATE, 0));
    }
}
END_TEST

static const ps_check_case cases[] = {
    {&messages_are_percent_encoded_as_the_specification_has_it},
    {&timeouts_are_read_and_written},
    {&backoff_doubles_to_its_end_with_jitter},
    {&a_flood_is_noticed_and_a_busy_peer_is_not},
    {0},
};

int main(void)
{
    return ps_check_main("transport/grpc_text", cases);
}
