/* Happy path: one listener, on the first loop, deals sockets out to all loops in turn (some wait
 * first: rpc_pace.c); each becomes tcp, tls and http2 there, and stays. Stopping goes in two waves
 * over all loops: drain (GOAWAY), and after the grace period close; each wave is waited for.
 *
 * Failure: the port is taken; a connection over the limit or without a handshake is closed, and
 * told to the audit. */
#include "common/transport/server/rpc_server.h"

#include "common/transport/server/rpc_internal.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/transport/server/pace.h"
#include "common/transport/tls/tls.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* An accepted socket on its way to its loop. */
typedef struct arrival {
    ps_loop_task job;
    ps_rpc_home *home;
    int fd;
} arrival;

void ps_rpc_count_connections(ps_rpc_server *server, int change)
{
    ps_mutex_lock(&server->lock);
    server->connections = (unsigned)((int)server->connections + change);
    pthread_cond_broadcast(&server->changed);
    ps_mutex_unlock(&server->lock);
}

void ps_rpc_connection_gone(ps_rpc_connection *connection)
{
    ps_loop_require_on(connection->home->loop);
    ps_list_remove(&connection->link);
    ps_rpc_connection_leave(connection);
    ps_http2_unref(&connection->conn);
    ps_rpc_count_connections(connection->home->server, -1);
    free(connection);
}

static ps_tls_context *current_tls(ps_rpc_server *server)
{
    ps_mutex_lock(&server->lock);
    ps_tls_context *tls = ps_tls_context_ref(server->tls);
    ps_mutex_unlock(&server->lock);
    return tls;
}

static void let_go(ps_rpc_connection *connection, bool revoked, const char *message)
{
    char reason[PS_ERROR_MAX];
    (void)snprintf(reason, sizeof reason, "%s", message);
    if (!revoked) {
        ps_http2_retire(connection->conn, reason);
        return;
    }
    const ps_identity *peer = ps_tls_layer_peer(ps_http2_layer(connection->conn));
    ps_rpc_refused(connection->home->server, connection->address, peer, NULL, reason);
    ps_http2_cut(connection->conn, reason);
}

void ps_rpc_connection_verify(ps_rpc_connection *connection)
{
    ps_loop_require_on(connection->home->loop);
    ps_rpc_server *server = connection->home->server;
    unsigned number = server->tls_number; /* before its context: a newer one is met again */
    ps_layer *layer = ps_http2_layer(connection->conn);
    if (!layer || connection->lingers || connection->tls_number == number)
        return; /* one that lingers is closed soon, or looked at when it is let in */
    connection->tls_number = number;
    ps_tls_context *tls = current_tls(server);
    bool revoked;
    if (ps_tls_layer_verify_again(layer, tls, &revoked))
        let_go(connection, revoked, ps_error_message());
    ps_tls_context_unref(&tls);
}

static void verify_cb(ps_loop_task *job)
{
    ps_rpc_home *home = ps_container(job, ps_rpc_home, verify_job);
    home->verify_soon = false;
    ps_list_each_safe(node, &home->connections)
    {
        ps_rpc_connection *connection = ps_container(node, ps_rpc_connection, link);
        if (connection->up) /* else when it is */
            ps_rpc_connection_verify(connection);
    }
}

static ps_status make_connection(ps_rpc_home *home, int fd, ps_rpc_connection *connection)
{
    ps_loop_require_on(home->loop);
    ps_rpc_server *server = home->server;
    ps_layer *tcp = NULL, *top = NULL;
    ps_status st = ps_tcp_layer_create(home->loop, fd, &tcp);
    if (st)
        return st;
    connection->tls_number = server->tls_number;
    ps_tls_context *tls = current_tls(server);
    st = ps_tls_layer_create(tcp, tls, NULL, &top);
    ps_tls_context_unref(&tls);
    if (st)
        return st;
    const ps_rpc_limits *l = &server->options.limits;
    ps_http2_options options = {
        .loop = home->loop,
        .layer = top,
        .server = true,
        .limits = {.message_bytes = l->message_bytes,
                   .connection_bytes = l->connection_bytes,
                   .call_bytes = l->call_bytes,
                   .streams = l->streams,
                   .handshake_ms = l->handshake_ms,
                   .keepalive_ms = l->keepalive_ms,
                   .keepalive_timeout_ms = l->keepalive_timeout_ms,
                   .stall_ms = l->stall_ms},
        .budget = server->budget,
        .stats = &server->traffic,
        .address = connection->address,
        .peer = ps_tls_layer_peer,
        .peer_not_after = ps_tls_layer_peer_not_after,
        .events = &ps_rpc_http2_events,
        .owner = connection,
    };
    return ps_http2_create(&options, &connection->conn);
}

