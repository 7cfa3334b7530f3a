/* Frames of gRPC out of any bytes, cut at places that the input chooses: every message that comes
 * out has the length its prefix said, and all memory goes back. */
#include "common/transport/call/grpc_frame.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ps_budget *budget;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static ps_status make(void *user, size_t len, ps_message **out)
{
    size_t *asked = user;
    *asked = len;
    if (len > 4096)
        return ps_fail(PS_RESOURCE_EXHAUSTED, "over the limit");
    return ps_message_create(budget, NULL, len, NULL, NULL, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (!budget)
        ps_budget_create(64 << 10, &budget);
    size_t cut = (size_t)data[0] % 64 + 1, asked = 0;
    ps_grpc_frame frame = {0};
    ps_status st = PS_OK;
    for (size_t at = 1; at < size && !st; at += cut) {
        ps_slice in = ps_slice_of(data + at, size - at < cut ? size - at : cut);
        while (in.len > 0 && !st) {
            ps_message *message = NULL;
            st = ps_grpc_frame_feed(&frame, &in, make, &asked, &message);
            require(!message || ps_message_bytes(message).len == asked);
            require(st || message || in.len == 0);
            ps_message_release(&message);
        }
    }
    ps_grpc_frame_clear(&frame);
    require(ps_budget_used(budget) == 0);
    return 0;
}
