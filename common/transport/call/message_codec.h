/* message_codec: the two directions of a message's bytes: decoding is in message.h
 * (ps_message_unpack), encoding is here.
 */
#ifndef PS_TRANSPORT_CALL_MESSAGE_CODEC_H
#define PS_TRANSPORT_CALL_MESSAGE_CODEC_H

#include "common/transport/call/message.h"

/* Bytes before the payload of one gRPC message: the 5-byte prefix, the encoded head, and, when
 * there is a payload, its tag and length. */
size_t ps_message_head_size(const ProtobufCMessage *head, const ps_payload *payload);
/* Writes them; out has ps_message_head_size bytes. */
void ps_message_head_write(const ProtobufCMessage *head, const ps_payload *payload, uint8_t *out,
                           size_t size);

#endif
