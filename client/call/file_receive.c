#include "client/call/file_receive.h"

#include "common/format/file_chunks.h"
#include "common/transport/call/message.h"

typedef struct receiver {
    ps_file_chunks chunks;
    ps_status (*take)(void *user, ps_slice piece);
    void *user;
    bool enough;
} receiver;

static ps_status chunk_cb(void *user, ps_slice message)
{
    receiver *r = user;
    ProtobufCMessage *chunk = NULL;
    ps_slice piece = ps_slice_of(NULL, 0);
    ps_status st = ps_message_unpack(message, &psd__v1__file_chunk__descriptor, &chunk, &piece);
    if (st)
        return st;
    st = ps_file_chunks_count(&r->chunks, (const Psd__V1__FileChunk *)(const void *)chunk,
                              piece.len, NULL);
    ps_reply_free(&chunk);
    if (!st)
        st = r->take(r->user, piece);
    r->enough = st == PS_END;
    return st;
}

ps_status ps_receive_file(ps_client *client, const char *path, const ProtobufCMessage *request,
                          ps_status (*take)(void *user, ps_slice piece), void *user,
                          uint64_t *bytes)
{
    receiver r = {.take = take, .user = user};
    ps_status st = ps_client_stream(client, path, request, chunk_cb, &r);
    if (!st && !r.enough)
        st = ps_file_chunks_whole(&r.chunks);
    if (!st && bytes)
        *bytes = r.chunks.got;
    return st;
}
