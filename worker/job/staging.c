/* Happy path: bytes gather in a piece, which is one run of device memory; what does not follow it,
 * or does not fit, begins the other one, once that has been copied. Fails when there is no pinned
 * memory, or as a copy did. */
#include "worker/job/staging.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

typedef struct piece {
    void *memory;     /* pinned */
    ps_event *copied; /* when it may be filled again */
} piece;

struct ps_staging {
    ps_stream *stream;
    piece pieces[2];
    piece *at;
    ps_buffer *buffer; /* where the piece at hand goes, */
    size_t offset;     /* from there on, */
    size_t used;       /* so many bytes */
};

static ps_status make_pieces(ps_staging *f)
{
    ps_status st = PS_OK;
    for (int i = 0; !st && i < 2; i++) {
        st = ps_host_new(f->stream->backend, PS_STAGING_BYTES, &f->pieces[i].memory);
        if (!st)
            st = ps_event_new(f->stream->backend, &f->pieces[i].copied);
    }
    return st;
}

ps_status ps_staging_open(ps_stream *stream, ps_staging **out)
{
    ps_staging *f = ps_new(ps_staging);
    f->stream = stream;
    f->at = &f->pieces[0];
    ps_status st = stream->backend->info.host_addressable ? PS_OK : make_pieces(f);
    if (st)
        ps_staging_close(&f);
    else
        *out = f;
    return st;
}

void ps_staging_close(ps_staging **staging)
{
    ps_staging *f = *staging;
    if (!f)
        return;
    ps_stream_settle(f->stream);
    for (int i = 0; i < 2; i++) {
        ps_event_free(f->stream->backend, &f->pieces[i].copied);
        ps_host_free(f->stream->backend, &f->pieces[i].memory);
    }
    ps_free(staging);
}

static void copy_piece(ps_staging *f)
{
    PS_REQUIRE(f->used <= PS_STAGING_BYTES);
    if (!f->used)
        return;
    ps_tensor run = ps_tensor_1d(f->buffer, f->offset, PS_DTYPE_I8, (int64_t)f->used);
    ps_copy_to_device(f->stream, run, f->at->memory, f->used);
    ps_event_record(f->stream, f->at->copied);
    f->used = 0;
}

/* Makes the other piece the one at hand. */
static ps_status turn(ps_staging *f)
{
    copy_piece(f);
    f->at = f->at == &f->pieces[0] ? &f->pieces[1] : &f->pieces[0];
    return ps_event_sync(f->stream->backend, f->at->copied);
}

static ps_status place(ps_staging *f, const ps_tensor *t, uint64_t offset)
{
    size_t at = t->offset + offset;
    if (f->used && f->used < PS_STAGING_BYTES && f->buffer == t->buffer &&
        f->offset + f->used == at)
        return PS_OK;
    ps_status st = f->used ? turn(f) : PS_OK;
    f->buffer = t->buffer;
    f->offset = at;
    return st;
}

ps_status ps_staging_write(ps_staging *f, ps_tensor t, uint64_t offset, const void *bytes, size_t n)
{
    PS_REQUIRE(bytes || !n);
    PS_REQUIRE(offset <= ps_tensor_bytes(t) && n <= ps_tensor_bytes(t) - offset);
    char *host = ps_tensor_host(f->stream->backend, t);
    if (host) {
        memcpy(host + offset, bytes, n);
        return PS_OK;
    }
    const char *from = bytes;
    while (n) {
        ps_status st = place(f, &t, offset);
        if (st)
            return st;
        size_t room = PS_STAGING_BYTES - f->used, take = n < room ? n : room;
        memcpy((char *)f->at->memory + f->used, from, take);
        f->used += take;
        offset += take;
        from += take;
        n -= take;
    }
    return PS_OK;
}

ps_status ps_staging_end(ps_staging *f)
{
    copy_piece(f);
    return ps_stream_sync(f->stream);
}
