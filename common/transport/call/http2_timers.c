/* One timer of a connection for all that time decides, looked at in one tick:
 *
 *     handshake   TLS and the peer's SETTINGS within handshake_ms         else closed
 *     keepalive   PING after keepalive_ms of silence, an answer (or any
 *                 byte) within keepalive_timeout_ms                       else closed
 *     stall       the layer takes something of what waits for it within
 *                 stall_ms; server: the peer's windows let every call move else closed, reset
 *     arrival     a message that was begun goes on within stall_ms        else its call is ended
 *     deadlines   of the calls                                            else ended
 *     refusals    held back ones (held_back.c): their time                then told
 *     trust       the peer's certificate is in force                      else retired: drained,
 *                                                         and closed when that takes stall_ms
 *
 * A loop that stood still (a stopped process, a sleeping machine) finds everybody late, and what
 * they have sent in its sockets: so who is late is judged in the next tick, before which the loop
 * reads.
 *
 * Each tick works out when the next one is due. Failure: closing, with the reason. */
#include "common/transport/call/http2_internal.h"

#include <stdio.h>

#define MS 1000000ull
/* While other calls of a connection get so much, one may wait for its turn. */
#define SLOWEST_PER_MS 16u
#define ASK_AGAIN_MS   3600000u

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void ps_http2_timer_at(ps_http2 *conn, uint64_t when)
{
    if (!conn->timer || when >= conn->timer_ns)
        return;
    uint64_t now = ps_http2_now(conn);
    conn->timer_ns = when;
    ps_timer_start(conn->timer, when > now ? (when - now) / MS + 1 : 1, 0);
}

void ps_http2_heard(ps_http2 *conn)
{
    conn->heard_ns = ps_http2_now(conn);
    conn->pinged_ns = PS_NEVER;
}

/* Only what the peer does is asked for here; deadlines are no matter of who was asleep. */
static bool is_late(ps_http2 *conn, uint64_t now, uint64_t due)
{
    conn->look |= now >= due;
    return now >= due && conn->looked;
}

static void fail(ps_http2 *conn, const char *what, unsigned ms)
{
    char text[96];
    snprintf(text, sizeof text, "%s within %u ms", what, ms);
    ps_http2_close(conn, PS_UNAVAILABLE, text);
}

static uint64_t check_handshake(ps_http2 *conn, uint64_t now)
{
    uint64_t due = conn->begun_ns + conn->limits.handshake_ms * MS;
    if (conn->up)
        return PS_NEVER;
    if (is_late(conn, now, due))
        fail(conn, conn->state == PS_HTTP2_HANDSHAKE ? "no TLS handshake" : "no HTTP/2 settings",
             conn->limits.handshake_ms);
    return due;
}

static uint64_t check_keepalive(ps_http2 *conn, uint64_t now)
{
    if (conn->state != PS_HTTP2_OPEN)
        return PS_NEVER;
    if (conn->pinged_ns != PS_NEVER) {
        uint64_t due = conn->pinged_ns + conn->limits.keepalive_timeout_ms * MS;
        if (is_late(conn, now, due))
            fail(conn, "keepalive: no answer", conn->limits.keepalive_timeout_ms);
        return due;
    }
    uint64_t due = conn->heard_ns + conn->limits.keepalive_ms * MS;
    if (now < due)
        return due;
    conn->pinged_ns = now;
    nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, NULL);
    ps_http2_write_soon(conn);
    return now + conn->limits.keepalive_timeout_ms * MS;
}

static uint64_t check_stall(ps_http2 *conn, uint64_t now)
{
    if (conn->blocked_ns == PS_NEVER)
        return PS_NEVER;
    uint64_t due = conn->blocked_ns + conn->limits.stall_ms * MS;
    if (is_late(conn, now, due))
        fail(conn, "the peer took nothing of what waits for it", conn->limits.stall_ms);
    return due;
}

static uint64_t check_trust(ps_http2 *conn, uint64_t now)
{
    if (conn->retired_ns != PS_NEVER) {
        if (now >= conn->retired_ns)
            ps_http2_close(conn, PS_UNAVAILABLE, conn->retired_for);
        return conn->retired_ns;
    }
    if (conn->state != PS_HTTP2_OPEN || conn->peer_not_after == INT64_MAX)
        return PS_NEVER;
    int64_t left_ms = (conn->peer_not_after + 1) * 1000 - ps_clock_wall_ms(conn->clock);
    if (left_ms > 0) /* the wall clock may be set: each tick asks again */
        return now + sooner((uint64_t)left_ms, ASK_AGAIN_MS) * MS;
    ps_http2_retire(conn, "the certificate of the peer has expired");
    return conn->retired_ns;
}

/* The server's queue for the call must move. */
static uint64_t check_queue(ps_call *call, uint64_t now)
{
    if (call->kind == PS_CALL_CLIENT || call->queued == 0)
        return PS_NEVER;
    uint64_t due = call->moved_ns + call->conn->limits.stall_ms * MS;
    if (is_late(call->conn, now, due)) {
        ps_call_end(call, PS_UNAVAILABLE, "the client does not read what it asked for");
        ps_call_reset(call, NGHTTP2_CANCEL);
    }
    return due;
}

/* A message that was begun holds its whole memory, and always has the window that it lacks. */
static uint64_t check_arrival(ps_call *call, uint64_t now)
{
    if (call->lacking == 0)
        return PS_NEVER;
    uint64_t others = call->conn->received - call->fed_at;
    uint64_t due = call->fed_ns + (call->conn->limits.stall_ms + others / SLOWEST_PER_MS) * MS;
    if (is_late(call->conn, now, due))
        ps_call_give_up(call, PS_UNAVAILABLE, "the rest of a message did not come");
    return due;
}

static uint64_t check_call(ps_call *call, uint64_t now)
{
    uint64_t held_back = call->ended ? PS_NEVER : ps_held_back_check(call, now);
    if (!call->ended && now >= call->deadline_ns)
        ps_call_give_up(call, PS_DEADLINE_EXCEEDED, "deadline exceeded");
    uint64_t next = sooner(call->deadline_ns, held_back);
    if (!call->ended)
        next = sooner(next, check_queue(call, now));
    if (!call->ended)
        next = sooner(next, check_arrival(call, now));
    return call->ended ? PS_NEVER : next;
}

void ps_http2_timer_cb(void *user)
{
    ps_http2 *conn = user;
    uint64_t now = ps_http2_now(conn);
    conn->timer_ns = PS_NEVER;
    conn->look = false;
    uint64_t next = check_handshake(conn, now);
    if (ps_http2_is_alive(conn))
        next = sooner(next, check_keepalive(conn, now));
    if (ps_http2_is_alive(conn))
        next = sooner(next, check_stall(conn, now));
    if (ps_http2_is_alive(conn))
        next = sooner(next, check_trust(conn, now));
    if (ps_http2_is_alive(conn))
        next = sooner(next, ps_held_back_widen(conn, now));
    ps_list_each_safe(node, &conn->calls) next =
        sooner(next, check_call(ps_container(node, ps_call, link), now));
    conn->looked = conn->look;
    if (ps_http2_is_alive(conn) && next != PS_NEVER)
        ps_http2_timer_at(conn, next);
}
