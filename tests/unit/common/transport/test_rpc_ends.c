/* How calls end when they do not simply succeed: status, deadlines, cancellation, limits, unknown
 * methods, refusals; over mTLS on loopback. */
#include "tests/lib/check_main.h"
#include "tests/lib/echo_rig.h"

#include "common/transport/call/http2_internal.h"

#include <poll.h>

#define MIB (1u << 20)

static echo_rig rig;

static void open_rig(const ps_rpc_limits *limits)
{
    echo_rig_open(&rig, limits);
    echo_rig_connect(&rig, NULL);
}

static void await_ended(ps_status status, unsigned n)
{
    for (int i = 0; i < 200 && rig.echo.ended[status] < n; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_ge(rig.echo.ended[status], n);
}

static Psd__Test__V1__Piece piece(uint64_t number, const char *text)
{
    Psd__Test__V1__Piece p = PSD__TEST__V1__PIECE__INIT;
    p.number = number;
    p.text = (char *)(uintptr_t)text;
    return p;
}

START_TEST(a_status_arrives_with_its_text_in_any_script)
{
    open_rig(NULL);
    Psd__Test__V1__Piece request = piece(1, "tensor \"größe\" 100%: 不可 \x01");
    request.code = 5;
    ck_assert_int_eq(echo_unary(&rig, &request, NULL, NULL), PS_NOT_FOUND);
    ck_assert_str_eq(ps_error_message(), "tensor \"größe\" 100%: 不可 ?");
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_deadline_ends_the_call_on_both_sides)
{
    open_rig(NULL);
    Psd__Test__V1__Piece request = piece(1, "");
    request.delay_ms = 5000;
    ps_call_options options = {.deadline_ms = 100};
    Psd__Test__V1__Piece first = piece(0, "");
    ck_ok(echo_unary(&rig, &first, NULL, NULL)); /* connected */
    uint64_t begin = ps_clock_ms(&ps_clock_system);
    ck_assert_int_eq(echo_unary(&rig, &request, &options, NULL), PS_DEADLINE_EXCEEDED);
    ck_assert_uint_lt(ps_clock_ms(&ps_clock_system) - begin, 2000);
    for (int i = 0;
         i < 200 && !(rig.echo.ended[PS_DEADLINE_EXCEEDED] + rig.echo.ended[PS_CANCELLED]); i++)
        echo_run_ms(&rig, 10);
    /* whichever clock was first: the server's own, or the client's reset */
    ck_assert_uint_eq(rig.echo.ended[PS_DEADLINE_EXCEEDED] + rig.echo.ended[PS_CANCELLED], 1);
    echo_rig_close(&rig);
}
END_TEST

/* The client's own clock does not end these calls: what comes is what the server says. */
static void start_without_clock(echo_call *c, const char *path, unsigned deadline_ms)
{
    *c = (echo_call){0};
    echo_start(&rig, c, path, &(ps_call_options){.deadline_ms = deadline_ms});
    c->call->deadline_ns = PS_NEVER;
}

START_TEST(a_stream_that_has_begun_ends_with_the_status_of_its_deadline)
{
    open_rig(NULL);
    Psd__Test__V1__Piece first = piece(0, "");
    ck_ok(echo_unary(&rig, &first, NULL, NULL)); /* connected */
    echo_call c;
    start_without_clock(&c, ECHO_TALK, 300);
    echo_send(&c, 0, "hello", (ps_slice){0});
    echo_wait(&rig, &c);
    ck_assert_uint_eq(c.messages, 1);
    ck_assert_msg(c.status == PS_DEADLINE_EXCEEDED, "%s", c.message);
    await_ended(PS_DEADLINE_EXCEEDED, 1);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

/* What they have queued does not fit into the socket when their time is up. By then each must have
 * had its first message, which makes its window a large one: to a client that takes nothing no
 * status goes, the call is reset. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { THEIR_TIME_MS = 2500 };
#else
enum { THEIR_TIME_MS = 400 };
#endif

START_TEST(so_do_streams_that_wait_for_their_turn)
{
    enum { CALLS = 6 };
    echo_rig_open(&rig, NULL);
    /* Windows are larger than what the socket takes, however much of it is read at first. */
    echo_rig_connect(&rig, &(ps_channel_options){.window_bytes = 512u * MIB});
    Psd__Test__V1__Piece first = piece(0, "");
    ck_ok(echo_unary(&rig, &first, NULL, NULL));
    echo_call c[CALLS];
    for (int i = 0; i < CALLS; i++) {
        start_without_clock(&c[i], ECHO_DOWNLOAD, THEIR_TIME_MS);
        Psd__Test__V1__Ask ask = PSD__TEST__V1__ASK__INIT;
        ask.count = 1000;
        ask.size = MIB;
        ps_call_send(c[i].call, &ask.base, NULL);
        ps_call_half_close(c[i].call);
    }
    for (int i = 0; i < CALLS; i++)
        while (c[i].messages == 0 && !c[i].done) /* until then its window is a small one */
            echo_run_ms(&rig, 1);
    for (int i = 0; i < 2000 && rig.echo.ended[PS_DEADLINE_EXCEEDED] < CALLS; i++)
        poll(NULL, 0, 10); /* the client's loop does not run */
    for (int i = 0; i < CALLS; i++) {
        echo_wait(&rig, &c[i]);
        ck_assert_msg(c[i].status == PS_DEADLINE_EXCEEDED, "%d: %s", i, c[i].message);
        echo_clear(&c[i]);
    }
    ck_assert_str_eq(rig.states, "up;");
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_client_cancels_and_the_handler_hears_of_it)
{
    open_rig(NULL);
    echo_call c = {0};
    echo_start(&rig, &c, ECHO_TALK, NULL);
    echo_send(&c, 0, "hello", (ps_slice){0});
    while (c.messages == 0)
        echo_run_ms(&rig, 5);
    ps_call_cancel(c.call);
    ck_assert(!c.done); /* never from inside */
    echo_wait(&rig, &c);
    ck_assert_int_eq(c.status, PS_CANCELLED);
    await_ended(PS_CANCELLED, 1);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_server_ends_a_stream_while_the_client_still_sends)
{
    open_rig(NULL);
    echo_call c = {0};
    echo_start(&rig, &c, ECHO_TALK, NULL);
    Psd__Test__V1__Piece last = piece(1, "enough");
    last.code = 10;
    ps_call_send(c.call, &last.base, NULL);
    echo_wait(&rig, &c);
    ck_assert_int_eq(c.status, PS_ABORTED);
    ck_assert_str_eq(c.message, "enough");
    await_ended(PS_OK, 1);
    echo_clear(&c);
    Psd__Test__V1__Piece next = piece(2, "");
    ck_ok(echo_unary(&rig, &next, NULL, NULL)); /* the connection is good */
    ck_assert_str_eq(rig.states, "up;");
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_message_over_the_limit_is_refused_before_it_is_held)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.message_bytes = 100000;
    open_rig(&limits);
    static uint8_t bytes[200000];
    echo_call c = {0};
    echo_start(&rig, &c, ECHO_UPLOAD, NULL);
    echo_send(&c, 0, "", ps_slice_of(bytes, sizeof bytes));
    ps_call_half_close(c.call);
    echo_wait(&rig, &c);
    ck_assert_int_eq(c.status, PS_RESOURCE_EXHAUSTED);
    ck_assert_ptr_nonnull(strstr(c.message, "over the limit of 100000"));
    ps_rpc_stats stats;
    ps_rpc_server_stats(rig.server, &stats);
    ck_assert_uint_eq(stats.memory_used, 0);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(an_answer_over_the_limit_is_refused_by_the_client)
{
    echo_rig_open(&rig, NULL);
    ps_channel_options o = {.message_bytes = 50000};
    echo_rig_connect(&rig, &o);
    echo_call c = {0};
    Psd__Test__V1__Ask ask = PSD__TEST__V1__ASK__INIT;
    ask.count = 3;
    ask.size = 60000;
    echo_start(&rig, &c, ECHO_DOWNLOAD, NULL);
    ps_call_send(c.call, &ask.base, NULL);
    ps_call_half_close(c.call);
    echo_wait(&rig, &c);
    ck_assert_int_eq(c.status, PS_RESOURCE_EXHAUSTED);
    ck_assert_uint_eq(c.messages, 0);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(an_unknown_method_is_unimplemented)
{
    open_rig(NULL);
    const char *paths[] = {"/psd.test.v1.Echo/Nothing", "/psd.v1.None/Unary", "/", "/a/b/c"};
    for (int i = 0; i < 4; i++) {
        echo_call c = {0};
        echo_start(&rig, &c, paths[i], NULL);
        ps_call_half_close(c.call);
        echo_wait(&rig, &c);
        ck_assert_int_eq(c.status, PS_UNIMPLEMENTED);
        ck_assert_ptr_nonnull(strstr(c.message, paths[i]));
        echo_clear(&c);
    }
    echo_rig_close(&rig);
}
END_TEST

static ps_status only_unary(void *user, const ps_identity *peer, const char *path)
{
    (void)user;
    if (strcmp(path, ECHO_UNARY) == 0)
        return PS_OK;
    return ps_fail(PS_PERMISSION_DENIED, "role %s may not call %s", ps_role_name(peer->role), path);
}

START_TEST(who_may_not_call_is_told_so_and_so_is_the_audit)
{
    rig.authorise = only_unary;
    open_rig(NULL);
    echo_call c = {0};
    echo_start(&rig, &c, ECHO_TALK, NULL);
    echo_send(&c, 0, "hello", (ps_slice){0});
    echo_wait(&rig, &c);
    ck_assert_int_eq(c.status, PS_PERMISSION_DENIED);
    ck_assert_str_eq(c.message, "role worker may not call " ECHO_TALK);
    char refused[PS_ERROR_MAX];
    echo_rig_refused(&rig, refused);
    ck_assert_str_eq(refused, ECHO_TALK ": role worker may not call " ECHO_TALK);
    ck_assert_uint_eq(rig.echo.messages, 0);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(bytes_that_are_no_message_are_an_invalid_argument)
{
    open_rig(NULL);
    echo_call c = {0};
    echo_start(&rig, &c, ECHO_DOWNLOAD, NULL);
    /* Ask.count is a varint; field 1 as bytes of a length that is not there */
    Psd__Test__V1__Piece wrong = piece(0, "");
    ProtobufCMessageUnknownField field = {.tag = 1,
                                          .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
                                          .len = 2,
                                          .data = (uint8_t *)(uintptr_t) "\x7fx"};
    wrong.base.n_unknown_fields = 1;
    wrong.base.unknown_fields = &field;
    ps_call_send(c.call, &wrong.base, NULL);
    ps_call_half_close(c.call);
    echo_wait(&rig, &c);
    ck_assert_int_eq(c.status, PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(c.message, "psd.test.v1.Ask"));
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_unary_method_wants_exactly_one_message)
{
    open_rig(NULL);
    for (int n = 0; n <= 2; n += 2) {
        echo_call c = {0};
        echo_start(&rig, &c, ECHO_UNARY, NULL);
        for (int i = 0; i < n; i++)
            echo_send(&c, 0, "", (ps_slice){0});
        ps_call_half_close(c.call);
        echo_wait(&rig, &c);
        ck_assert_int_eq(c.status, PS_INVALID_ARGUMENT);
        echo_clear(&c);
    }
    echo_rig_close(&rig);
}
END_TEST

START_TEST(payloads_are_released_once_whatever_happens)
{
    /* sent, cancelled, ended: counted by the release */
    open_rig(NULL);
    static uint8_t bytes[300000];
    for (int way = 0; way < 3; way++) {
        echo_call c = {0};
        unsigned released = 0;
        echo_start(&rig, &c, ECHO_UPLOAD, NULL);
        for (int i = 0; i < 20; i++)
            echo_send_counted(&c, ps_slice_of(bytes, sizeof bytes), &released);
        if (way == 0)
            ps_call_half_close(c.call);
        if (way == 1)
            ps_call_cancel(c.call);
        if (way == 2) {
            echo_run_ms(&rig, 3);
            ps_call_cancel(c.call);
            echo_send_counted(&c, ps_slice_of(bytes, sizeof bytes), &released);
        }
        echo_wait(&rig, &c);
        unsigned expected = way == 2 ? 21 : 20;
        for (int i = 0; i < 500 && released < expected; i++)
            echo_run_ms(&rig, 10); /* a frame that was begun goes out first */
        ck_assert_int_eq(c.status, way == 0 ? PS_OK : PS_CANCELLED);
        ck_assert_uint_eq(released, expected);
        echo_clear(&c);
    }
    Psd__Test__V1__Piece next = piece(2, "");
    ck_ok(echo_unary(&rig, &next, NULL, NULL));
    ck_assert_str_eq(rig.states, "up;"); /* a frame that was cut would have ended it */
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_thousand_calls_at_once_are_all_answered)
{
    open_rig(NULL);
    static echo_call calls[1000];
    for (unsigned i = 0; i < 1000; i++) {
        echo_start(&rig, &calls[i], ECHO_UNARY, NULL);
        echo_send(&calls[i], i, "x", (ps_slice){0});
        ps_call_half_close(calls[i].call);
    }
    for (unsigned i = 0; i < 1000; i++) {
        echo_wait(&rig, &calls[i]);
        ck_assert_msg(calls[i].status == PS_OK, "%s", calls[i].message);
        ck_assert_uint_eq(calls[i].messages, 1);
        echo_clear(&calls[i]);
    }
    echo_rig_close(&rig);
}
END_TEST

static uint64_t memory_used(void)
{
    ps_rpc_stats s;
    ps_rpc_server_stats(rig.server, &s);
    return s.memory_used;
}

/* Admitted together, before any of them has queued anything. */
START_TEST(calls_of_one_connection_share_what_may_wait_for_it)
{
    enum { CALLS = 16, PIECES = 32, PIECE = 256 << 10 };
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.connection_bytes = 4 * MIB;
    limits.call_bytes = 4 * MIB;
    echo_rig_open(&rig, &limits);
    echo_rig_connect(&rig, NULL);
    static echo_call calls[CALLS];
    for (int i = 0; i < CALLS; i++) {
        calls[i] = (echo_call){0};
        Psd__Test__V1__Ask ask = PSD__TEST__V1__ASK__INIT;
        ask.count = PIECES;
        ask.size = PIECE;
        ask.delay_ms = 300;
        echo_start(&rig, &calls[i], ECHO_DOWNLOAD, NULL);
        ps_call_send(calls[i].call, &ask.base, NULL);
        ps_call_half_close(calls[i].call);
    }
    echo_run_ms(&rig, 100);
    uint64_t most = 0;
    /* The client's loop does not run: its socket fills, and is looked at a second longer. */
    int filled = 0;
    for (int i = 0; i < 3000 && filled < 100; i++) {
        poll(NULL, 0, 10);
        most = memory_used() > most ? memory_used() : most;
        filled += most >= MIB;
    }
    ck_assert_uint_ge(most, MIB);
    ck_assert_uint_le(most, 4 * MIB + 2 * PIECE);
    for (int i = 0; i < CALLS; i++) { /* and each gets its turn */
        echo_wait(&rig, &calls[i]);
        ck_assert_msg(calls[i].status == PS_OK, "%s", calls[i].message);
        ck_assert_uint_eq(calls[i].messages, PIECES);
        echo_clear(&calls[i]);
    }
    ck_assert_uint_eq(memory_used(), 0);
    echo_rig_close(&rig);
}
END_TEST

static const ps_check_case cases[] = {
    {&calls_of_one_connection_share_what_may_wait_for_it, 60},
    {&a_status_arrives_with_its_text_in_any_script, 30},
    {&a_deadline_ends_the_call_on_both_sides, 30},
    {&a_stream_that_has_begun_ends_with_the_status_of_its_deadline, 30},
    {&so_do_streams_that_wait_for_their_turn, 60},
    {&a_client_cancels_and_the_handler_hears_of_it, 30},
    {&a_server_ends_a_stream_while_the_client_still_sends, 30},
    {&a_message_over_the_limit_is_refused_before_it_is_held, 30},
    {&an_answer_over_the_limit_is_refused_by_the_client, 30},
    {&an_unknown_method_is_unimplemented, 30},
    {&who_may_not_call_is_told_so_and_so_is_the_audit, 30},
    {&bytes_that_are_no_message_are_an_invalid_argument, 30},
    {&a_unary_method_wants_exactly_one_message, 30},
    {&payloads_are_released_once_whatever_happens, 30},
    {&a_thousand_calls_at_once_are_all_answered, 60},
    {0},
};

int main(void)
{
    return ps_check_main("transport/rpc_ends", cases);
}
