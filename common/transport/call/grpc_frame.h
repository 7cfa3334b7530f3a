/* grpc_frame: puts messages together from the pieces in which DATA frames bring them: a flag, a
 * length of four bytes, big-endian, and so many bytes (gRPC over HTTP/2,
 * "Length-Prefixed-Message"). Pure but for `make`, which checks the length and gives the memory.
 */
#ifndef PS_TRANSPORT_CALL_GRPC_FRAME_H
#define PS_TRANSPORT_CALL_GRPC_FRAME_H

#include "common/base/slice.h"
#include "common/transport/call/message_internal.h"

typedef struct ps_grpc_frame {
    uint8_t prefix[5];
    unsigned have;       /* of prefix */
    ps_message *message; /* under way; NULL between messages */
    size_t filled;
} ps_grpc_frame;

/* A message of len bytes, or why not (PS_RESOURCE_EXHAUSTED). */
typedef ps_status (*ps_grpc_frame_make)(void *user, size_t len, ps_message **out);

/* Eats from *in until a message is complete (*out, the caller's) or *in is empty (*out NULL).
 * PS_UNIMPLEMENTED: compressed. PS_PROTOCOL: flag neither 0 nor 1. Not to be fed after a failure.
 */
PS_MUST_CHECK ps_status ps_grpc_frame_feed(ps_grpc_frame *frame, ps_slice *in,
                                           ps_grpc_frame_make make, void *user, ps_message **out);
/* Where the next bytes belong: reading into it saves a copy. {NULL, 0} between messages. */
ps_slice ps_grpc_frame_space(const ps_grpc_frame *frame);
bool ps_grpc_frame_is_partial(const ps_grpc_frame *frame);
void ps_grpc_frame_clear(ps_grpc_frame *frame);

#endif
