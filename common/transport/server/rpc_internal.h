/* rpc_internal: the fields of a server, for rpc_*.c, health.c and reflection.c. */
#ifndef PS_TRANSPORT_SERVER_RPC_INTERNAL_H
#define PS_TRANSPORT_SERVER_RPC_INTERNAL_H

#include "common/base/mutex.h"
#include "common/transport/call/http2_internal.h"
#include "common/transport/server/rpc_server.h"
#include "common/transport/tls/tls_context.h"

#include <pthread.h>
#include <stdatomic.h>

#define PS_RPC_SERVICES_MAX 32

/* What a server has on each loop; touched there only. */
typedef struct ps_rpc_home {
    ps_rpc_server *server;
    ps_loop *loop;
    ps_list connections;
    ps_list watchers; /* of health */
    ps_loop_task job; /* of start, drain, close and serving: one at a time, see rpc_server.c */
    void (*task)(struct ps_rpc_home *home);
    ps_loop_task verify_job; /* the server's TLS context is another one */
    atomic_bool verify_soon;
} ps_rpc_home;

typedef struct ps_rpc_connection {
    ps_list link;
    ps_rpc_home *home;
    ps_http2 *conn;
    bool up;
    bool counted;        /* in its peer's account */
    bool refused;        /* it is one too many, which the audit has been told, */
    bool lingers;        /* and it stays only for being told, too */
    unsigned tls_number; /* of the context it was made with, or has been verified by since */
    char address[PS_ADDRESS_TEXT];
} ps_rpc_connection;

typedef struct ps_rpc_served {
    ps_rpc_service service;
    ps_rpc_method *methods; /* the service's, a copy */
    ps_call_stats *stats;   /* one a method, in its order */
} ps_rpc_served;

struct ps_rpc_server {
    ps_rpc_server_options options;
    char *address;
    ps_rpc_home *homes;
    unsigned n_homes, next_home;
    ps_rpc_served services[PS_RPC_SERVICES_MAX];
    unsigned n_services;
    ps_tcp_listener *listener;
    uint16_t port;
    ps_budget *budget;
    ps_http2_stats traffic;
    _Atomic uint64_t connections_total, connections_pq, handshakes_refused, calls, calls_refused;
    struct ps_pace *pace; /* of the loop that accepts, the first; and its timer */
    ps_timer *pace_timer;
    atomic_bool serving, accepting;
    atomic_uint lingering;  /* connections */
    atomic_uint tls_number; /* how often tls was replaced */

    ps_mutex lock; /* the following */
    pthread_cond_t changed;
    ps_tls_context *tls;
    unsigned connections, tasks; /* tasks: homes that have not run theirs */
    bool started;
};

extern const ps_http2_events ps_rpc_http2_events; /* rpc_dispatch.c */
void ps_rpc_refused(ps_rpc_server *server, const char *address, const ps_identity *peer,
                    const char *path, const char *reason);
/* Retires it when the server's TLS context, a newer one than its own, does not accept the peer. */
void ps_rpc_connection_verify(ps_rpc_connection *connection);
void ps_rpc_connection_gone(ps_rpc_connection *connection);
/* rpc_account.c: its peer is known; PS_RESOURCE_EXHAUSTED, once there is a call: it is one
 * connection too many, still. */
void ps_rpc_connection_enter(ps_rpc_connection *connection);
PS_MUST_CHECK ps_status ps_rpc_connection_admit(ps_rpc_connection *connection);
void ps_rpc_connection_leave(ps_rpc_connection *connection);
/* rpc_pace.c: an accepted socket that is counted is begun, at its turn, or closed; somebody from
 * the connection's address had one too many. All but the refusal on the first loop. */
void ps_rpc_pace_start(ps_rpc_server *server);
void ps_rpc_pace_stop(ps_rpc_server *server);
void ps_rpc_pace_accepted(ps_rpc_server *server, int fd);
void ps_rpc_pace_refused(ps_rpc_connection *connection); /* on its loop */
void ps_rpc_connection_begin(ps_rpc_server *server, int fd);
void ps_rpc_count_connections(ps_rpc_server *server, int change); /* any thread */
/* Runs task on every loop of the server, and waits for all. Not on a loop's thread. */
void ps_rpc_on_every_loop(ps_rpc_server *server, void (*task)(ps_rpc_home *home));
/* health.c, reflection.c: built-in services. */
void ps_health_add(ps_rpc_server *server);
void ps_health_changed(ps_rpc_home *home); /* on its loop */
void ps_reflection_add(ps_rpc_server *server);

#endif
