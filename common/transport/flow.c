/* Flow control (RFC 9113 section 5.2) as memory: a window is given only for bytes that we are ready
 * to hold. A message takes window from its first byte until it is released. For a connection and
 * for each of its calls there is a target, and the window is filled up to
 *
 *     max(target - received bytes held, bytes that messages under way still lack)
 *
 * so a message that was begun, whose memory is charged already, can always be completed. Targets
 * are the limits, but no more than a share of what the budget (all connections) or the connection
 * (all calls) has left: each gets less when others hold much, and nobody is shut out.
 *
 * Failure: the memory itself is charged when a message begins (ps_message_create): a peer that gets
 * past its windows by many streams meets PS_RESOURCE_EXHAUSTED there, which is worth a retry. */
#include "common/transport/http2_internal.h"

#define CONNECTION_LEAST (256u << 10) /* a connection's window, however little is left */
#define CALL_LEAST       (64u << 10)
#define SHARE            2

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t connection_target(const ps_http2 *conn)
{
    size_t share = (ps_budget_left(conn->budget) + conn->held) / SHARE;
    return least(conn->limits.connection_bytes, most(share, CONNECTION_LEAST));
}

static size_t call_target(const ps_http2 *conn, const ps_call *call)
{
    size_t others = conn->held - call->held;
    size_t limit = conn->limits.connection_bytes;
    size_t share = others < limit ? (limit - others) / SHARE : 0;
    return least(conn->limits.call_bytes, most(share, CALL_LEAST));
}

/* Fills the window when it is worth a frame: by a quarter of the target, or when a message under
 * way would not fit. */
static void fill(ps_http2 *conn, int32_t stream_id, size_t target, size_t received, size_t lacking,
                 int32_t window)
{
    size_t want = least(most(target > received ? target - received : 0, lacking), INT32_MAX);
    size_t have = window > 0 ? (size_t)window : 0;
    if (want <= have || (want - have < target / 4 && lacking <= have))
        return;
    nghttp2_submit_window_update(conn->session, NGHTTP2_FLAG_NONE, stream_id,
                                 (int32_t)(want - have));
    ps_http2_write_soon(conn);
}

void ps_flow_update(ps_http2 *conn, ps_call *call)
{
    if (!ps_http2_is_alive(conn) || !conn->session)
        return;
    fill(conn, 0, connection_target(conn), conn->held - conn->lacking, conn->lacking + CALL_LEAST,
         nghttp2_session_get_local_window_size(conn->session));
    if (!call || call->stream_id == 0 || call->remote_end || call->no_reading)
        return;
    fill(conn, call->stream_id, call_target(conn, call), call->held - call->lacking, call->lacking,
         nghttp2_session_get_stream_local_window_size(conn->session, call->stream_id));
}

static void released(void *owner, size_t len)
{
    ps_call *call = owner;
    call->held -= len;
    call->conn->held -= len;
    ps_flow_update(call->conn, call);
    ps_call_unref(call);
}

/* A message begins: the limits, then the memory. */
ps_status ps_flow_make(void *user, size_t len, ps_message **out)
{
    ps_call *call = user;
    ps_http2 *conn = call->conn;
    if (len > conn->limits.message_bytes)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "message of %zu bytes is over the limit of %zu", len,
                       conn->limits.message_bytes);
    call->pushback = true; /* what fails from here on may succeed later */
    if (conn->held + len > conn->limits.connection_bytes + conn->limits.message_bytes)
        return ps_fail(PS_RESOURCE_EXHAUSTED,
                       "message of %zu bytes: the memory of this connection is in use, retry", len);
    ps_status st = ps_message_create(conn->budget, conn->loop, len, released, call, out);
    if (st)
        return st;
    call->pushback = false;
    ps_call_ref(call); /* the message's, until it is released */
    call->held += len;
    conn->held += len;
    call->lacking += len;
    conn->lacking += len;
    return PS_OK;
}

void ps_flow_filled(ps_call *call)
{
    size_t now = ps_grpc_frame_space(&call->frame).len;
    call->conn->lacking -= call->lacking - now;
    call->lacking = now;
}

void ps_flow_forget(ps_call *call)
{
    if (!call->conn)
        return;
    call->conn->lacking -= call->lacking;
    call->lacking = 0;
    ps_grpc_frame_clear(&call->frame);
}
