/* Flow control (RFC 9113 section 5.2) as memory: a window is given only for bytes that we are ready
 * to hold. A message takes window from its first byte until it is released. For a connection and
 * for each of its calls there is a target, and the window is filled up to
 *
 *     max(target - received bytes held, bytes that messages under way still lack)
 *
 * where a message that is held counts as what it costs, which is more than its bytes. So one that
 * was begun, whose memory is charged already, can always be completed. Targets are the limits, but
 * no more than a share of what the budget (all connections) or the connection (all calls) has left:
 * each gets less when others hold much, and nobody is shut out.
 *
 * A call whose handler releases nothing before its end (ps_call_keep) could never come to it when
 * the limits are less than it brings, nor could several that fill the connection together. So the
 * oldest of them counts beside the limits, with a target of its own; when it has released what it
 * holds, the next one does. Its target is of payload alone: it must not stand still, with nobody to
 * tell it why, before its handler has got what it may keep. Messages that are too small for what
 * they cost are refused instead.
 *
 * Failure: the memory itself is charged when a message begins, to the peer's account and to the
 * budget (ps_message_create): a peer that gets past its windows by many streams, or connections,
 * meets PS_RESOURCE_EXHAUSTED there, before a byte of it is kept, which is worth a retry. */
#include "common/transport/call/http2_internal.h"

#include "common/base/ranked.h"
#include "common/base/require.h"
#include "common/transport/call/message_internal.h"

#define CONNECTION_LEAST (256u << 10) /* a connection's window, however little is left */
#define CALL_LEAST       (64u << 10)
#define SHARE            2
/* Of a call: when first windows become larger again (held_back.c), so does this one, and one beyond
 * 2^31-1 is an error (RFC 9113 section 6.9.2). */
#define CALL_MOST (INT32_MAX - (int64_t)PS_HTTP2_WINDOW)

/* The one that may go on whatever others hold; NULL: none keeps anything. One that is whole stays
 * it until it has released what it holds. */
static ps_call *first_keeper(const ps_http2 *conn)
{
    ps_list_each(node, &conn->calls)
    {
        ps_call *call = ps_container(node, ps_call, link);
        bool whole = call->remote_end || call->ended || call->no_reading;
        if (call->keeps && (!whole || call->held > 0))
            return call;
    }
    return NULL;
}

/* Held by the others, which the limits of the connection are for. */
static size_t held_beside(const ps_http2 *conn, const ps_call *keeper)
{
    return keeper ? conn->held - keeper->held : conn->held;
}

/* For those that wait for their turn: windows that are given are not taken back, so what all of
 * them may send counts, and the other half is for the messages they have begun then. */
static size_t keeper_share(const ps_http2 *conn)
{
    size_t keepers = 0;
    ps_list_each(node, &conn->calls) keepers += ps_container(node, ps_call, link)->keeps > 0;
    size_t share = conn->limits.connection_bytes / 2 / ps_most(keepers, 1);
    return ps_least(conn->limits.call_bytes, ps_most(share, CALL_LEAST));
}

static size_t connection_target(const ps_http2 *conn)
{
    uint64_t allowed = ps_account_left(conn->account, PS_ACCOUNT_BYTES);
    size_t left = (size_t)ps_least(ps_budget_left(conn->budget), allowed);
    size_t share = (left + conn->held) / SHARE;
    return ps_least(conn->limits.connection_bytes, ps_most(share, CONNECTION_LEAST));
}

static size_t call_target(const ps_http2 *conn, const ps_call *call)
{
    const ps_call *keeper = first_keeper(conn);
    if (call == keeper) /* beside, and as much again for what each message has beside its payload */
        return ps_most(call->keeps, conn->limits.call_bytes) + 2 * call->beside;
    if (call->keeps)
        return keeper_share(conn);
    size_t others = held_beside(conn, keeper) - call->held;
    size_t limit = conn->limits.connection_bytes;
    size_t share = others < limit ? (limit - others) / SHARE : 0;
    return ps_least(conn->limits.call_bytes, ps_most(share, CALL_LEAST));
}

/* Fills the window when it is worth a frame: by a quarter of the target, or of the largest window
 * that there is, or when a message under way would not fit. */
static void fill(ps_http2 *conn, int32_t stream_id, size_t target, size_t received, size_t lacking,
                 int32_t window)
{
    size_t most = stream_id ? CALL_MOST : INT32_MAX;
    size_t want = ps_least(ps_most(target > received ? target - received : 0, lacking), most);
    int64_t more = (int64_t)want - window;
    if (more <= 0 || (more < (int64_t)(ps_least(target, most) / 4) && (int64_t)lacking <= window))
        return;
    nghttp2_submit_window_update(conn->session, NGHTTP2_FLAG_NONE, stream_id,
                                 more < INT32_MAX ? (int32_t)more : INT32_MAX);
    ps_http2_write_soon(conn);
}

