/* Happy path: the layer's handshake; then, whenever it is readable, bytes are read (into the place
 * of the message they belong to, when that is known) and given to nghttp2, whose callbacks feed the
 * calls; whenever a call has something to send, a write is deferred to the end of this round.
 *
 * Failure: every failure ends in ps_http2_close, which defers: nghttp2 and the layers are never
 * freed under their own callbacks. What the peer said last (an alert with the reason of its
 * refusal) is read before a failed write is reported. */
#include "common/transport/call/http2.h"

#include "common/transport/call/http2_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/sm.h"

#include <stdio.h>

#define READ_PIECE    16384u     /* one TLS record */
#define READ_PER_TURN (2u << 20) /* then other connections of the loop get theirs */

static const char *const state_names[] = {"handshake", "open", "closing", "closed"};
static const ps_sm_set state_next[] = {
    [PS_HTTP2_HANDSHAKE] = PS_SM(PS_HTTP2_OPEN) | PS_SM(PS_HTTP2_CLOSING),
    [PS_HTTP2_OPEN] = PS_SM(PS_HTTP2_CLOSING),
    [PS_HTTP2_CLOSING] = PS_SM(PS_HTTP2_CLOSED),
    [PS_HTTP2_CLOSED] = 0,
};
static const ps_sm machine = {.tag = "http2",
                              .names = state_names,
                              .next = state_next,
                              .count = PS_HTTP2_STATES,
                              .level = PS_LOG_TRACE};

static void move(ps_http2 *conn, ps_http2_state to)
{
    ps_sm_go(&machine, &conn->state, to, "%s=%s", conn->server ? "client" : "server",
             conn->address);
}

uint64_t ps_http2_now(const ps_http2 *conn)
{
    return ps_clock_ns(conn->clock);
}

static bool feed(ps_http2 *conn, const uint8_t *data, size_t len)
{
    ssize_t used = nghttp2_session_mem_recv(conn->session, data, len);
    if (used >= 0)
        return true;
    const char *why = used == NGHTTP2_ERR_FLOODED            ? "control frames flood"
                      : used == NGHTTP2_ERR_BAD_CLIENT_MAGIC ? "not an HTTP/2 client"
                                                             : nghttp2_strerror((int)used);
    ps_http2_close(conn, PS_PROTOCOL, why);
    return false;
}

/* Where to read to: the place of the message under way, as far as the DATA frame goes. Wrong
 * guesses cost a copy, nothing else. */
static ps_slice read_space(const ps_http2 *conn)
{
    if (!conn->data_call || conn->data_left == 0 || conn->data_call->ended)
        return (ps_slice){0};
    ps_slice space = ps_grpc_frame_space(&conn->data_call->frame);
    if (space.len > conn->data_left)
        space.len = conn->data_left;
    return space;
}

static void read_failed(ps_http2 *conn, ps_status st)
{
    if (st == PS_END)
        ps_http2_close(conn, conn->n_calls || !conn->up ? PS_UNAVAILABLE : PS_OK,
                       "connection closed by the peer");
    else
        ps_http2_close(conn, st, ps_error_message());
}

static void read_some(ps_http2 *conn)
{
    uint8_t piece[READ_PIECE];
    size_t total = 0;
    while (conn->state == PS_HTTP2_OPEN && total < READ_PER_TURN) {
        ps_slice space = read_space(conn);
        bool direct = space.len >= READ_PIECE / 4;
        uint8_t *to = direct ? (uint8_t *)(uintptr_t)space.data : piece;
        size_t len = direct ? space.len : sizeof piece, got = 0;
        ps_status st = conn->layer->ops->recv(conn->layer, to, len, &got);
        if (st == PS_AGAIN)
            break;
        if (st) {
            read_failed(conn, st);
            return;
        }
        total += got;
        conn->received += got;
        conn->stats->bytes_in += got;
        if (!feed(conn, to, got))
            return;
    }
    if (total > 0)
        ps_http2_heard(conn);
    if (total >= READ_PER_TURN)
        ps_loop_defer(conn->loop, &conn->read_job);
    ps_http2_write_soon(conn);
}

