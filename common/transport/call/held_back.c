/* Happy path: a refusal is told at once, with when to come again; a peer that comes then is never
 * held back. One that came before is told only when the time it would have had to wait is over: who
 * asks again and again asks no faster than who waits. What was waited here is not to be waited
 * there once more, so the hint is shorter by it.
 *
 * What is held back is a stream of its connection, of which SETTINGS_MAX_CONCURRENT_STREAMS allows
 * so many, without a message; what it has beside that counts as an answer that waits: on the
 * connection, in the account and in the budget. Nothing of what still comes of it is kept, and no
 * window is given for it; and as a peer that is not told soon sends all that its first window lets
 * it, calls of its connection begin with a small one (SETTINGS_INITIAL_WINDOW_SIZE) until none was
 * held back for a while. One that is admitted gets the rest when its first bytes come (flow.c).
 *
 * Failure: no room for it, or a connection that ends anyway: it is told at once. */
#include "common/transport/call/http2_internal.h"

#include "common/base/ranked.h"
#include "common/base/require.h"

#include <string.h>

#define MS           1000000ull
#define NARROW       (16u << 10)
#define NARROW_MS    2000u /* after the last one; none is held back for longer than half of it */
#define STREAM_BYTES 1024u /* what nghttp2 keeps of a stream is less */

static size_t cost_of(const ps_call *call)
{
    return sizeof *call + STREAM_BYTES + call->metadata.capacity + strlen(call->path);
}

/* What its peer does not read, or has of others, is not made more by this. */
static bool has_room(const ps_http2 *conn, size_t cost)
{
    return conn->waiting + cost < conn->limits.connection_bytes &&
           ps_budget_left(conn->budget) > cost &&
           ps_account_left(conn->account, PS_ACCOUNT_BYTES) > cost;
}

static bool may_be_held(const ps_call *call)
{
    const ps_http2 *conn = call->conn;
    bool stays = conn->state == PS_HTTP2_OPEN && !conn->draining && conn->retired_ns == PS_NEVER;
    return stays && call->stream_id != 0 && call->held == 0 && has_room(conn, cost_of(call));
}

/* False: the peer has not acknowledged the last one, and another would only wait there. */
static bool set_first_window(ps_http2 *conn, uint32_t now, uint32_t then)
{
    const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, then};
    if (nghttp2_session_get_local_settings(conn->session, entry.settings_id) != now)
        return false;
    nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, &entry, 1);
    ps_http2_write_soon(conn);
    return true;
}

static void narrow(ps_http2 *conn)
{
    uint32_t whole = ps_http2_first_window(conn);
    if (!conn->narrow_ns && (whole <= NARROW || !set_first_window(conn, whole, NARROW)))
        return;
    conn->narrow_ns = ps_http2_now(conn) + NARROW_MS * MS;
    ps_http2_timer_at(conn, conn->narrow_ns);
}

uint64_t ps_held_back_widen(ps_http2 *conn, uint64_t now)
{
    PS_REQUIRE(ps_http2_is_alive(conn));
    if (conn->narrow_ns == 0)
        return PS_NEVER;
    if (now < conn->narrow_ns)
        return conn->narrow_ns;
    bool done = set_first_window(conn, NARROW, ps_http2_first_window(conn));
    conn->narrow_ns = done ? 0 : now + NARROW_MS * MS;
    return done ? PS_NEVER : conn->narrow_ns;
}

void ps_held_back_begin(ps_call *call, ps_status code)
{
    ps_http2 *conn = call->conn;
    ps_loop_require_on(call->loop);
    if (code != PS_RESOURCE_EXHAUSTED || call->retry_ms <= 0 || !conn || call->ended ||
        call->local_end || call->submitted)
        return;
    uint64_t ms = ps_account_hold_ms(conn->account, (uint64_t)call->retry_ms);
    PS_REQUIRE(ms <= (uint64_t)call->retry_ms);
    ms = ps_least(ms, ps_call_time_left_ms(call) / 2); /* it shall hear why before it gives up */
    if (ms == 0)
        return;
    ps_message_release(&call->request);
    if (!may_be_held(call))
        return;
    ps_call_expect(call, cost_of(call));
    if (call->counted) /* nobody works on it any more */
        ps_account_give(conn->account, PS_ACCOUNT_CALLS, 1);
    call->counted = false;
    call->no_reading = true;
    call->retry_ms = (int)ps_most((uint64_t)call->retry_ms - ms, 1);
    call->told_at_ns = ps_http2_now(conn) + ms * MS;
    narrow(conn);
    ps_http2_timer_at(conn, call->told_at_ns);
}

uint64_t ps_held_back_check(ps_call *call, uint64_t now)
{
    PS_REQUIRE(!call->ended);
    if (call->told_at_ns == 0)
        return PS_NEVER;
    if (now < call->told_at_ns && !call->conn->draining)
        return call->told_at_ns;
    call->told_at_ns = 0;
    ps_http2_server_trailers(call, true);
    return PS_NEVER;
}
