/* A piece is one run of device memory: what does not follow it, or does not fit, begins the other
 * one, once that has been copied. */
#include "worker/train/fill.h"

#include "common/base/mem.h"

#include <string.h>

typedef struct piece {
    void *memory;     /* pinned */
    ps_event *copied; /* when it may be filled again */
} piece;

struct ps_fill {
    ps_stream *stream;
    piece pieces[2];
    piece *at;
    ps_buffer *buffer; /* where the piece at hand goes, */
    size_t offset;     /* from there on, */
    size_t used;       /* so many bytes */
};

static ps_status make_pieces(ps_fill *f)
{
    ps_status st = PS_OK;
    for (int i = 0; !st && i < 2; i++) {
        st = ps_host_new(f->stream->backend, PS_FILL_BYTES, &f->pieces[i].memory);
        if (!st)
            st = ps_event_new(f->stream->backend, &f->pieces[i].copied);
    }
    return st;
}

ps_status ps_fill_open(ps_stream *stream, ps_fill **out)
{
    ps_fill *f = ps_new(ps_fill);
    f->stream = stream;
    f->at = &f->pieces[0];
    ps_status st = stream->backend->info.host_addressable ? PS_OK : make_pieces(f);
    if (st)
        ps_fill_close(&f);
    else
        *out = f;
    return st;
}

void ps_fill_close(ps_fill **fill)
{
    ps_fill *f = *fill;
    if (!f)
        return;
    (void)!ps_stream_sync(f->stream); /* who needs the result has asked by ps_fill_end */
    for (int i = 0; i < 2; i++) {
        ps_event_free(f->stream->backend, &f->pieces[i].copied);
        ps_host_free(f->stream->backend, &f->pieces[i].memory);
    }
    ps_free(fill);
}

static void copy_piece(ps_fill *f)
{
    if (!f->used)
        return;
    ps_tensor run = ps_tensor_1d(f->buffer, f->offset, PS_DTYPE_I8, (int64_t)f->used);
    ps_copy_to_device(f->stream, run, f->at->memory, f->used);
    ps_event_record(f->stream, f->at->copied);
    f->used = 0;
}

/* Makes the other piece the one at hand. */
static ps_status turn(ps_fill *f)
{
    copy_piece(f);
    f->at = f->at == &f->pieces[0] ? &f->pieces[1] : &f->pieces[0];
    return ps_event_sync(f->stream->backend, f->at->copied);
}

static ps_status place(ps_fill *f, const ps_tensor *t, uint64_t offset)
{
    size_t at = t->offset + offset;
    if (f->used && f->used < PS_FILL_BYTES && f->buffer == t->buffer && f->offset + f->used == at)
        return PS_OK;
    ps_status st = f->used ? turn(f) : PS_OK;
    f->buffer = t->buffer;
    f->offset = at;
    return st;
}

ps_status ps_fill_write(ps_fill *f, ps_tensor t, uint64_t offset, const void *bytes, size_t n)
{
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
        size_t room = PS_FILL_BYTES - f->used, take = n < room ? n : room;
        memcpy((char *)f->at->memory + f->used, from, take);
        f->used += take;
        offset += take;
        from += take;
        n -= take;
    }
    return PS_OK;
}

ps_status ps_fill_end(ps_fill *f)
{
    copy_piece(f);
    return ps_stream_sync(f->stream);
}
