/* health: grpc.health.v1. Happy path: Check answers at once; Watch answers at once and again when
 * ps_rpc_server_set_serving changes what is true, which reaches the watchers on each loop.
 * Failure: a service that is not there is NOT_FOUND, in a Watch SERVICE_UNKNOWN. */
#include "common/transport/server/rpc_internal.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <grpc/health/v1/health.pb-c.h>

typedef Grpc__Health__V1__HealthCheckResponse response;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;
#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

typedef struct watcher {
    ps_list link; /* of its home */
    ps_call *call;
    bool known;
} watcher;

static bool is_known(const ps_rpc_server *server, const char *name)
{
    if (!*name)
        return true;
    for (unsigned i = 0; i < server->n_services; i++)
        if (strcmp(server->services[i].service.name, name) == 0)
            return true;
    return false;
}

static serving_status now(const ps_rpc_server *server)
{
    return server->serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

static void check(ps_call *call, const ProtobufCMessage *request, void *service)
{
    const Grpc__Health__V1__HealthCheckRequest *r = (const void *)request;
    const ps_rpc_server *server = service;
    if (!is_known(server, r->service)) {
        ps_call_fail(call, ps_fail(PS_NOT_FOUND, "there is no service \"%s\"", r->service));
        return;
    }
    response reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    reply.status = now(server);
    ps_call_reply(call, &reply.base);
}

static void list(ps_call *call, const ProtobufCMessage *request, void *service)
{
    (void)request;
    const ps_rpc_server *server = service;
    typedef Grpc__Health__V1__HealthListResponse__StatusesEntry entry;
    response value = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    value.status = now(server);
    entry entries[PS_RPC_SERVICES_MAX + 1], *pointers[PS_RPC_SERVICES_MAX + 1];
    size_t n = server->n_services + 1;
    for (size_t i = 0; i < n; i++) {
        entries[i] = (entry)GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__STATUSES_ENTRY__INIT;
        entries[i].key = (char *)(uintptr_t)(i == 0 ? "" : server->services[i - 1].service.name);
        entries[i].value = &value;
        pointers[i] = &entries[i];
    }
    Grpc__Health__V1__HealthListResponse reply = GRPC__HEALTH__V1__HEALTH_LIST_RESPONSE__INIT;
    reply.n_statuses = n;
    reply.statuses = pointers;
    ps_call_reply(call, &reply.base);
}

static void tell(const ps_rpc_server *server, const watcher *w)
{
    response reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    reply.status = w->known ? now(server) : STATUS(SERVICE_UNKNOWN);
    ps_call_send(w->call, &reply.base, NULL);
}

static void end_cb(ps_call *call, ps_status status, const char *message, void *user)
{
    (void)status, (void)message;
    watcher *w = user;
    ps_list_remove(&w->link);
    free(w);
    ps_call_unref(call);
}

static const ps_call_events watch_events = {.on_end = end_cb};

static void watch(ps_call *call, const ProtobufCMessage *request, void *service)
{
    const Grpc__Health__V1__HealthCheckRequest *r = (const void *)request;
    ps_rpc_server *server = service;
    const ps_rpc_connection *connection = call->conn->owner;
    watcher *w = ps_new(watcher);
    w->call = call;
    w->known = is_known(server, r->service);
    ps_call_ref(call);
    ps_call_set_events(call, &watch_events, w);
    ps_list_append(&connection->home->watchers, &w->link);
    tell(server, w);
    if (!server->accepting) /* a watch would hold up the stop of the server */
        ps_call_finish(call, PS_UNAVAILABLE, "the server is stopping");
}

void ps_health_changed(ps_rpc_home *home)
{
    ps_loop_require_on(home->loop);
    ps_list_each_safe(node, &home->watchers)
    {
        watcher *w = ps_container(node, watcher, link);
        tell(home->server, w);
        if (!home->server->accepting)
            ps_call_finish(w->call, PS_UNAVAILABLE, "the server is stopping");
    }
}

static const ps_rpc_method methods[] = {
    {"Check", &grpc__health__v1__health_check_request__descriptor, check, NULL},
    {"List", &grpc__health__v1__health_list_request__descriptor, list, NULL},
    {"Watch", &grpc__health__v1__health_check_request__descriptor, watch, NULL},
    {0},
};

void ps_health_add(ps_rpc_server *server)
{
    PS_REQUIRE(!server->started);
    ps_rpc_server_add(
        server,
        &(ps_rpc_service){.name = "grpc.health.v1.Health", .methods = methods, .state = server});
}
