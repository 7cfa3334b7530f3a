/* Happy path: prefix, memory of the right size at once, bytes moved to their place (none when they
 * were read there). Failure: what the header says; the partial message goes with clear. */
#include "common/transport/call/grpc_frame.h"

static size_t left_of(const ps_grpc_frame *frame)
{
    return ps_message_bytes(frame->message).len - frame->filled;
}

static ps_status begin(ps_grpc_frame *frame, ps_grpc_frame_make make, void *user)
{
    if (frame->prefix[0] == 1)
        return ps_fail(PS_UNIMPLEMENTED, "compressed message: only identity is supported");
    if (frame->prefix[0] != 0)
        return ps_fail(PS_PROTOCOL, "message flag %u is not known", frame->prefix[0]);
    ps_cursor c = ps_cursor_of(ps_slice_of(frame->prefix + 1, 4));
    frame->filled = 0;
    return make(user, ps_read_u32be(&c), &frame->message);
}

ps_status ps_grpc_frame_feed(ps_grpc_frame *frame, ps_slice *in, ps_grpc_frame_make make,
                             void *user, ps_message **out)
{
    *out = NULL;
    while (frame->have < sizeof frame->prefix) {
        if (in->len == 0)
            return PS_OK;
        frame->prefix[frame->have++] = *in->data++;
        in->len--;
    }
    if (!frame->message) {
        ps_status st = begin(frame, make, user);
        if (st)
            return st;
    }
    size_t n = left_of(frame) < in->len ? left_of(frame) : in->len;
    uint8_t *to = ps_message_data(frame->message) + frame->filled;
    if (n > 0 && in->data != to)
        memmove(to, in->data, n);
    frame->filled += n;
    if (n > 0)
        *in = ps_slice_of(in->data + n, in->len - n);
    if (left_of(frame) == 0) {
        *out = frame->message;
        frame->message = NULL;
        frame->have = 0;
    }
    return PS_OK;
}

ps_slice ps_grpc_frame_space(const ps_grpc_frame *frame)
{
    if (!frame->message)
        return (ps_slice){0};
    return ps_slice_of(ps_message_data(frame->message) + frame->filled, left_of(frame));
}

bool ps_grpc_frame_is_partial(const ps_grpc_frame *frame)
{
    return frame->have > 0;
}

void ps_grpc_frame_clear(ps_grpc_frame *frame)
{
    ps_message_release(&frame->message);
    frame->have = 0;
    frame->filled = 0;
}
