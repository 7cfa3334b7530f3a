/* message: one gRPC message, received or to be sent.
 *
 * Received: contiguous bytes out of the byte budget, read in place. Releasing one gives its bytes
 * back to the flow-control window, so that a slow reader slows its peer and not our memory.
 * To be sent: an encoded head and, by reference, a payload: the last field of the message. Nothing
 * is copied; `release` says when the payload is no longer needed.
 */
#ifndef PS_TRANSPORT_CALL_MESSAGE_H
#define PS_TRANSPORT_CALL_MESSAGE_H

#include "common/base/slice.h"
#include "common/base/status.h"

#include <protobuf-c/protobuf-c.h>

typedef struct ps_message ps_message;

ps_slice ps_message_bytes(const ps_message *message);
/* References: a message is released once for each ref, on any thread; the last one gives its bytes
 * back (the transport hops to the call's loop by itself). Safe after the call has ended. */
void ps_message_ref(ps_message *message);
void ps_message_release(ps_message **message);

/* Field number of every payload in proto/psd/v1. */
#define PS_PAYLOAD_FIELD 15

/* Decodes bytes into a protobuf-c message with a budget of memory (a hostile message must not
 * amplify): free with protobuf_c_message_free_unpacked(m, NULL). When payload is not NULL, field
 * PS_PAYLOAD_FIELD is not decoded but returned in place ({NULL, 0} when absent).
 * PS_INVALID_ARGUMENT when the bytes are no such message or exceed the budget. */
PS_MUST_CHECK ps_status ps_message_unpack(ps_slice bytes,
                                          const ProtobufCMessageDescriptor *descriptor,
                                          ProtobufCMessage **out, ps_slice *payload);

/* A payload that is sent by reference; release may be NULL (static data). Called exactly once, on
 * the call's loop, also when the call fails. */
typedef struct ps_payload {
    ps_slice bytes;
    void (*release)(void *user);
    void *user;
} ps_payload;

#endif