static void handshake(ps_http2 *conn)
{
    ps_status st = conn->layer->ops->handshake(conn->layer);
    if (st == PS_AGAIN)
        return;
    if (st) {
        ps_http2_close(conn, st, ps_error_message());
        return;
    }
    if (conn->peer_of)
        conn->peer = *conn->peer_of(conn->layer);
    if (conn->peer_not_after_of)
        conn->peer_not_after = conn->peer_not_after_of(conn->layer);
    move(conn, PS_HTTP2_OPEN);
    st = ps_http2_session_create(conn);
    if (st) {
        ps_http2_close(conn, st, ps_error_message());
        return;
    }
    ps_http2_heard(conn);
    ps_http2_timer_at(conn, conn->heard_ns); /* it works out what is due next */
    conn->layer->ops->want(conn->layer, PS_LAYER_READABLE);
    ps_http2_write_soon(conn);
    ps_loop_defer(conn->loop, &conn->read_job); /* TLS may hold bytes already */
    if (conn->events->on_peer)
        conn->events->on_peer(conn->owner, conn);
}

/* All that there was to write has left. nghttp2 wants nothing more after an error of the whole
 * connection or too many resets: its GOAWAY has left, and bytes that come are only thrown away. */
static void close_if_over(ps_http2 *conn)
{
    if (conn->draining && conn->goaway_final && conn->n_calls == 0) {
        ps_http2_close(conn, PS_OK, "drained");
    } else if (!nghttp2_session_want_read(conn->session) &&
               !nghttp2_session_want_write(conn->session)) {
        char text[128];
        snprintf(text, sizeof text, "the peer broke the rules of HTTP/2%s%s",
                 conn->fault ? ": " : "", conn->fault ? nghttp2_strerror(conn->fault) : "");
        ps_http2_close(conn, PS_PROTOCOL, text);
    }
}

static void write_now(ps_http2 *conn)
{
    if (conn->state != PS_HTTP2_OPEN)
        return;
    ps_status st = ps_http2_write(conn);
    if (st == PS_OK || st == PS_AGAIN) {
        unsigned more = st == PS_AGAIN ? PS_LAYER_WRITABLE : 0;
        conn->layer->ops->want(conn->layer, PS_LAYER_READABLE | more);
        if (st == PS_OK)
            close_if_over(conn);
        return;
    }
    ps_error kept;
    ps_error_save(&kept, st);
    read_some(conn); /* an alert says more than a broken pipe */
    ps_http2_close(conn, PS_UNAVAILABLE, kept.message);
}

static void layer_ready(void *above, unsigned events)
{
    ps_http2 *conn = above;
    if (conn->state == PS_HTTP2_HANDSHAKE)
        handshake(conn);
    else if (conn->state == PS_HTTP2_OPEN && (events & PS_LAYER_READABLE))
        read_some(conn);
    if (conn->state == PS_HTTP2_OPEN && (events & PS_LAYER_WRITABLE))
        write_now(conn);
}

static void read_job_cb(ps_loop_task *job)
{
    ps_http2 *conn = ps_container(job, ps_http2, read_job);
    if (conn->state == PS_HTTP2_HANDSHAKE)
        handshake(conn);
    else if (conn->state == PS_HTTP2_OPEN)
        read_some(conn);
}

static void write_job_cb(ps_loop_task *job)
{
    write_now(ps_container(job, ps_http2, write_job));
}

void ps_http2_write_soon(ps_http2 *conn)
{
    ps_loop_require_on(conn->loop);
    if (conn->state == PS_HTTP2_OPEN)
        ps_loop_defer(conn->loop, &conn->write_job);
}

static void end_calls(ps_http2 *conn)
{
    const char *why = conn->close_error.message;
    while (!ps_list_empty(&conn->calls)) {
        ps_call *call = ps_container(conn->calls.next, ps_call, link);
        ps_list_remove(&call->link);
        conn->n_calls--;
        call->stream_id = 0;
        ps_call_end(call, PS_UNAVAILABLE, *why ? why : "connection closed");
        ps_call_unref(call);
    }
}

