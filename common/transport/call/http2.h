/* http2: one HTTP/2 connection that carries gRPC calls, either side, over a layer (TLS).
 *
 * The owner (a server, a channel) creates it, hears of it by ps_http2_events, and drops its
 * reference. Reading is driven by readiness, writing by writability: frames are made only when the
 * layer below can take them, so nothing queues but what calls have queued. All on one loop.
 *
 *     handshake --TLS done--> open --GOAWAY--> draining --last call ended--> closed
 *         \______________________\__________________\___failure, close___/
 */
#ifndef PS_TRANSPORT_CALL_HTTP2_H
#define PS_TRANSPORT_CALL_HTTP2_H

#include "common/loop/loop.h"
#include "common/security/identity.h"
#include "common/transport/call/account.h"
#include "common/transport/call/budget.h"
#include "common/transport/call/grpc_call.h"
#include "common/transport/tcp/layer.h"

typedef struct ps_http2 ps_http2;

typedef struct ps_http2_limits {
    size_t message_bytes, connection_bytes, call_bytes;
    unsigned streams; /* the peer's, at the same time; 0 for a client */
    unsigned handshake_ms, keepalive_ms, keepalive_timeout_ms, stall_ms;
} ps_http2_limits;

typedef struct ps_http2_stats {
    _Atomic uint64_t bytes_in, bytes_out, messages_in, messages_out;
} ps_http2_stats;

typedef struct ps_http2_events {
    /* The TLS handshake is done, and nothing of HTTP/2 has been read: a server may give the
     * connection an account, or close it. May be NULL. */
    void (*on_peer)(void *owner, ps_http2 *conn);
    /* The peer is verified and speaks HTTP/2 (its SETTINGS have come). */
    void (*on_up)(void *owner, ps_http2 *conn);
    /* Server: a call's headers are complete. It is answered, or has its events set, in here. */
    void (*on_request)(void *owner, ps_call *call);
    /* Server: the one message of a unary call is complete and nothing follows. */
    void (*on_unary)(void *owner, ps_call *call, ps_slice bytes);
    /* Client: no new calls on this one; those under way go on. May be NULL. */
    void (*on_draining)(void *owner, ps_http2 *conn);
    /* Once, last: all calls have ended (their on_end follows). status PS_OK: orderly. */
    void (*on_closed)(void *owner, ps_http2 *conn, ps_status status, const char *reason);
} ps_http2_events;

typedef struct ps_http2_options {
    ps_loop *loop;
    ps_layer *layer; /* taken, also on failure */
    bool server;
    ps_http2_limits limits;
    ps_budget *budget;     /* a reference is taken */
    ps_http2_stats *stats; /* borrowed, outlives the connection's on_closed */
    const char *address;   /* of the peer */
    /* Asked when the handshake is done: who the peer is, and until when (seconds since 1970; NULL:
     * for ever). */
    const ps_identity *(*peer)(const ps_layer *layer);
    int64_t (*peer_not_after)(const ps_layer *layer);
    const ps_http2_events *events;
    void *owner;
} ps_http2_options;

PS_MUST_CHECK ps_status ps_http2_create(const ps_http2_options *options, ps_http2 **out);
void ps_http2_ref(ps_http2 *conn);
void ps_http2_unref(ps_http2 **conn);
/* Begins to end: on_closed comes later, with this status and reason. */
void ps_http2_close(ps_http2 *conn, ps_status status, const char *reason);
/* GOAWAY: calls under way may end; then closed. */
void ps_http2_drain(ps_http2 *conn);
/* The same for a peer that is not trusted any more: closed after stall_ms in any case, for the
 * reason (which is logged). */
void ps_http2_retire(ps_http2 *conn, const char *reason);
/* Server: closed after so long, for the reason, unless it is kept (ps_http2_keep) before. */
void ps_http2_close_within(ps_http2 *conn, unsigned ms, const char *reason);
void ps_http2_keep(ps_http2 *conn);
/* Server: what all its calls hold from now on is this account's as well; once, in on_peer. */
void ps_http2_set_account(ps_http2 *conn, ps_account *account);
const ps_identity *ps_http2_peer(const ps_http2 *conn); /* once there is one */
/* For a peer that is known to be another than it says, a revoked one: closed at once, with whatever
 * is under way, for the reason (which is logged). */
void ps_http2_cut(ps_http2 *conn, const char *reason);

ps_layer *ps_http2_layer(const ps_http2 *conn); /* NULL once closed */
const char *ps_http2_address(const ps_http2 *conn);
bool ps_http2_is_usable(const ps_http2 *conn); /* open and not draining */

/* Client: sends the call's headers; the call is the connection's from now on. */
void ps_http2_start_call(ps_http2 *conn, ps_call *call, const char *authority);

#endif
