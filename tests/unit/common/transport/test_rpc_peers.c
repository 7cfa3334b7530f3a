/* Peers that misbehave or go away: slow ones, silent ones, wrong ones; over loopback. */
#include "tests/lib/check_main.h"
#include "tests/lib/echo_rig.h"

#include "common/transport/channel/channel_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB (1u << 20)

static echo_rig rig;
static uint8_t mib[MIB];

static ps_rpc_stats stats(void)
{
    ps_rpc_stats s;
    ps_rpc_server_stats(rig.server, &s);
    return s;
}

static void start_download(echo_call *c, uint64_t count, uint32_t size)
{
    Psd__Test__V1__Ask ask = PSD__TEST__V1__ASK__INIT;
    ask.count = count;
    ask.size = size;
    echo_start(&rig, c, ECHO_DOWNLOAD, NULL);
    ps_call_send(c->call, &ask.base, NULL);
    ps_call_half_close(c->call);
}

static void upload_more(echo_call *c)
{
    uint64_t *sent = c->user;
    while (ps_call_writable(c->call)) {
        ++*sent;
        echo_send(c, *sent, "", ps_slice_of(mib, sizeof mib));
    }
}

/* Runs until *count has not changed for three times 300 ms, however slow the build and busy the
 * machine is; at most 20 s. */
static void run_until_still(const uint64_t *count)
{
    for (int i = 0, still = 0; i < 60 && still < 3; i++) {
        uint64_t before = *count;
        echo_run_ms(&rig, 300);
        still = before && *count == before ? still + 1 : 0;
    }
}

START_TEST(a_handler_that_never_releases_stops_its_client)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.call_bytes = 8 * MIB;
    echo_rig_open(&rig, &limits);
    echo_rig_connect(&rig, NULL);
    uint64_t sent = 0;
    echo_call c = {.on_writable = upload_more, .user = &sent};
    echo_start(&rig, &c, ECHO_UPLOAD, NULL);
    Psd__Test__V1__Piece first = PSD__TEST__V1__PIECE__INIT;
    first.hold = true;
    ps_call_send(c.call, &first.base, NULL);
    upload_more(&c);
    run_until_still(&sent);
    uint64_t before = sent;
    echo_run_ms(&rig, 300);
    ck_assert_uint_eq(sent, before); /* it stands still */
    ck_assert_uint_le(stats().memory_used, 10 * MIB);
    ck_assert_uint_ge(stats().memory_used, 6 * MIB);
    ck_assert(!c.done);
    /* and other calls of the same connection go on */
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    ps_call_cancel(c.call);
    echo_wait(&rig, &c);
    echo_clear(&c);
    for (int i = 0; i < 200 && stats().memory_used; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_eq(stats().memory_used, 0);
    echo_rig_close(&rig);
}
END_TEST

