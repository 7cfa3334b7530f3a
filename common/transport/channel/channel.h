/* channel: a client's connection to one server, made again when it breaks.
 *
 * A channel lives on one loop; all functions on that loop's thread. It connects when it is created
 * and reconnects by itself with jittered exponential backoff. Calls started while it is not
 * connected wait for the connection until their deadline (wait_for_ready) or fail with the reason
 * of the last failed attempt ("certificate rejected by server: expired", "connection refused").
 */
#ifndef PS_TRANSPORT_CHANNEL_CHANNEL_H
#define PS_TRANSPORT_CHANNEL_CHANNEL_H

#include "common/base/clock.h"
#include "common/transport/call/grpc_call.h"

typedef struct ps_channel ps_channel;
struct ps_tls_context;

typedef struct ps_channel_options {
    const char *target;            /* "host:port", "[::1]:port" */
    struct ps_tls_context *tls;    /* a reference is taken */
    size_t message_bytes;          /* of one received message; 0: 4 MiB */
    size_t window_bytes;           /* of a call; 0: 16 MiB */
    unsigned connect_ms;           /* deadline of connect and handshake; 0: 5,000 */
    unsigned backoff_min_ms;       /* 0: 100 */
    unsigned backoff_max_ms;       /* 0: 10,000 */
    unsigned keepalive_ms;         /* 0: 20,000 */
    unsigned keepalive_timeout_ms; /* 0: 10,000 */
    /* up: connected and verified; reason: the group of TLS. down: why. May be NULL. */
    void (*on_state)(void *user, bool up, const char *reason);
    void *user;
} ps_channel_options;

PS_MUST_CHECK ps_status ps_channel_create(ps_loop *loop, const ps_channel_options *options,
                                          ps_channel **out);
/* For connections from now on; one whose server it does not accept makes way for a new one, and one
 * whose server was revoked is cut at once. */
void ps_channel_set_tls(ps_channel *channel, struct ps_tls_context *tls);
/* Calls from now on go over a new connection, which shows the certificate that is in force now;
 * those that run end on the one before, which is closed after them. */
void ps_channel_move_over(ps_channel *channel);
/* Does this call, which has begun, run on the connection that others get now? False: on one that
 * was left, by us or by the server (GOAWAY). */
bool ps_channel_carries(const ps_channel *channel, const ps_call *call);
ps_loop *ps_channel_loop(const ps_channel *channel);
bool ps_channel_is_up(const ps_channel *channel);
/* Ends its calls with PS_CANCELLED, closes, frees later on its loop. */
void ps_channel_free(ps_channel **channel);

typedef struct ps_call_options {
    unsigned deadline_ms; /* 0: none */
    bool wait_for_ready;
} ps_call_options;

/* Starts a call; events must outlive it. The caller owns one reference and drops it when it no
 * longer needs the call (ps_call_unref), at the latest after on_end. Never fails: what goes wrong
 * comes by on_end, not from inside this call. */
ps_call *ps_channel_call(ps_channel *channel, const char *path, const ps_call_options *options,
                         const ps_call_events *events, void *user);

/* One request, one reply, run to the end: for programs that do one thing at a time (psctl). Runs
 * the loop itself; not from inside a callback. reply is freed by the caller with
 * protobuf_c_message_free_unpacked(reply, NULL). */
PS_MUST_CHECK ps_status ps_channel_unary(ps_channel *channel, const char *path,
                                         const ProtobufCMessage *request,
                                         const ProtobufCMessageDescriptor *reply_type,
                                         const ps_call_options *options, ProtobufCMessage **reply);

/* The same without waiting: done is called once on the loop; reply (NULL unless PS_OK) belongs to
 * the callee. A failure is this thread's last then: it has ps_call_retry_ms as
 * ps_error_retry_ms(). */
void ps_channel_unary_async(ps_channel *channel, const char *path, const ProtobufCMessage *request,
                            const ProtobufCMessageDescriptor *reply_type,
                            const ps_call_options *options,
                            void (*done)(void *user, ps_status status, const char *message,
                                         ProtobufCMessage *reply),
                            void *user);

#endif
