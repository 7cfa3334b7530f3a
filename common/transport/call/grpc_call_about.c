/* What is known of a call: its peer, its path, its metadata, its time. Cannot fail. */
#include "common/transport/call/grpc_call.h"

#include "common/transport/call/http2_internal.h"

#include "common/base/require.h"

#include <string.h>

ps_loop *ps_call_loop(const ps_call *call)
{
    return call->loop;
}

void *ps_call_user(const ps_call *call)
{
    return call->user;
}

void ps_call_set_user(ps_call *call, void *user)
{
    ps_loop_require_on(call->loop);
    call->user = user;
}

const char *ps_call_path(const ps_call *call)
{
    return call->path;
}

const ps_identity *ps_call_peer(const ps_call *call)
{
    return call->conn ? &call->conn->peer : NULL;
}

const char *ps_call_peer_address(const ps_call *call)
{
    return call->conn ? call->conn->address : "";
}

ps_account *ps_call_account(const ps_call *call)
{
    return call->conn ? call->conn->account : NULL;
}

int ps_call_retry_ms(const ps_call *call)
{
    PS_REQUIRE(call->kind == PS_CALL_CLIENT);
    return call->retry_ms;
}

int64_t ps_call_peer_not_after(const ps_call *call)
{
    return call->conn ? call->conn->peer_not_after : INT64_MAX;
}

const char *ps_call_metadata(const ps_call *call, const char *key)
{
    PS_REQUIRE(key);
    const char *at = (const char *)call->metadata.data;
    const char *end = at + call->metadata.len;
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcmp(at, key) == 0)
            return value;
        at = value + strlen(value) + 1;
    }
    return NULL;
}

uint64_t ps_call_time_left_ms(const ps_call *call)
{
    if (call->deadline_ns == PS_NEVER)
        return UINT64_MAX;
    uint64_t now = ps_clock_ns(&ps_clock_system);
    return call->deadline_ns > now ? (call->deadline_ns - now) / 1000000 : 0;
}