/* Each alone is more than a call's limit, and all together are more than the connection's. */
START_TEST(uploads_that_are_kept_to_their_end_all_come_to_it)
{
    enum { UPLOADS = 6, EACH = 7 };
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.call_bytes = 4 * MIB;
    limits.connection_bytes = 16 * MIB;
    rig.echo.keep = 8 * MIB;
    echo_rig_open(&rig, &limits);
    echo_rig_connect(&rig, NULL);
    echo_call c[UPLOADS] = {0};
    for (int i = 0; i < UPLOADS; i++) {
        echo_start(&rig, &c[i], ECHO_UPLOAD, &(ps_call_options){.deadline_ms = 20000});
        Psd__Test__V1__Piece first = PSD__TEST__V1__PIECE__INIT;
        first.hold = true;
        ps_call_send(c[i].call, &first.base, NULL);
    }
    for (int n = 0; n < EACH; n++) /* side by side */
        for (int i = 0; i < UPLOADS; i++)
            echo_send(&c[i], (uint64_t)n, "", ps_slice_of(mib, sizeof mib));
    for (int i = 0; i < UPLOADS; i++)
        ps_call_half_close(c[i].call);
    for (int i = 0; i < UPLOADS; i++) {
        echo_wait(&rig, &c[i]);
        ck_assert_msg(c[i].status == PS_OK, "%d: %s", i, c[i].message);
        ck_assert_uint_eq(c[i].sum->bytes, (uint64_t)EACH * sizeof mib);
        echo_clear(&c[i]);
    }
    for (int i = 0; i < 200 && stats().memory_used; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_eq(stats().memory_used, 0);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_client_that_does_not_release_slows_the_server)
{
    echo_rig_open(&rig, NULL);
    ps_channel_options o = {.window_bytes = 4 * MIB};
    echo_rig_connect(&rig, &o);
    echo_call c = {.keep = true};
    start_download(&c, 400, MIB);
    for (int i = 0; i < 200 && c.n_kept < 3; i++)
        echo_run_ms(&rig, 100);
    echo_run_ms(&rig, 500);
    ck_assert_uint_le(c.n_kept, 6);
    ck_assert_uint_ge(c.n_kept, 3);
    ck_assert_uint_le(rig.echo.sent, 20 * MIB); /* nor does it queue what nobody takes */
    c.keep = false;
    for (unsigned i = 0; i < c.n_kept; i++)
        ps_message_release(&c.kept[i]);
    c.n_kept = 0;
    echo_wait(&rig, &c);
    ck_assert_msg(c.status == PS_OK, "%s", c.message);
    ck_assert_uint_eq(c.messages, 400);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_client_that_never_reads_is_cut_off_in_time)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.stall_ms = 300;
    echo_rig_open(&rig, &limits);
    echo_rig_connect(&rig, NULL);
    echo_call c = {.keep = true};
    ps_channel_free(&rig.channel);
    ps_channel_options o = {.window_bytes = 2 * MIB};
    echo_rig_connect(&rig, &o);
    start_download(&c, 400, MIB);
    echo_wait(&rig, &c);
    ck_assert_int_ne(c.status, PS_OK);
    for (int i = 0; i < 100 && !rig.echo.ended[PS_UNAVAILABLE]; i++)
        echo_run_ms(&rig, 10);
    ck_assert_uint_eq(rig.echo.ended[PS_UNAVAILABLE], 1);
    ck_assert_uint_le(rig.echo.sent, 10 * MIB);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

/* The client's loop does not run at all: its socket fills. */
START_TEST(a_client_that_is_stopped_is_cut_off_in_time)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.stall_ms = 300;
    limits.keepalive_ms = 60000;
    echo_rig_open(&rig, &limits);
    ps_channel_options o = {.window_bytes = 64 * MIB};
    echo_rig_connect(&rig, &o);
    echo_call c = {0};
    start_download(&c, 1000, MIB);
    while (c.messages < 3)
        echo_run_ms(&rig, 1);
    for (int i = 0; i < 300 && stats().connections; i++)
        poll(NULL, 0, 10);
    ck_assert_uint_eq(stats().connections, 0);
    echo_wait(&rig, &c);
    ck_assert_int_eq(c.status, PS_UNAVAILABLE);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(memory_for_messages_is_bounded_and_over_it_is_worth_a_retry)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.memory_bytes = 6 * MIB;
    limits.connection_bytes = 64 * MIB;
    limits.call_bytes = 2 * MIB;
    echo_rig_open(&rig, &limits);
    echo_rig_connect(&rig, NULL);
    enum { N = 12 };
    static echo_call calls[N];
    unsigned refused = 0;
    for (int i = 0; i < N; i++) {
        calls[i] = (echo_call){0};
        echo_start(&rig, &calls[i], ECHO_UPLOAD, NULL);
        Psd__Test__V1__Piece first = PSD__TEST__V1__PIECE__INIT;
        first.hold = true;
        ps_call_send(calls[i].call, &first.base, NULL);
        echo_send(&calls[i], 1, "", ps_slice_of(mib, sizeof mib));
    }
    for (int i = 0; i < 50; i++) {
        echo_run_ms(&rig, 10);
        ck_assert_uint_le(stats().memory_used, limits.memory_bytes);
    }
    for (int i = 0; i < N; i++) {
        if (calls[i].done) {
            ck_assert_int_eq(calls[i].status, PS_RESOURCE_EXHAUSTED);
            refused++;
        }
        ps_call_cancel(calls[i].call);
        echo_wait(&rig, &calls[i]);
        echo_clear(&calls[i]);
    }
    ck_assert_uint_ge(refused, 6);
    echo_rig_close(&rig);
}
END_TEST