void ps_flow_update(ps_http2 *conn, ps_call *call)
{
    ps_loop_require_on(conn->loop);
    if (!ps_http2_is_alive(conn) || !conn->session)
        return;
    const ps_call *keeper = first_keeper(conn);
    size_t received = held_beside(conn, keeper) - (conn->lacking - (keeper ? keeper->lacking : 0));
    fill(conn, 0, connection_target(conn), received, conn->lacking + CALL_LEAST,
         nghttp2_session_get_local_window_size(conn->session));
    if (!call || call->stream_id == 0 || call->remote_end || call->no_reading)
        return;
    fill(conn, call->stream_id, call_target(conn, call), call->held - call->lacking, call->lacking,
         nghttp2_session_get_stream_local_window_size(conn->session, call->stream_id));
}

static void released(void *owner, size_t len)
{
    ps_call *call = owner;
    size_t cost = ps_message_cost(len);
    ps_loop_require_on(call->loop);
    PS_REQUIRE(call->held >= cost && call->beside >= cost - len && call->conn->held >= cost);
    call->held -= cost;
    call->beside -= cost - len;
    call->conn->held -= cost;
    ps_account_give(call->conn->account, PS_ACCOUNT_BYTES, cost);
    ps_flow_update(call->conn, call);
    if (call->keeps)
        ps_flow_next(call->conn);
    ps_call_unref(call);
}

void ps_flow_next(ps_http2 *conn)
{
    ps_call *keeper = first_keeper(conn);
    if (keeper)
        ps_flow_update(conn, keeper);
}

void ps_call_keep(ps_call *call, size_t bytes)
{
    ps_loop_require_on(call->loop);
    PS_REQUIRE(bytes > 0 && call->kind != PS_CALL_CLIENT && call->conn);
    call->keeps = bytes;
    ps_flow_update(call->conn, call);
}

/* What a call, or all of a connection, may hold. For one that keeps what it gets a quarter more, so
 * that messages of more than a KiB never meet it. */
static bool is_too_much(const ps_http2 *conn, const ps_call *call, size_t cost)
{
    const ps_call *keeper = first_keeper(conn);
    size_t limit = conn->limits.connection_bytes, held = held_beside(conn, keeper);
    if (call == keeper) {
        limit = ps_most(limit, call->keeps) / 4 * 5;
        held = call->held;
    }
    return held + cost > limit + conn->limits.message_bytes;
}

/* A message begins: the limits, then the memory. */
ps_status ps_flow_make(void *user, size_t len, ps_message **out)
{
    ps_call *call = user;
    ps_http2 *conn = call->conn;
    if (len > conn->limits.message_bytes)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "message of %zu bytes is over the limit of %zu", len,
                       conn->limits.message_bytes);
    size_t cost = ps_message_cost(len);
    if (is_too_much(conn, call, cost))
        return ps_fail_retry(PS_RESOURCE_EXHAUSTED, PS_MESSAGE_RETRY_MS,
                             "message of %zu bytes: the memory of this connection is in use, retry",
                             len);
    ps_status st = ps_account_take(conn->account, PS_ACCOUNT_BYTES, cost);
    if (st)
        return st;
    st = ps_message_create(conn->budget, conn->loop, len, released, call, out);
    if (st) {
        ps_account_give(conn->account, PS_ACCOUNT_BYTES, cost);
        return st;
    }
    ps_call_ref(call); /* the message's, until it is released */
    call->held += cost;
    call->beside += cost - len;
    conn->held += cost;
    call->lacking += len;
    conn->lacking += len;
    ps_http2_timer_at(conn, call->fed_ns + conn->limits.stall_ms * 1000000ull);
    return PS_OK;
}

void ps_flow_filled(ps_call *call)
{
    size_t now = ps_grpc_frame_space(&call->frame).len;
    PS_REQUIRE(call->lacking >= now && call->conn->lacking >= call->lacking - now);
    call->conn->lacking -= call->lacking - now;
    call->lacking = now;
}

void ps_flow_forget(ps_call *call)
{
    if (!call->conn)
        return;
    PS_REQUIRE(call->conn->lacking >= call->lacking);
    call->conn->lacking -= call->lacking;
    call->lacking = 0;
    ps_grpc_frame_clear(&call->frame);
    if (call->keeps)
        ps_flow_next(call->conn);
}