/* A GOAWAY, if it can leave at once. From the job: nghttp2 may not be asked to send from inside its
 * own callbacks, where most reasons to close are found. */
static void say_why(ps_http2 *conn)
{
    ps_status status = conn->close_error.code;
    if (!conn->session || status == PS_UNAVAILABLE)
        return;
    nghttp2_session_terminate_session(conn->session, status == PS_RESOURCE_EXHAUSTED
                                                         ? NGHTTP2_ENHANCE_YOUR_CALM
                                                     : status ? NGHTTP2_PROTOCOL_ERROR
                                                              : NGHTTP2_NO_ERROR);
    ps_status st = ps_http2_write(conn);
    (void)st;
}

static void close_job_cb(ps_loop_task *job)
{
    ps_http2 *conn = ps_container(job, ps_http2, close_job);
    say_why(conn);
    move(conn, PS_HTTP2_CLOSED);
    ps_loop_cancel(conn->loop, &conn->read_job);
    ps_loop_cancel(conn->loop, &conn->write_job);
    ps_timer_free(&conn->timer);
    ps_call *sending = conn->tx.call;
    conn->tx.call = NULL;
    if (sending) {
        if (sending->ended)
            ps_call_drop_queue(sending);
        ps_call_unref(sending);
    }
    end_calls(conn);
    nghttp2_session_del(conn->session);
    conn->session = NULL;
    conn->layer->ops->close(conn->layer);
    conn->layer = NULL;
    conn->events->on_closed(conn->owner, conn, conn->close_error.code, conn->close_error.message);
    ps_http2_unref(&conn);
}

void ps_http2_close(ps_http2 *conn, ps_status status, const char *reason)
{
    ps_loop_require_on(conn->loop);
    if (!ps_http2_is_alive(conn))
        return;
    conn->close_error.code = status;
    snprintf(conn->close_error.message, PS_ERROR_MAX, "%s", reason);
    move(conn, PS_HTTP2_CLOSING);
    ps_loop_defer(conn->loop, &conn->close_job);
}

ps_status ps_http2_create(const ps_http2_options *options, ps_http2 **out)
{
    PS_REQUIRE(options->layer && options->budget && options->stats);
    PS_REQUIRE(options->events && options->events->on_closed);
    ps_loop_require_on(options->loop);
    ps_http2 *conn = ps_new(ps_http2);
    *conn = (ps_http2){.loop = options->loop,
                       .layer = options->layer,
                       .refs = 2, /* the owner's, and its own until it is closed */
                       .server = options->server,
                       .limits = options->limits,
                       .budget = options->budget,
                       .stats = options->stats,
                       .clock = &ps_clock_system,
                       .peer_of = options->peer,
                       .peer_not_after_of = options->peer_not_after,
                       .peer_not_after = INT64_MAX,
                       .events = options->events,
                       .owner = options->owner,
                       .blocked_ns = PS_NEVER,
                       .timer_ns = PS_NEVER,
                       .pinged_ns = PS_NEVER,
                       .retired_ns = PS_NEVER};
    ps_budget_ref(conn->budget);
    ps_list_init(&conn->calls);
    snprintf(conn->address, sizeof conn->address, "%s", options->address);
    ps_loop_task_init(&conn->read_job, read_job_cb);
    ps_loop_task_init(&conn->write_job, write_job_cb);
    ps_loop_task_init(&conn->close_job, close_job_cb);
    conn->begun_ns = conn->heard_ns = ps_http2_now(conn);
    ps_floods_init(&conn->floods, conn->begun_ns);
    ps_timer_create(conn->loop, ps_http2_timer_cb, conn, &conn->timer);
    ps_http2_timer_at(conn, conn->begun_ns + conn->limits.handshake_ms * 1000000ull);
    conn->layer->on_ready = layer_ready;
    conn->layer->above = conn;
    conn->layer->ops->want(conn->layer, PS_LAYER_READABLE);
    ps_loop_defer(conn->loop, &conn->read_job);
    *out = conn;
    return PS_OK;
}