/* A connection's limit in messages of a few bytes is many times as much memory. */
START_TEST(small_messages_count_as_what_they_cost)
{
    enum { MESSAGES = 8000 };
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.message_bytes = 64 << 10;
    limits.connection_bytes = limits.call_bytes = MIB / 2;
    for (int kept = 0; kept < 2; kept++) {
        rig = (echo_rig){.echo.keep = kept ? MIB / 2 : 0};
        echo_rig_open(&rig, &limits);
        echo_rig_connect(&rig, NULL);
        echo_call c = {0};
        echo_start(&rig, &c, ECHO_UPLOAD, NULL);
        Psd__Test__V1__Piece small = PSD__TEST__V1__PIECE__INIT;
        small.hold = true;
        for (int i = 0; i < MESSAGES; i++)
            ps_call_send(c.call, &small.base, NULL);
        ps_call_half_close(c.call);
        echo_wait(&rig, &c);
        ck_assert_int_eq(c.status, PS_RESOURCE_EXHAUSTED);
        ck_assert_uint_le(rig.echo.messages, 4096); /* of which each takes 256 bytes at least */
        echo_clear(&c);
        for (int i = 0; i < 200 && stats().memory_used; i++)
            echo_run_ms(&rig, 10);
        ck_assert_uint_eq(stats().memory_used, 0);
        echo_rig_close(&rig);
    }
}
END_TEST

static void *stop_server(void *grace)
{
    ps_rpc_server_stop(rig.server, *(unsigned *)grace);
    return NULL;
}

START_TEST(a_stopping_server_lets_calls_end_and_takes_no_new_ones)
{
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, NULL);
    echo_call c = {0};
    echo_start_slow(&rig, &c, 400);
    while (stats().messages_in == 0) /* the call has begun */
        echo_run_ms(&rig, 5);
    unsigned grace = 5000;
    pthread_t stopper;
    uint64_t begin = ps_clock_ms(&ps_clock_system);
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_server, &grace), 0);
    echo_wait(&rig, &c);
    ck_assert_msg(c.status == PS_OK, "%s", c.message);
    pthread_join(stopper, NULL);
    ck_assert_uint_lt(ps_clock_ms(&ps_clock_system) - begin, 3000); /* not the whole grace */
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    echo_run_ms(&rig, 50);
    ck_assert_int_eq(echo_unary(&rig, &request, NULL, NULL), PS_UNAVAILABLE);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_call_that_outlives_the_grace_is_cut)
{
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, NULL);
    echo_call c = {0};
    echo_start(&rig, &c, ECHO_TALK, NULL);
    echo_send(&c, 0, "", (ps_slice){0});
    while (c.messages == 0)
        echo_run_ms(&rig, 5);
    unsigned grace = 100;
    pthread_t stopper;
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_server, &grace), 0);
    echo_wait(&rig, &c);
    pthread_join(stopper, NULL);
    ck_assert_int_eq(c.status, PS_UNAVAILABLE);
    ck_assert_uint_eq(rig.echo.ended[PS_UNAVAILABLE], 1);
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_channel_comes_back_when_its_server_does)
{
    echo_rig_open(&rig, NULL);
    ps_channel_options o = {.backoff_min_ms = 20, .backoff_max_ms = 50};
    echo_rig_connect(&rig, &o);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    rig.options.port = ps_rpc_server_port(rig.server);
    ps_rpc_server_free(&rig.server);
    ps_call_options wait = {.deadline_ms = 200, .wait_for_ready = true};
    echo_run_ms(&rig, 100);
    ck_assert_int_eq(echo_unary(&rig, &request, NULL, NULL), PS_UNAVAILABLE);
    ck_assert_msg(strstr(ps_error_message(), "refused"), "%s", ps_error_message());
    ck_assert_int_eq(echo_unary(&rig, &request, &wait, NULL), PS_DEADLINE_EXCEEDED);
    ck_ok(ps_rpc_server_create(&rig.options, &rig.server));
    ps_rpc_service service = ps_test_echo_service(&rig.echo);
    ps_rpc_server_add(rig.server, &service);
    ck_ok(ps_rpc_server_start(rig.server));
    wait.deadline_ms = 5000;
    ck_ok(echo_unary(&rig, &request, &wait, NULL));
    ck_assert_ptr_nonnull(strstr(rig.states, "up;down: "));
    echo_rig_close(&rig);
}
END_TEST

