/* Refusals that are held back because their peer does not wait as it was told, over mTLS on
 * loopback. The account is the test's: it refuses calls, and says for how long. */
#include "tests/lib/check_main.h"
#include "tests/lib/echo_rig.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { AGAIN_MS = 60000, LONG_MS = 60000, PIECE = 256 << 10, PIECES = 16 };

typedef struct refusing {
    ps_account head;
    _Atomic uint64_t hold_ms, bytes, bytes_most, calls, asked;
    atomic_bool admits;
} refusing;

static echo_rig rig;
static refusing account;
static uint8_t filler[PIECE];

static _Atomic uint64_t *use_of(ps_account_use use)
{
    static _Atomic uint64_t connections;
    return use == PS_ACCOUNT_BYTES   ? &account.bytes
           : use == PS_ACCOUNT_CALLS ? &account.calls
                                     : &connections;
}

static void charge(ps_account *head, ps_account_use use, uint64_t n)
{
    (void)head;
    *use_of(use) += n;
}

static void give(ps_account *head, ps_account_use use, uint64_t n)
{
    (void)head;
    *use_of(use) -= n;
}

static ps_status take(ps_account *head, ps_account_use use, uint64_t n)
{
    if (use == PS_ACCOUNT_CALLS && !account.admits)
        return ps_fail_retry(PS_RESOURCE_EXHAUSTED, AGAIN_MS, "too many");
    charge(head, use, n);
    return PS_OK;
}

static uint64_t left(const ps_account *head, ps_account_use use)
{
    (void)head, (void)use;
    return account.bytes < account.bytes_most ? account.bytes_most - account.bytes : 0;
}

static uint64_t hold_ms(ps_account *head, uint64_t retry_ms)
{
    (void)head;
    ck_assert_uint_eq(retry_ms, AGAIN_MS);
    account.asked++;
    return account.hold_ms;
}

static const ps_account_ops ops = {
    .take = take, .charge = charge, .give = give, .left = left, .hold_ms = hold_ms};

static ps_account *account_of(void *user, const ps_identity *peer)
{
    (void)user, (void)peer;
    return &account.head;
}

static void open_rig_with(uint64_t hold, const ps_rpc_limits *limits)
{
    memset(&rig, 0, sizeof rig);
    account = (refusing){.head.ops = &ops, .hold_ms = hold, .bytes_most = 1u << 20};
    rig.account = account_of;
    echo_rig_open(&rig, limits);
    echo_rig_connect(&rig, NULL);
}

static void open_rig(uint64_t hold)
{
    open_rig_with(hold, NULL);
}

static void close_rig(void)
{
    echo_rig_close(&rig);
    ck_assert_uint_eq(account.bytes, 0);
    ck_assert_uint_eq(account.calls, 0);
}

/* A call that brings a message; its end is not waited for. */
static void ask(echo_call *c, unsigned deadline_ms)
{
    echo_start(&rig, c, ECHO_UPLOAD,
               &(ps_call_options){.wait_for_ready = true, .deadline_ms = deadline_ms});
    Psd__Test__V1__Piece piece = PSD__TEST__V1__PIECE__INIT;
    ps_call_send(c->call, &piece.base, NULL);
}

