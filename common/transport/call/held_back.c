/* Happy path: a refusal is told at once, with when to come again; a peer that comes then is never
 * held back. One that came before is told only when the time it would have had to wait is over: who
 * asks again and again asks no faster than who waits. What was waited here is not to be waited
 * there once more, so the hint is shorter by it.
 *
 * What is held back is a stream of its connection, of which SETTINGS_MAX_CONCURRENT_STREAMS allows
 * so many, without a message; what it has beside that counts as an answer that waits: on the
 * connection, in the account and in the budget. Nothing of what still comes of it is kept, and no
 * window is given for it.
 *
 * Failure: no room for it, or a connection that ends anyway: it is told at once. */
#include "common/transport/call/http2_internal.h"

#include "common/base/ranked.h"
#include "common/base/require.h"

#include <string.h>

#define MS           1000000ull
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