/* A connection has 2^30 streams, which a worker may use up in some days. */
START_TEST(a_connection_whose_streams_are_used_up_is_replaced)
{
    echo_rig_open(&rig, NULL);
    echo_rig_connect(&rig, NULL);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    nghttp2_session *session = rig.channel->current->conn->session;
    ck_assert_int_eq(nghttp2_session_set_next_stream_id(session, INT32_MAX), 0);
    ck_ok(echo_unary(&rig, &request, NULL, NULL)); /* the last one */
    ck_assert_int_eq(echo_unary(&rig, &request, NULL, NULL), PS_UNAVAILABLE);
    ps_call_options wait = {.deadline_ms = 5000, .wait_for_ready = true};
    ck_ok(echo_unary(&rig, &request, &wait, NULL));
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_taken_port_is_named)
{
    echo_rig_open(&rig, NULL);
    ps_rpc_server *second = NULL;
    rig.options.port = ps_rpc_server_port(rig.server);
    ck_ok(ps_rpc_server_create(&rig.options, &second));
    ck_assert_int_eq(ps_rpc_server_start(second), PS_UNAVAILABLE);
    char port[16];
    snprintf(port, sizeof port, "port %u", rig.options.port);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), port));
    ps_rpc_server_free(&second);
    echo_rig_close(&rig);
}
END_TEST

static int plain_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(ps_rpc_server_port(rig.server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Sends bytes and waits for the server to close; milliseconds that took. */
static unsigned close_after(const char *bytes, size_t len, const char *reason)
{
    int fd = plain_socket();
    uint64_t begin = ps_clock_ms(&ps_clock_system);
    ck_assert_int_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
    char buffer[256];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 5000) == 1 && recv(fd, buffer, sizeof buffer, 0) > 0)
        ;
    unsigned took = (unsigned)(ps_clock_ms(&ps_clock_system) - begin);
    close(fd);
    char refused[PS_ERROR_MAX] = "";
    for (int i = 0; i < 100 && !strstr(refused, reason); i++) {
        poll(NULL, 0, 10);
        echo_rig_refused(&rig, refused);
    }
    ck_assert_msg(strstr(refused, reason), "%s", refused);
    return took;
}

