/* Happy path: bytes gather in slots, each the room of a segment in the file; when all are full a
 * thread seals them in place and writes them, and what follows gathers in the other slots
 * meanwhile. What is in hand waits until a byte follows it, or the end: only then it is known
 * whether its segment is the last. A failure to write is told by the call after it. */
#include "common/seal/sealed_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/thread.h"
#include "common/seal/seal_lanes.h"
#include "common/seal/seal_memory.h"
#include "common/security/aead.h"

enum { SLOT = PS_SEAL_SEGMENT };

/* Slots that are sealed and written: the thread's, while there is one. */
typedef struct batch {
    uint8_t *slots;
    ps_seal_part parts[PS_SEAL_BATCH_MOST];
    size_t n;     /* parts */
    size_t bytes; /* of the file */
    pthread_t thread;
    bool busy;
    ps_error error; /* of the writing */
} batch;

struct ps_seal_writer {
    const ps_disk *disk;
    int file;
    ps_seal_stream *stream;
    size_t most;     /* slots of a batch */
    uint8_t *slots;  /* so many; NULL until there are bytes */
    uint64_t number; /* of the segment in the first slot */
    size_t full;     /* slots whose plain bytes are all there; */
    size_t filled;   /* plain bytes of the one behind them */
    uint64_t bytes;
    bool finished;
    size_t held; /* slots that are counted */
    batch given;
};

ps_seal_writer *ps_seal_writer_new(const ps_disk *disk, int file, const ps_secret *key,
                                   ps_slice aad)
{
    ps_seal_writer *w = ps_new(ps_seal_writer);
    w->disk = disk;
    w->file = file;
    w->most = ps_seal_batch();
    w->stream =
        ps_seal_stream_new(&ps_seal_1mb, ps_slice_of(ps_secret_const(key), PS_SECRET_BYTES), aad);
    return w;
}

bool ps_seal_writer_is_finished(const ps_seal_writer *w)
{
    return w->finished;
}

uint64_t ps_seal_writer_bytes(const ps_seal_writer *w)
{
    return w->bytes;
}

static void wait_for(batch *b)
{
    if (b->busy)
        pthread_join(b->thread, NULL);
    b->busy = false;
}

void ps_seal_writer_free(ps_seal_writer **writer)
{
    ps_seal_writer *w = *writer;
    if (!w)
        return;
    wait_for(&w->given);
    ps_seal_stream_free(&w->stream);
    if (w->slots)
        ps_wipe(w->slots, w->most * SLOT);
    ps_seal_memory_give(w->held);
    ps_free(&w->slots);
    ps_free(&w->given.slots); /* what was sealed */
    ps_free(writer);
}

static size_t most_of(uint64_t number)
{
    return ps_seal_plain_most(&ps_seal_1mb, number);
}

/* Where the bytes of slot i begin: behind the header, in the first of the file. */
static uint8_t *slot_at(const ps_seal_writer *w, size_t i)
{
    size_t header = w->number + i ? 0 : ps_seal_stream_header(w->stream).len;
    return w->slots + i * SLOT + header;
}

static ps_status need_slots(ps_seal_writer *w)
{
    if (!w->held)
        ps_seal_memory_count(w->held = 2 * w->most);
    if (!w->slots)
        w->slots = ps_try_alloc_raw(w->most * SLOT);
    if (!w->given.slots)
        w->given.slots = ps_try_alloc_raw(w->most * SLOT);
    return w->slots && w->given.slots ? PS_OK
                                      : ps_fail(PS_NO_MEMORY, "no memory to seal a file in");
}

static void *seal_and_write(void *writer)
{
    ps_seal_writer *w = writer;
    batch *b = &w->given;
    ps_seal_parts(w->stream, b->parts, b->n);
    if (!b->parts[0].number) {
        ps_slice header = ps_seal_stream_header(w->stream);
        memcpy(b->slots, header.data, header.len);
    }
    ps_status st = ps_disk_write_all(w->disk, w->file, b->slots, b->bytes);
    if (st)
        ps_error_save(&b->error, st);
    return NULL;
}

static ps_status written(ps_seal_writer *w)
{
    wait_for(&w->given);
    return w->given.error.code ? ps_error_raise(&w->given.error) : PS_OK;
}

/* n slots, the last of them with `len` plain bytes, when those of before are written. */
static ps_status give(ps_seal_writer *w, size_t n, size_t len, bool last)
{
    ps_status st = written(w);
    if (st)
        return st;
    batch *b = &w->given;
    for (size_t i = 0; i < n; i++)
        b->parts[i] = (ps_seal_part){.number = w->number + i,
                                     .last = last && i == n - 1,
                                     .in = slot_at(w, i),
                                     .len = i == n - 1 ? len : most_of(w->number + i),
                                     .out = slot_at(w, i)};
    b->n = n;
    b->bytes = (size_t)(slot_at(w, n - 1) + len + PS_AEAD_TAG - w->slots);
    uint8_t *others = b->slots;
    b->slots = w->slots;
    w->slots = others;
    w->number += n;
    w->full = w->filled = 0;
    b->busy = ps_thread_start(&b->thread, seal_and_write, w) == 0;
    if (!b->busy)
        (void)seal_and_write(w);
    return PS_OK;
}

/* Into the slot that has room. */
static size_t gather(ps_seal_writer *w, const uint8_t *bytes, size_t len)
{
    size_t room = most_of(w->number + w->full) - w->filled, n = len < room ? len : room;
    memcpy(slot_at(w, w->full) + w->filled, bytes, n);
    w->filled += n;
    if (n == room) {
        w->full++;
        w->filled = 0;
    }
    return n;
}

ps_status ps_seal_writer_write(ps_seal_writer *w, const void *bytes, size_t len)
{
    PS_REQUIRE(!w->finished);
    const uint8_t *at = bytes;
    ps_status st = len ? need_slots(w) : PS_OK;
    w->bytes += len;
    while (!st && len) {
        if (w->full == w->most) /* and none of them is the last */
            st = give(w, w->full, most_of(w->number + w->full - 1), false);
        size_t taken = st ? 0 : gather(w, at, len);
        at += taken;
        len -= taken;
    }
    return st;
}

/* All slots, the last segment of the file among them: it is full where no byte follows it. */
static ps_status give_last(ps_seal_writer *w)
{
    bool whole = w->full && !w->filled;
    return whole ? give(w, w->full, most_of(w->number + w->full - 1), true)
                 : give(w, w->full + 1, w->filled, true);
}

ps_status ps_seal_writer_finish(ps_seal_writer *w)
{
    if (w->finished)
        return PS_OK;
    ps_status st = need_slots(w);
    if (!st)
        w->finished = true;
    if (!st)
        st = give_last(w);
    return st ? st : written(w);
}
