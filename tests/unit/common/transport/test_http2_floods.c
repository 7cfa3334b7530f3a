/* A server's connection over the pipe layer, and a peer that writes frames by hand: what the table
 * of attacks says is cut off, and in bounded memory. */
#include "common/transport/call/http2.h"

#include "common/base/buf.h"
#include "common/transport/server/rpc_server.h"
#include "tests/lib/check_main.h"
#include "tests/lib/pipe.h"

#include <stdio.h>

enum { DATA = 0, HEADERS = 1, PRIORITY = 2, RST = 3, SETTINGS = 4, PING = 6, CONTINUATION = 9 };
enum { END_STREAM = 1, END_HEADERS = 4 };

static ps_loop *loop;
static ps_layer *far;
static ps_http2 *conn;
static ps_budget *budget;
static ps_http2_stats traffic;
static bool closed;
static unsigned requests, stall_ms = 60000;
static ps_status ended[4]; /* of calls, in their order */
static unsigned n_ended;
static char reason[256];

static void ended_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    (void)call, (void)message, (void)user;
    if (n_ended < 4)
        ended[n_ended++] = status;
}

static void request_cb(void *owner, ps_call *call)
{
    (void)owner;
    requests++;
    static const ps_call_events none = {.on_end = ended_cb};
    ps_call_set_events(call, &none, NULL);
}

static void closed_cb(void *owner, ps_http2 *c, ps_status status, const char *why)
{
    (void)owner, (void)c, (void)status;
    closed = true;
    snprintf(reason, sizeof reason, "%s", why);
}

static const ps_http2_events events = {.on_request = request_cb, .on_closed = closed_cb};

static void begin(void)
{
    ps_layer *near = NULL;
    ck_ok(ps_loop_create(&loop));
    ps_pipe_create(loop, NULL, NULL, &near, &far);
    ps_budget_create(1 << 20, &budget);
    closed = false;
    requests = n_ended = 0;
    ps_http2_options options = {
        .loop = loop,
        .layer = near,
        .server = true,
        .limits = {.message_bytes = 1000,
                   .connection_bytes = 1 << 20,
                   .call_bytes = 1 << 16,
                   .streams = 128,
                   .handshake_ms = 5000,
                   .keepalive_ms = 60000,
                   .keepalive_timeout_ms = 60000,
                   .stall_ms = stall_ms},
        .budget = budget,
        .stats = &traffic,
        .address = "pipe",
        .events = &events,
    };
    ck_ok(ps_http2_create(&options, &conn));
}

static void end(void)
{
    ps_http2_close(conn, PS_OK, "over");
    ck_assert(ps_loop_run_until(loop, &closed));
    ps_http2_unref(&conn);
    far->ops->close(far);
    ps_loop_free(&loop);
    ck_assert_uint_eq(ps_budget_used(budget), 0);
    ps_budget_unref(&budget);
}