START_TEST(what_is_not_tls_is_closed_with_a_reason)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.handshake_ms = 300;
    echo_rig_open(&rig, &limits);
    static const char http[] = "GET / HTTP/1.1\r\nHost: psd\r\n\r\n";
    ck_assert_uint_lt(close_after(http, sizeof http - 1, "HTTP"), 2000);
    ck_assert_uint_lt(close_after("\x99\x88garbage garbage garbage", 25, "TLS"), 2000);
    unsigned took = close_after("", 0, "no TLS handshake within 300 ms"); /* half-open */
    ck_assert_uint_ge(took, 250);
    ck_assert_uint_lt(took, 2000);
    ck_assert_uint_eq(stats().connections, 0);
    ck_assert_uint_eq(stats().handshakes_refused, 3);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(a_silent_peer_is_noticed_by_keepalive)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.keepalive_ms = 200;
    limits.keepalive_timeout_ms = 200;
    echo_rig_open(&rig, &limits);
    echo_rig_connect(&rig, NULL);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    echo_run_ms(&rig, 700); /* it answers the PINGs */
    ck_assert_uint_eq(stats().connections, 1);
    for (int i = 0; i < 300 && stats().connections; i++)
        poll(NULL, 0, 10); /* its loop stands still: it does not */
    ck_assert_uint_eq(stats().connections, 0);
    echo_rig_close(&rig);
}
END_TEST

/* The answer is in its socket when it looks at the clock. */
START_TEST(a_loop_that_stood_still_hears_what_has_come_before_it_judges)
{
    echo_rig_open(&rig, NULL);
    ps_channel_options o = {.keepalive_ms = 300, .keepalive_timeout_ms = 300};
    echo_rig_connect(&rig, &o);
    Psd__Test__V1__Piece request = PSD__TEST__V1__PIECE__INIT;
    ck_ok(echo_unary(&rig, &request, NULL, NULL));
    echo_call c = {0};
    echo_start_slow(&rig, &c, 200);
    echo_run_ms(&rig, 20);
    ps_http2 *conn = rig.channel->current->conn;
    conn->pinged_ns = ps_http2_now(conn); /* as if it had asked just now */
    poll(NULL, 0, 1500);
    echo_wait(&rig, &c);
    ck_assert_msg(c.status == PS_OK, "%s", c.message);
    echo_run_ms(&rig, 50);
    ck_assert_str_eq(rig.states, "up;");
    echo_clear(&c);
    echo_rig_close(&rig);
}
END_TEST

START_TEST(connections_over_the_limit_are_closed)
{
    ps_rpc_limits limits = PS_RPC_LIMITS_DEFAULT;
    limits.connections = 2;
    echo_rig_open(&rig, &limits);
    int a = plain_socket(), b = plain_socket();
    for (int i = 0; i < 100 && stats().connections < 2; i++)
        poll(NULL, 0, 10);
    ck_assert_uint_lt(close_after("", 0, "too many connections"), 2000);
    close(a);
    close(b);
    echo_rig_close(&rig);
}
END_TEST

static const ps_check_case cases[] = {
    {&a_handler_that_never_releases_stops_its_client, 30},
    {&uploads_that_are_kept_to_their_end_all_come_to_it, 60},
    {&a_client_that_does_not_release_slows_the_server, 60},
    {&a_client_that_never_reads_is_cut_off_in_time, 30},
    {&a_client_that_is_stopped_is_cut_off_in_time, 30},
    {&memory_for_messages_is_bounded_and_over_it_is_worth_a_retry, 30},
    {&small_messages_count_as_what_they_cost, 30},
    {&a_stopping_server_lets_calls_end_and_takes_no_new_ones, 30},
    {&a_call_that_outlives_the_grace_is_cut, 30},
    {&a_channel_comes_back_when_its_server_does, 30},
    {&a_connection_whose_streams_are_used_up_is_replaced, 30},
    {&a_taken_port_is_named, 30},
    {&what_is_not_tls_is_closed_with_a_reason, 30},
    {&a_silent_peer_is_noticed_by_keepalive, 30},
    {&a_loop_that_stood_still_hears_what_has_come_before_it_judges, 30},
    {&connections_over_the_limit_are_closed, 30},
    {0},
};

int main(void)
{
    return ps_check_main("transport/rpc_peers", cases);
}