static void wait_until_held(const echo_call *c)
{
    for (int i = 0; i < 1000 && account.bytes == 0; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_gt(account.bytes, 0); /* what is kept of it is counted */
    ck_assert_uint_lt(account.bytes, 64u << 10);
    ck_assert(!c->done);
}

static void ask_and_wait_until_held(echo_call *c)
{
    ask(c, 0);
    wait_until_held(c);
}

static void wait_given_back(void)
{
    for (int i = 0; i < 1000 && account.bytes > 0; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_eq(account.bytes, 0);
}

/* It was told to wait so long. */
static void expect_refused(echo_call *c, int least_ms, int most_ms)
{
    echo_wait(&rig, c);
    ck_assert_int_eq(c->status, PS_RESOURCE_EXHAUSTED);
    ck_assert_str_eq(c->message, "too many");
    ck_assert_int_ge(ps_call_retry_ms(c->call), least_ms);
    ck_assert_int_le(ps_call_retry_ms(c->call), most_ms);
    ck_assert_uint_eq(account.asked, 1);
    echo_clear(c);
}

START_TEST(who_has_waited_is_told_at_once)
{
    open_rig(0);
    echo_call c = {0};
    ask(&c, 0);
    expect_refused(&c, AGAIN_MS, AGAIN_MS);
    close_rig();
}
END_TEST

START_TEST(who_has_not_is_told_later_and_then_has_less_to_wait)
{
    enum { HOLD_MS = 150 };
    open_rig(HOLD_MS);
    uint64_t begin = ps_clock_ms(&ps_clock_system);
    echo_call c = {0};
    ask(&c, 0);
    expect_refused(&c, AGAIN_MS - HOLD_MS, AGAIN_MS - HOLD_MS);
    ck_assert_uint_ge(ps_clock_ms(&ps_clock_system) - begin, HOLD_MS);
    wait_given_back();
    close_rig();
}
END_TEST

START_TEST(who_holds_all_it_may_is_told_at_once)
{
    open_rig(LONG_MS);
    account.bytes_most = 100;
    echo_call c = {0};
    ask(&c, 0);
    expect_refused(&c, AGAIN_MS, AGAIN_MS);
    close_rig();
}
END_TEST

START_TEST(it_hears_why_before_its_deadline)
{
    enum { DEADLINE_MS = 4000 };
    open_rig(LONG_MS);
    echo_call c = {0};
    ask(&c, DEADLINE_MS);
    expect_refused(&c, AGAIN_MS - DEADLINE_MS / 2, AGAIN_MS - 1);
    wait_given_back();
    close_rig();
}
END_TEST

START_TEST(one_that_goes_away_gives_all_back)
{
    open_rig(LONG_MS);
    echo_call c = {0};
    ask_and_wait_until_held(&c);
    ps_call_cancel(c.call);
    echo_wait(&rig, &c);
    ck_assert_int_eq(c.status, PS_CANCELLED);
    wait_given_back();
    echo_clear(&c);
    ask_and_wait_until_held(&c);
    ps_channel_free(&rig.channel); /* with its connection */
    echo_wait(&rig, &c);
    wait_given_back();
    echo_clear(&c);
    close_rig();
}
END_TEST

static ps_rpc_stats stats(void)
{
    ps_rpc_stats s;
    ps_rpc_server_stats(rig.server, &s);
    return s;
}

static void send_pieces(echo_call *c)
{
    for (unsigned i = 0; i < PIECES; i++)
        echo_send(c, i, "", ps_slice_of(filler, sizeof filler));
}

/* How many bytes come of a call that is held back and has more to bring, at once. */
static uint64_t brought(void)
{
    echo_call c = {0};
    uint64_t before = stats().bytes_in;
    ask(&c, 0);
    send_pieces(&c);
    wait_until_held(&c);
    uint64_t held = account.bytes;
    for (int i = 0; i < 1000 && stats().bytes_in < before + (12u << 10); i++)
        echo_run_ms(&rig, 10);
    echo_run_ms(&rig, 50);
    uint64_t bytes = stats().bytes_in - before;
    ck_assert_uint_eq(account.bytes, held); /* nothing of them is kept */
    ps_call_cancel(c.call);
    echo_wait(&rig, &c);
    echo_clear(&c);
    wait_given_back();
    return bytes;
}

/* Of one that nobody reads no more than its first window comes; and that is a small one while they
 * are held back, of which one that is admitted notices nothing. */
START_TEST(little_of_it_comes_and_nothing_is_kept)
{
    enum { LITTLE = 64 << 10, FIRST_WINDOW = 1 << 20 };
    open_rig(LONG_MS);
    uint64_t bytes = brought();
    for (int i = 0; i < 100 && bytes > LITTLE; i++) {
        ck_assert_uint_le(bytes, FIRST_WINDOW + LITTLE);
        bytes = brought();
    }
    ck_assert_uint_le(bytes, LITTLE);
    ck_assert_uint_eq(stats().messages_in, 0);
    account.admits = true;
    account.bytes_most = UINT64_MAX;
    echo_call c = {0};
    ask(&c, 0);
    send_pieces(&c);
    ps_call_half_close(c.call);
    echo_wait(&rig, &c);
    ck_assert_msg(c.status == PS_OK, "%s", c.message);
    ck_assert_uint_eq(c.sum->bytes, (uint64_t)PIECES * PIECE);
    echo_clear(&c);
    wait_given_back();
    account.admits = false;
    for (int i = 0; i < 10 && bytes <= LITTLE; i++) { /* after a while it is a whole one again */
        echo_run_ms(&rig, 2500);
        bytes = brought();
    }
    ck_assert_uint_gt(bytes, LITTLE);
    close_rig();
}
END_TEST

/* Limits of which a window is as large as there are: it is not too large for them once the first
 * one is again what it was. */
START_TEST(a_large_window_outlives_the_small_ones)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.call_bytes = 4ull << 30;
    limits.connection_bytes = limits.memory_bytes = 16ull << 30;
    open_rig_with(LONG_MS, &limits);
    echo_call held = {0}, c = {0};
    for (int i = 0; i < 2; i++) { /* the second begins with a small window */
        ask_and_wait_until_held(&held);
        echo_run_ms(&rig, 100);
        ps_call_cancel(held.call);
        echo_wait(&rig, &held);
        echo_clear(&held);
        wait_given_back();
    }
    account.admits = true;
    account.bytes_most = UINT64_MAX;
    ask(&c, 0);
    for (int i = 0; i < 1000 && stats().messages_in == 0; i++)
        echo_run_ms(&rig, 10);
    echo_run_ms(&rig, 3000); /* until after the small ones */
    ck_assert_msg(!c.done, "%s", c.message);
    send_pieces(&c);
    ps_call_half_close(c.call);
    echo_wait(&rig, &c);
    ck_assert_msg(c.status == PS_OK, "%s", c.message);
    echo_clear(&c);
    close_rig();
}
END_TEST

static void *stop(void *user)
{
    (void)user;
    ps_rpc_server_stop(rig.server, LONG_MS);
    return NULL;
}

START_TEST(a_server_that_stops_tells_it_and_ends)
{
    open_rig(LONG_MS);
    echo_call c = {0};
    ask_and_wait_until_held(&c);
    uint64_t begin = ps_clock_ms(&ps_clock_system);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop, NULL), 0);
    expect_refused(&c, 1, AGAIN_MS);
    ps_channel_free(&rig.channel);
    echo_run_ms(&rig, 10);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_lt(ps_clock_ms(&ps_clock_system) - begin, LONG_MS / 2);
    close_rig();
}
END_TEST

static const ps_check_case tests[] = {
    {&who_has_waited_is_told_at_once, 60},
    {&who_has_not_is_told_later_and_then_has_less_to_wait, 60},
    {&who_holds_all_it_may_is_told_at_once, 60},
    {&it_hears_why_before_its_deadline, 60},
    {&one_that_goes_away_gives_all_back, 60},
    {&little_of_it_comes_and_nothing_is_kept, 60},
    {&a_large_window_outlives_the_small_ones, 60},
    {&a_server_that_stops_tells_it_and_ends, 60},
    {0},
};

int main(void)
{
    return ps_check_main("common/transport/rpc_held_back", tests);
}
