/* Happy path: the path is looked up, the caller is authorised, and the method is given the call (a
 * stream) or, when it is complete, its decoded request (unary and server-streaming).
 * Failure: RESOURCE_EXHAUSTED when too much waits to be taken already, or the peer's account is
 * used up; UNIMPLEMENTED and the authoriser's reason (both told to the audit as well),
 * INVALID_ARGUMENT. */
#include "common/transport/server/rpc_internal.h"

#include "common/base/log.h"
#include "common/base/require.h"
#include "common/transport/call/message_internal.h"
#include "common/transport/tls/tls.h"

#include <string.h>

void ps_rpc_refused(ps_rpc_server *server, const char *address, const ps_identity *peer,
                    const char *path, const char *reason)
{
    char who[PS_IDENTITY_TEXT_MAX] = "?";
    if (peer)
        ps_identity_format(peer, who);
    ps_log_info("rpc", "refused address=%s peer=%s path=%s reason=\"%s\"", address, who,
                path ? path : "-", reason);
    if (server->options.refused)
        server->options.refused(server->options.user, address, peer, path, reason);
}

/* "/service/method" */
static bool find(ps_rpc_server *server, ps_call *call)
{
    const char *path = call->path;
    const char *slash = path[0] == '/' ? strchr(path + 1, '/') : NULL;
    if (!slash)
        return false;
    size_t len = (size_t)(slash - path - 1);
    for (unsigned i = 0; i < server->n_services; i++) {
        const ps_rpc_service *service = &server->services[i].service;
        if (strlen(service->name) != len || memcmp(service->name, path + 1, len) != 0)
            continue;
        for (const ps_rpc_method *m = service->methods; m->name; m++)
            if (strcmp(m->name, slash + 1) == 0) {
                call->method = m;
                call->service = service->state;
                call->kind = m->unary ? PS_CALL_UNARY : PS_CALL_STREAM;
                call->stats = &server->services[i].stats[m - service->methods];
                call->began_ns = ps_clock_ns(&ps_clock_system);
                ps_call_stats_begin(call->stats);
                return true;
            }
    }
    return false;
}

static void refuse(ps_rpc_server *server, ps_call *call, ps_status st)
{
    ps_error kept;
    ps_error_save(&kept, st);
    server->calls_refused++;
    ps_rpc_refused(server, call->conn->address, ps_call_peer(call), call->path, kept.message);
    ps_call_refuse(call, ps_error_raise(&kept));
}

/* A peer that does not read what it asked for, call after call, is not given more to keep; nor one
 * whose account is used up, by this connection or by others. */
static ps_status admit(ps_call *call)
{
    enum { LEAST_BYTES = 1 }; /* what any call takes */
    ps_http2 *conn = call->conn;
    if (conn->waiting >= conn->limits.connection_bytes)
        return ps_fail_retry(PS_RESOURCE_EXHAUSTED, PS_MESSAGE_RETRY_MS,
                             "%zu bytes of answers wait on this connection, the limit is %zu: "
                             "read them, then retry",
                             conn->waiting, conn->limits.connection_bytes);
    if (ps_budget_left(conn->budget) == 0)
        return ps_fail_retry(PS_RESOURCE_EXHAUSTED, PS_MESSAGE_RETRY_MS,
                             "the server's memory for messages is in use, retry");
    ps_status st = ps_account_take(conn->account, PS_ACCOUNT_BYTES, LEAST_BYTES);
    if (st)
        return st;
    ps_account_give(conn->account, PS_ACCOUNT_BYTES, LEAST_BYTES);
    st = ps_account_take(conn->account, PS_ACCOUNT_CALLS, 1);
    call->counted = !st;
    return st;
}

/* Of one connection too many: the client knows now, and may go. */
static void send_away(ps_call *call, ps_status st)
{
    ps_call_refuse(call, st);
    ps_http2_drain(call->conn);
}

static void request_cb(void *owner, ps_call *call)
{
    PS_REQUIRE(call->kind != PS_CALL_CLIENT && call->conn);
    ps_rpc_connection *connection = owner;
    ps_rpc_server *server = connection->home->server;
    server->calls++;
    if (!find(server, call)) {
        refuse(server, call, ps_fail(PS_UNIMPLEMENTED, "there is no method %s", call->path));
        return;
    }
    const ps_identity *peer = ps_call_peer(call);
    ps_status st = server->options.authorise
                       ? server->options.authorise(server->options.user, peer, call->path)
                       : PS_OK;
    if (st) {
        refuse(server, call, st);
        return;
    }
    st = ps_rpc_connection_admit(connection);
    if (st) {
        send_away(call, st);
        return;
    }
    st = admit(call);
    if (st) {
        ps_call_refuse(call, st);
        return;
    }
    if (call->kind == PS_CALL_STREAM)
        call->method->stream(call, call->service);
}

static void unary_cb(void *owner, ps_call *call, ps_slice bytes)
{
    PS_REQUIRE(call->method && call->method->unary);
    (void)owner;
    ProtobufCMessage *request = NULL;
    ps_status st = ps_message_unpack(bytes, call->method->request, &request, NULL);
    if (st) {
        ps_call_fail(call, st);
        return;
    }
    call->method->unary(call, request, call->service);
    protobuf_c_message_free_unpacked(request, NULL);
}

static void up_cb(void *owner, ps_http2 *conn)
{
    ps_rpc_connection *connection = owner;
    const char *group = ps_tls_layer_group(ps_http2_layer(conn));
    connection->up = true;
    connection->home->server->connections_pq += strstr(group, "MLKEM") != NULL;
    ps_log_debug("rpc", "up address=%s group=%s", connection->address, group);
    ps_rpc_connection_verify(connection);
}

static void closed_cb(void *owner, ps_http2 *conn, ps_status status, const char *reason)
{
    (void)conn;
    ps_rpc_connection *connection = owner;
    ps_rpc_server *server = connection->home->server;
    if (!connection->up && status && !connection->refused) {
        server->handshakes_refused++;
        ps_rpc_refused(server, connection->address, NULL, NULL, reason);
    } else {
        ps_log_debug("rpc", "closed address=%s reason=\"%s\"", connection->address, reason);
    }
    ps_rpc_connection_gone(connection);
}

static void peer_cb(void *owner, ps_http2 *conn)
{
    (void)conn;
    ps_rpc_connection_enter(owner);
}

const ps_http2_events ps_rpc_http2_events = {
    .on_peer = peer_cb,
    .on_up = up_cb,
    .on_request = request_cb,
    .on_unary = unary_cb,
    .on_closed = closed_cb,
};
