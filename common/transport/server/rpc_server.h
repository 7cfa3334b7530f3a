/* rpc_server: serves gRPC on several loops.
 *
 * A service is a table of methods. on_start is called when the request's headers have arrived and
 * its caller was authorised; it sets the call's user pointer, if it needs one. A unary method is
 * given as a function of its decoded request. Calls of one connection come on one loop; handlers of
 * different connections run at the same time on different threads.
 */
#ifndef PS_TRANSPORT_SERVER_RPC_SERVER_H
#define PS_TRANSPORT_SERVER_RPC_SERVER_H

#include "common/base/clock.h"
#include "common/transport/call/call_stats.h"
#include "common/transport/call/grpc_call.h"

typedef struct ps_rpc_server ps_rpc_server;

typedef struct ps_rpc_method {
    const char *name; /* "Submit" */
    const ProtobufCMessageDescriptor *request;
    /* Unary and server-streaming: called once with the decoded request (freed after the return).
     * It answers now or later with ps_call_reply, ps_call_send + ps_call_finish, or ps_call_fail.
     * To answer later it takes a reference and sets events with ps_call_set_events. */
    void (*unary)(ps_call *call, const ProtobufCMessage *request, void *service);
    /* Client-streaming and bidirectional: sets user and events, then messages follow. */
    void (*stream)(ps_call *call, void *service);
} ps_rpc_method;

typedef struct ps_rpc_service {
    const char *name;             /* "psd.v1.Jobs" */
    const ps_rpc_method *methods; /* ends with {NULL} */
    void *state;                  /* handed to every method */
} ps_rpc_service;

typedef struct ps_rpc_limits {
    size_t message_bytes;    /* of one message; default 4 MiB */
    size_t memory_bytes;     /* of all messages held; default 512 MiB */
    size_t connection_bytes; /* of one connection; default 128 MiB */
    size_t call_bytes;       /* of one call, which is its flow-control window; default 64 MiB */
    unsigned streams;        /* concurrent calls of a connection; default 128 */
    unsigned connections;    /* default 1024 */
    unsigned handshake_ms;   /* deadline of the TLS handshake; default 5,000 */
    unsigned keepalive_ms;   /* PING after this much silence; default 20,000 */
    unsigned keepalive_timeout_ms; /* no answer: closed; default 10,000 */
    unsigned stall_ms; /* a peer that takes nothing of what is queued for it: closed; one that does
                          not go on with a message it began: that call is ended; default 30,000 */
} ps_rpc_limits;
#define PS_RPC_LIMITS_DEFAULT                        \
    ((ps_rpc_limits){.message_bytes = 4u << 20,      \
                     .memory_bytes = 512u << 20,     \
                     .connection_bytes = 128u << 20, \
                     .call_bytes = 64u << 20,        \
                     .streams = 128,                 \
                     .connections = 1024,            \
                     .handshake_ms = 5000,           \
                     .keepalive_ms = 20000,          \
                     .keepalive_timeout_ms = 10000,  \
                     .stall_ms = 30000})

typedef struct ps_rpc_stats {
    uint64_t connections, connections_total, handshakes_refused, calls, calls_refused;
    uint64_t connections_pq; /* of all: by X25519MLKEM768 (tls.groups) */
    uint64_t bytes_in, bytes_out, messages_in, messages_out;
    uint64_t memory_used;
} ps_rpc_stats;

struct ps_tls_context;
typedef struct ps_rpc_server_options {
    ps_loops *loops;            /* borrowed; connections are spread over them */
    const char *address;        /* "127.0.0.1", "::", a host name */
    uint16_t port;              /* 0: any free one */
    struct ps_tls_context *tls; /* a reference is taken */
    ps_rpc_limits limits;
    /* PS_OK, or PS_PERMISSION_DENIED with the reason in ps_error_message(). Any loop's thread. */
    ps_status (*authorise)(void *user, const ps_identity *peer, const char *path);
    /* Refusals, for the audit log: of handshakes (identity and path NULL), of calls, and of those
     * who were revoked while they were connected (path NULL). */
    void (*refused)(void *user, const char *address, const ps_identity *peer, const char *path,
                    const char *reason);
    /* In what a peer's use is counted, of all its connections the same; NULL: in nothing. Any
     * loop's thread. One over its connections (PS_ACCOUNT_CONNECTIONS) is told so in answer to its
     * first call, which is asked for once more then, and closed; new ones from its address are
     * begun slowly for a while (pace.h). */
    ps_account *(*account)(void *user, const ps_identity *peer);
    void *user;
} ps_rpc_server_options;

/* Services first, then start. A service is added before start, on the caller's thread; the server
 * keeps a copy of its table, whose texts are borrowed. */
PS_MUST_CHECK ps_status ps_rpc_server_create(const ps_rpc_server_options *options,
                                             ps_rpc_server **out);
void ps_rpc_server_add(ps_rpc_server *server, const ps_rpc_service *service);
/* Binds and listens. PS_UNAVAILABLE when the port is taken (named in the message). */
PS_MUST_CHECK ps_status ps_rpc_server_start(ps_rpc_server *server);
uint16_t ps_rpc_server_port(const ps_rpc_server *server);
/* New connections use this context from now on (certificates or CRLs were read again). Those whose
 * peer it does not accept get no new calls, and are closed after stall_ms at the latest; those
 * whose peer was revoked are cut at once, with what is under way. Any thread. */
void ps_rpc_server_set_tls(ps_rpc_server *server, struct ps_tls_context *tls);
/* What the caller showed; the connection's own, NULL when that is gone. On the call's loop. */
struct x509_st *ps_rpc_peer_certificate(const ps_call *call);
void ps_rpc_server_stats(const ps_rpc_server *server, ps_rpc_stats *out); /* any thread */
/* Each method of each service with what was counted of it; after start, any thread. */
typedef void ps_rpc_method_fn(void *user, const char *service, const char *method,
                              const ps_call_stats *stats);
void ps_rpc_server_each_method(const ps_rpc_server *server, ps_rpc_method_fn *each, void *user);
/* grpc.health.v1: what Check("") and Check(service) answer. Any thread. */
void ps_rpc_server_set_serving(ps_rpc_server *server, bool serving);
/* Stops listening, sends GOAWAY, lets calls end for grace_ms, then closes. Blocks the caller, which
 * must not be one of the loops' threads; afterwards every on_end has been called, and no handler of
 * this server runs any more. */
void ps_rpc_server_stop(ps_rpc_server *server, unsigned grace_ms);
void ps_rpc_server_free(ps_rpc_server **server);

#endif
