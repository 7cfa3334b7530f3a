/* grpc_call: one gRPC call, the same type on both sides.
 *
 * A call lives on the loop of its connection; every function here is called on that loop's thread
 * (ps_call_loop; hop with ps_loop_post). Events come in the order on_message* on_half_close?
 * on_end; on_end comes exactly once and is last, after that only ps_call_unref is allowed.
 *
 * Back-pressure: ps_call_send queues; when ps_call_writable says no (ps_call_queued has passed the
 * high-water mark, 1 MiB, or the connection is full) stop sending until on_writable. A received
 * message takes window until it is released.
 */
#ifndef PS_TRANSPORT_CALL_GRPC_CALL_H
#define PS_TRANSPORT_CALL_GRPC_CALL_H

#include "common/base/status.h"
#include "common/loop/loop.h"
#include "common/security/identity.h"
#include "common/transport/call/account.h"
#include "common/transport/call/message.h"

typedef struct ps_call ps_call;

typedef struct ps_call_events {
    /* One whole message; the callee owns it and releases it. */
    void (*on_message)(ps_call *call, ps_message *message, void *user);
    /* Server: the client sends no more. May be NULL. Not used on the client side. */
    void (*on_half_close)(ps_call *call, void *user);
    /* The call is writable again: what is queued for it fell below the low-water mark (256 KiB), or
     * on a server what is queued on its connection fell far enough below the limit. It may come
     * without need. May be NULL. */
    void (*on_writable)(ps_call *call, void *user);
    /* The end, exactly once. Client: the call's outcome. Server: PS_OK when the status was sent,
     * otherwise why not (PS_CANCELLED, PS_DEADLINE_EXCEEDED, PS_UNAVAILABLE). `message` is never
     * NULL. Pending work of the handler must stop; the handler drops its reference. */
    void (*on_end)(ps_call *call, ps_status status, const char *message, void *user);
} ps_call_events;

/* Sends one message. head is encoded at once; payload (may be NULL) becomes its field
 * PS_PAYLOAD_FIELD by reference. After on_end or finish it is dropped (payload released). */
void ps_call_send(ps_call *call, const ProtobufCMessage *head, const ps_payload *payload);
size_t ps_call_queued(const ps_call *call);
/* Not ended, below the high-water mark, and on a server all that waits on the connection has not
 * reached its limit. When false, and not ended, on_writable follows. */
bool ps_call_writable(const ps_call *call);
/* Server: bytes that are being made for the next ps_call_send of this call. They count as waiting
 * on its connection from now until then. */
void ps_call_expect(ps_call *call, size_t bytes);

/* Server: what a handler of a stream (or a late answer) wants to hear of; events must outlive the
 * call. */
void ps_call_set_events(ps_call *call, const ps_call_events *events, void *user);
/* Server: for a handler that releases nothing until the client has said its last: it may keep so
 * many bytes of this call, whatever the limits of a call and of a connection are. One such call of
 * a connection at a time, the oldest, is let beyond those limits, so that each comes to its end. */
void ps_call_keep(ps_call *call, size_t bytes);

/* Server: ends the call with a status; message may be NULL for PS_OK. */
void ps_call_finish(ps_call *call, ps_status status, const char *message);
/* Server: one message and PS_OK. The answer of a unary or client-streaming call. */
void ps_call_reply(ps_call *call, const ProtobufCMessage *reply);
/* Server: finishes with code and this thread's ps_error_message(), and tells the client after how
 * long it may try again (ps_error_retry_ms). PS_RESOURCE_EXHAUSTED of a peer that was told to wait,
 * and did not, is held back for as long (ps_account_hold_ms), but no longer than half of what is
 * left of its deadline, or until its connection drains; on_end comes after that, and no message
 * before it. */
void ps_call_fail(ps_call *call, ps_status status);
/* The same of a call that nothing is to be read of any more: what still comes costs no memory. */
void ps_call_refuse(ps_call *call, ps_status status);

/* Client, in on_end: after how long psd says that the call may be made again; less than 0: not by
 * itself; 0: it says nothing. */
int ps_call_retry_ms(const ps_call *call);
/* Client: no more messages from here. */
void ps_call_half_close(ps_call *call);
/* Client: RST_STREAM(CANCEL); on_end(PS_CANCELLED) follows. */
void ps_call_cancel(ps_call *call);

void ps_call_ref(ps_call *call);
void ps_call_unref(ps_call *call); /* on its loop */
ps_loop *ps_call_loop(const ps_call *call);
void *ps_call_user(const ps_call *call);
void ps_call_set_user(ps_call *call, void *user);
const char *ps_call_path(const ps_call *call); /* "/psd.v1.Jobs/Submit" */
/* The peer's certified identity. Server side: always there. */
const ps_identity *ps_call_peer(const ps_call *call);
/* Server: what its peer's use is counted in; NULL: it is not. */
ps_account *ps_call_account(const ps_call *call);
const char *ps_call_peer_address(const ps_call *call); /* "127.0.0.1:4711" */
int64_t ps_call_peer_not_after(const ps_call *call);   /* of its certificates, seconds since 1970 */
/* A request metadata value, NULL if absent (keys lower case). */
const char *ps_call_metadata(const ps_call *call, const char *key);
/* Milliseconds left of the caller's deadline, UINT64_MAX if it has none. */
uint64_t ps_call_time_left_ms(const ps_call *call);

#endif