static void arrived_cb(ps_loop_task *job)
{
    arrival *a = ps_container(job, arrival, job);
    ps_rpc_home *home = a->home;
    int fd = a->fd;
    free(a);
    ps_rpc_connection *connection = ps_new(ps_rpc_connection);
    connection->home = home;
    ps_tcp_peer_text(fd, connection->address);
    ps_list_append(&home->connections, &connection->link);
    ps_status st = make_connection(home, fd, connection);
    if (st) {
        ps_log_warning("rpc", "connection address=%s: %s", connection->address, ps_error_message());
        ps_rpc_connection_gone(connection);
    } else if (!home->server->accepting) {
        ps_http2_close(connection->conn, PS_UNAVAILABLE, "the server is stopping");
    }
}

void ps_rpc_connection_begin(ps_rpc_server *server, int fd)
{
    ps_loop_require_on(server->homes[0].loop);
    arrival *a = ps_new(arrival);
    a->home = &server->homes[server->next_home++ % server->n_homes];
    a->fd = fd;
    ps_loop_task_init(&a->job, arrived_cb);
    ps_loop_post(a->home->loop, &a->job);
}

static void accepted_cb(void *user, int fd)
{
    ps_rpc_server *server = user;
    ps_mutex_lock(&server->lock);
    bool full = server->connections >= server->options.limits.connections;
    server->connections += !full;
    ps_mutex_unlock(&server->lock);
    if (full) {
        char address[PS_ADDRESS_TEXT];
        ps_tcp_peer_text(fd, address);
        close(fd);
        server->handshakes_refused++;
        ps_rpc_refused(server, address, NULL, NULL, "too many connections");
        return;
    }
    server->connections_total++;
    ps_rpc_pace_accepted(server, fd);
}

static void task_cb(ps_loop_task *job)
{
    ps_rpc_home *home = ps_container(job, ps_rpc_home, job);
    home->task(home);
    ps_mutex_lock(&home->server->lock);
    home->server->tasks--;
    pthread_cond_broadcast(&home->server->changed);
    ps_mutex_unlock(&home->server->lock);
}

void ps_rpc_on_every_loop(ps_rpc_server *server, void (*task)(ps_rpc_home *home))
{
    ps_mutex_lock(&server->lock);
    while (server->tasks > 0)
        ps_mutex_wait(&server->lock, &server->changed);
    server->tasks = server->n_homes;
    for (unsigned i = 0; i < server->n_homes; i++) {
        server->homes[i].task = task;
        ps_loop_post(server->homes[i].loop, &server->homes[i].job);
    }
    while (server->tasks > 0)
        ps_mutex_wait(&server->lock, &server->changed);
    ps_mutex_unlock(&server->lock);
}

ps_status ps_rpc_server_create(const ps_rpc_server_options *options, ps_rpc_server **out)
{
    PS_REQUIRE(options->loops && options->address);
    if (!options->tls)
        return ps_fail(PS_INVALID_ARGUMENT, "server: no TLS context, nothing is served without");
    ps_rpc_server *server = ps_new(ps_rpc_server);
    server->options = *options;
    server->address = ps_strdup(options->address);
    server->tls = ps_tls_context_ref(options->tls);
    server->serving = true;
    ps_mutex_init(&server->lock);
    ps_condition_init(&server->changed);
    ps_budget_create(options->limits.memory_bytes, &server->budget);
    ps_pace_create(&server->pace);
    server->n_homes = ps_loops_count(options->loops);
    server->homes = ps_alloc_array(server->n_homes, sizeof *server->homes);
    for (unsigned i = 0; i < server->n_homes; i++) {
        ps_rpc_home *home = &server->homes[i];
        home->server = server;
        home->loop = ps_loops_get(options->loops, i);
        ps_list_init(&home->connections);
        ps_list_init(&home->watchers);
        ps_loop_task_init(&home->job, task_cb);
        ps_loop_task_init(&home->verify_job, verify_cb);
    }
    ps_health_add(server);
    ps_reflection_add(server);
    *out = server;
    return PS_OK;
}

void ps_rpc_server_add(ps_rpc_server *server, const ps_rpc_service *service)
{
    PS_REQUIRE(!server->started && server->n_services < PS_RPC_SERVICES_MAX);
    size_t methods = 0;
    while (service->methods[methods].name)
        methods++;
    ps_rpc_method *copy = ps_alloc_array(methods + 1, sizeof *copy);
    memcpy(copy, service->methods, methods * sizeof *copy); /* ends with a row of zeros */
    ps_rpc_served *served = &server->services[server->n_services++];
    *served = (ps_rpc_served){.service = *service,
                              .methods = copy,
                              .stats = ps_alloc_array(methods + 1, sizeof(ps_call_stats))};
    served->service.methods = copy;
}

static void listen_task(ps_rpc_home *home)
{
    ps_rpc_server *server = home->server;
    if (home != &server->homes[0])
        return;
    ps_rpc_pace_start(server);
    ps_status st = ps_tcp_listener_start(server->listener, home->loop, accepted_cb, server);
    if (st)
        ps_log_error("rpc", "%s", ps_error_message());
    server->accepting = !st;
}