static void put_frame(ps_buf *out, int type, int flags, uint32_t stream, const void *data,
                      size_t len)
{
    uint8_t head[9] = {(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len, (uint8_t)type,
                       (uint8_t)flags};
    ps_put_u32be(head + 5, stream);
    ps_buf_append(out, head, 9);
    ps_buf_append(out, data, len);
}

static void put_preface(ps_buf *out)
{
    ps_buf_puts(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    put_frame(out, SETTINGS, 0, 0, "", 0);
}

static void put_field(ps_buf *out, const char *name, const char *value)
{
    ps_buf_putc(out, 0); /* literal, not indexed: RFC 7541 section 6.2.2 */
    ps_buf_putc(out, (char)strlen(name));
    ps_buf_puts(out, name);
    ps_buf_putc(out, (char)strlen(value));
    ps_buf_puts(out, value);
}

static void put_request(ps_buf *block)
{
    put_field(block, ":method", "POST");
    put_field(block, ":scheme", "https");
    put_field(block, ":path", "/a.B/C");
    put_field(block, ":authority", "x");
    put_field(block, "te", "trailers");
    put_field(block, "content-type", "application/grpc");
}

static void timer_cb(void *user)
{
    *(bool *)user = true;
}

/* Gives the connection all bytes, reading what it answers; true when it closed. */
static bool deliver(ps_buf *bytes)
{
    size_t at = 0;
    uint8_t sink[16384];
    for (int idle = 0; idle < 20 && !closed;) {
        ps_slice slice = ps_slice_of(bytes->data + at, bytes->len - at);
        size_t sent = 0, got = 0;
        if (slice.len > 0 && far->ops->send(far, &slice, 1, &sent) == PS_OK)
            at += sent;
        idle += sent == 0;
        while (far->ops->recv(far, sink, sizeof sink, &got) == PS_OK)
            ;
        bool turn = false;
        ps_timer *timer = NULL;
        ps_timer_create(loop, timer_cb, &turn, &timer);
        ps_timer_start(timer, sent ? 0 : 2, 0);
        ck_assert(ps_loop_run_until(loop, &turn));
        ps_timer_free(&timer);
    }
    ps_buf_free(bytes);
    return closed;
}

static void flood(int type, const void *data, size_t len, unsigned honest, unsigned hostile)
{
    for (int round = 0; round < 2; round++) {
        ps_buf out = PS_BUF_EMPTY;
        begin();
        put_preface(&out);
        for (unsigned i = 0; i < (round ? hostile : honest); i++)
            put_frame(&out, type, 0, 0, data, len);
        ck_assert_msg(deliver(&out) == (round == 1), "type %d round %d: %s", type, round, reason);
        end();
    }
}

START_TEST(floods_of_control_frames_are_cut_off_and_a_few_are_not)
{
    flood(PING, "12345678", 8, 90, 3000);
    flood(SETTINGS, "", 0, 90, 3000);
}
END_TEST

static void put_resets(ps_buf *out, unsigned n)
{
    ps_buf block = PS_BUF_EMPTY;
    put_request(&block);
    put_preface(out);
    for (unsigned i = 0; i < n; i++) {
        put_frame(out, HEADERS, END_HEADERS, 2 * i + 1, block.data, block.len);
        put_frame(out, RST, 0, 2 * i + 1, "\0\0\0\x08", 4);
    }
    ps_buf_free(&block);
}

START_TEST(rapid_resets_are_cut_off)
{
    ps_buf out = PS_BUF_EMPTY;
    begin();
    put_resets(&out, 50);
    ck_assert(!deliver(&out));
    ck_assert_uint_eq(requests, 50);
    end();
    begin();
    put_resets(&out, 1000);
    ck_assert(deliver(&out));
    ck_assert_uint_le(requests, 150);
    end();
}
END_TEST

START_TEST(endless_header_blocks_are_cut_off)
{
    ps_buf out = PS_BUF_EMPTY, block = PS_BUF_EMPTY;
    begin();
    put_request(&block);
    put_preface(&out);
    put_frame(&out, HEADERS, 0, 1, block.data, block.len);
    for (int i = 0; i < 100; i++)
        put_frame(&out, CONTINUATION, 0, 1, "", 0);
    ck_assert(deliver(&out));
    ck_assert_uint_eq(requests, 0);
    end();
    begin();
    put_preface(&out);
    for (int i = 0; i < 5000; i++)
        put_field(&block, "x-some-name", "and a value of some length");
    put_frame(&out, HEADERS, END_HEADERS, 1, block.data, block.len);
    ck_assert(deliver(&out));
    ck_assert_uint_eq(requests, 0);
    ps_buf_free(&block);
    end();
}
END_TEST

START_TEST(what_is_no_http2_is_closed)
{
    ps_buf out = PS_BUF_EMPTY;
    begin();
    ps_buf_puts(&out, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    ck_assert(deliver(&out));
    ck_assert_str_eq(reason, "not an HTTP/2 client");
    end();
}
END_TEST

START_TEST(calls_over_the_limit_of_streams_are_refused)
{
    ps_buf out = PS_BUF_EMPTY, block = PS_BUF_EMPTY;
    begin();
    put_request(&block);
    put_preface(&out);
    for (unsigned i = 0; i < 128; i++)
        put_frame(&out, HEADERS, END_HEADERS, 2 * i + 1, block.data, block.len);
    ck_assert(!deliver(&out));
    ck_assert_uint_eq(requests, 128);
    put_frame(&out, HEADERS, END_HEADERS, 2 * 128 + 1, block.data, block.len);
    (void)deliver(&out);
    ck_assert_uint_eq(requests, 128);
    ps_buf_free(&block);
    end();
}
END_TEST

/* For ms, a byte of a message now and then. */
static void trickle(uint32_t stream, unsigned ms)
{
    uint64_t until = ps_clock_ms(&ps_clock_system) + ms;
    while (ps_clock_ms(&ps_clock_system) < until) {
        ps_buf out = PS_BUF_EMPTY;
        put_frame(&out, DATA, 0, stream, "x", 1);
        ck_assert(!deliver(&out));
    }
}

START_TEST(a_message_that_is_begun_and_not_finished_gives_its_memory_back)
{
    static const uint8_t prefix[] = {0, 0, 0, 3, 0}; /* of 768 bytes */
    ps_buf out = PS_BUF_EMPTY, block = PS_BUF_EMPTY;
    stall_ms = 500;
    begin();
    put_request(&block);
    put_preface(&out);
    for (unsigned i = 0; i < 3; i++) {
        put_frame(&out, HEADERS, END_HEADERS, 2 * i + 1, block.data, block.len);
        put_frame(&out, DATA, 0, 2 * i + 1, prefix, sizeof prefix);
    }
    ck_assert(!deliver(&out));
    ck_assert_uint_ge(ps_budget_used(budget), 3 * 768);
    trickle(5, 1500);
    ck_assert_uint_eq(n_ended, 2); /* not the slow one, nor the connection */
    ck_assert_int_eq(ended[0], PS_UNAVAILABLE);
    ck_assert_int_eq(ended[1], PS_UNAVAILABLE);
    ck_assert_uint_ge(ps_budget_used(budget), 768);
    ck_assert_uint_lt(ps_budget_used(budget), 2 * 768);
    ps_buf_free(&block);
    end();
    stall_ms = 60000;
}
END_TEST

static const ps_check_case cases[] = {
    {&a_message_that_is_begun_and_not_finished_gives_its_memory_back, 30},
    {&floods_of_control_frames_are_cut_off_and_a_few_are_not, 30},
    {&rapid_resets_are_cut_off, 30},
    {&endless_header_blocks_are_cut_off, 30},
    {&what_is_no_http2_is_closed, 30},
    {&calls_over_the_limit_of_streams_are_refused, 30},
    {0},
};

int main(void)
{
    return ps_check_main("transport/http2_floods", cases);
}