void ps_http2_ref(ps_http2 *conn)
{
    PS_REQUIRE(conn->refs > 0);
    conn->refs++;
}

void ps_http2_unref(ps_http2 **pointer)
{
    ps_http2 *conn = *pointer;
    *pointer = NULL;
    PS_REQUIRE(!conn || conn->refs > 0);
    if (!conn || --conn->refs > 0)
        return;
    PS_REQUIRE(conn->state == PS_HTTP2_CLOSED && ps_list_empty(&conn->calls));
    ps_budget_unref(&conn->budget);
    free(conn);
}

void ps_http2_drain(ps_http2 *conn)
{
    ps_loop_require_on(conn->loop);
    if (conn->state != PS_HTTP2_OPEN) {
        ps_http2_close(conn, PS_UNAVAILABLE, "going away");
        return;
    }
    if (conn->draining)
        return;
    conn->draining = true;
    if (!conn->server) { /* the server opens no streams: there is nothing to wait for */
        conn->goaway_final = true;
        if (conn->events->on_draining)
            conn->events->on_draining(conn->owner, conn);
        ps_http2_write_soon(conn);
        return;
    }
    ps_http2_timer_at(conn, ps_http2_now(conn)); /* what is held back is told now */
    /* First "no more, soon", and when the answer to a PING shows that the peer has read that, the
     * last stream it got in (RFC 9113 section 6.8). */
    nghttp2_submit_shutdown_notice(conn->session);
    nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, (const uint8_t *)"drained?");
    ps_http2_write_soon(conn);
}

static void say_untrusted(const ps_http2 *conn, const char *what, const char *reason)
{
    char who[PS_IDENTITY_TEXT_MAX];
    ps_log_notice("http2", "connection %s address=%s peer=%s reason=\"%s\"", what, conn->address,
                  ps_identity_format(&conn->peer, who), reason);
}

void ps_http2_cut(ps_http2 *conn, const char *reason)
{
    ps_loop_require_on(conn->loop);
    if (!ps_http2_is_alive(conn))
        return;
    say_untrusted(conn, "cut", reason);
    ps_http2_close(conn, PS_UNAVAILABLE, reason);
}

static void end_within(ps_http2 *conn, uint64_t ms, const char *reason)
{
    snprintf(conn->retired_for, sizeof conn->retired_for, "%s", reason);
    conn->retired_ns = ps_http2_now(conn) + ms * 1000000ull;
    ps_http2_timer_at(conn, conn->retired_ns);
}

void ps_http2_retire(ps_http2 *conn, const char *reason)
{
    ps_loop_require_on(conn->loop);
    if (!ps_http2_is_alive(conn) || conn->retired_ns != PS_NEVER)
        return;
    say_untrusted(conn, "retired", reason);
    end_within(conn, conn->limits.stall_ms, reason);
    ps_http2_drain(conn);
}

void ps_http2_close_within(ps_http2 *conn, unsigned ms, const char *reason)
{
    ps_loop_require_on(conn->loop);
    PS_REQUIRE(conn->server);
    if (ps_http2_is_alive(conn) && conn->retired_ns == PS_NEVER)
        end_within(conn, ms, reason);
}

void ps_http2_keep(ps_http2 *conn)
{
    ps_loop_require_on(conn->loop);
    conn->retired_ns = PS_NEVER;
}

void ps_http2_set_account(ps_http2 *conn, ps_account *account)
{
    ps_loop_require_on(conn->loop);
    PS_REQUIRE(conn->server && !conn->account && conn->n_calls == 0);
    conn->account = account;
}

const ps_identity *ps_http2_peer(const ps_http2 *conn)
{
    return &conn->peer;
}

ps_layer *ps_http2_layer(const ps_http2 *conn)
{
    return conn->layer;
}

const char *ps_http2_address(const ps_http2 *conn)
{
    return conn->address;
}

bool ps_http2_is_usable(const ps_http2 *conn)
{
    return conn->state == PS_HTTP2_OPEN && conn->up && !conn->draining;
}