ps_status ps_rpc_server_start(ps_rpc_server *server)
{
    PS_REQUIRE(!server->started);
    ps_status st = ps_tcp_listener_bind(server->address, server->options.port, &server->listener);
    if (st)
        return st;
    server->port = ps_tcp_listener_port(server->listener);
    server->started = true;
    ps_rpc_on_every_loop(server, listen_task);
    if (!server->accepting)
        return ps_fail(PS_UNAVAILABLE, "cannot listen on %s port %u", server->address,
                       server->port);
    return PS_OK;
}

uint16_t ps_rpc_server_port(const ps_rpc_server *server)
{
    return server->port;
}

void ps_rpc_server_set_tls(ps_rpc_server *server, struct ps_tls_context *tls)
{
    PS_REQUIRE(tls);
    ps_mutex_lock(&server->lock);
    ps_tls_context *before = server->tls;
    server->tls = ps_tls_context_ref(tls);
    ps_mutex_unlock(&server->lock);
    ps_tls_context_unref(&before);
    server->tls_number++;
    for (unsigned i = 0; i < server->n_homes; i++)
        if (!atomic_exchange(&server->homes[i].verify_soon, true))
            ps_loop_post(server->homes[i].loop, &server->homes[i].verify_job);
}

struct x509_st *ps_rpc_peer_certificate(const ps_call *call)
{
    ps_layer *layer = call->conn ? ps_http2_layer(call->conn) : NULL;
    return layer ? ps_tls_layer_certificate(layer) : NULL;
}

void ps_rpc_server_stats(const ps_rpc_server *constant, ps_rpc_stats *out)
{
    ps_rpc_server *server = (ps_rpc_server *)(uintptr_t)constant; /* for its lock */
    *out = (ps_rpc_stats){.connections_total = server->connections_total,
                          .connections_pq = server->connections_pq,
                          .handshakes_refused = server->handshakes_refused,
                          .calls = server->calls,
                          .calls_refused = server->calls_refused,
                          .bytes_in = server->traffic.bytes_in,
                          .bytes_out = server->traffic.bytes_out,
                          .messages_in = server->traffic.messages_in,
                          .messages_out = server->traffic.messages_out,
                          .memory_used = ps_budget_used(server->budget)};
    ps_mutex_lock(&server->lock);
    out->connections = server->connections;
    ps_mutex_unlock(&server->lock);
}

void ps_rpc_server_each_method(const ps_rpc_server *server, ps_rpc_method_fn *each, void *user)
{
    for (unsigned i = 0; i < server->n_services; i++) {
        const ps_rpc_served *served = &server->services[i];
        for (size_t m = 0; served->service.methods[m].name; m++)
            each(user, served->service.name, served->service.methods[m].name, &served->stats[m]);
    }
}

void ps_rpc_server_set_serving(ps_rpc_server *server, bool serving)
{
    if (atomic_exchange(&server->serving, serving) == serving || !server->started)
        return;
    ps_rpc_on_every_loop(server, ps_health_changed);
}

static void drain_task(ps_rpc_home *home)
{
    if (home == &home->server->homes[0]) {
        ps_tcp_listener_free(&home->server->listener);
        ps_rpc_pace_stop(home->server);
    }
    ps_health_changed(home);
    ps_list_each_safe(node, &home->connections)
        ps_http2_drain(ps_container(node, ps_rpc_connection, link)->conn);
}

static void close_task(ps_rpc_home *home)
{
    ps_list_each_safe(node, &home->connections)
        ps_http2_close(ps_container(node, ps_rpc_connection, link)->conn, PS_UNAVAILABLE,
                       "the server is stopping");
}

static void nothing_task(ps_rpc_home *home)
{
    (void)home;
}

/* Until no connection is left, or for ms. */
static void wait_for_connections(ps_rpc_server *server, unsigned ms)
{
    const struct timespec until = ps_condition_in_ms(ms);
    ps_mutex_lock(&server->lock);
    while (server->connections > 0 && ps_mutex_wait_until(&server->lock, &server->changed, &until))
        ;
    ps_mutex_unlock(&server->lock);
}

void ps_rpc_server_stop(ps_rpc_server *server, unsigned grace_ms)
{
    if (!server->started)
        return;
    server->started = false;
    server->accepting = false;
    server->serving = false;
    ps_rpc_on_every_loop(server, drain_task);
    wait_for_connections(server, grace_ms);
    ps_rpc_on_every_loop(server, close_task);
    wait_for_connections(server, 5000);
    ps_rpc_on_every_loop(server, nothing_task); /* what was deferred, on_end above all, is done */
}

void ps_rpc_server_free(ps_rpc_server **pointer)
{
    ps_rpc_server *server = *pointer;
    if (!server)
        return;
    ps_rpc_server_stop(server, 0);
    PS_REQUIRE(server->connections == 0);
    ps_tcp_listener_free(&server->listener);
    ps_pace_free(&server->pace);
    ps_tls_context_unref(&server->tls);
    ps_budget_unref(&server->budget);
    pthread_cond_destroy(&server->changed);
    ps_mutex_destroy(&server->lock);
    for (unsigned i = 0; i < server->n_services; i++) {
        free(server->services[i].methods);
        free(server->services[i].stats);
    }
    free(server->homes);
    free(server->address);
    ps_free(pointer);
}
