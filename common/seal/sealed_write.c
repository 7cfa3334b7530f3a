/* Happy path: bytes are sealed from where the caller has them into slots, each the room of a
 * segment in the file; when all are full a thread writes them, and what follows is sealed into the
 * other slots meanwhile. Whole segments of one call are sealed on several threads. A failure to
 * write is told by the call after it, and by all that follow: there are bytes missing.
 *
 * Whether a segment is the last is part of its nonce, and is known only when a byte follows it, or
 * the end: each is begun as one of which others follow, and the last is sealed anew. */
#include "common/seal/sealed_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/base/thread.h"
#include "common/seal/seal_lanes.h"
#include "common/seal/seal_memory.h"
#include "common/security/aead.h"

enum { SLOT = PS_SEAL_SEGMENT };

/* Sealed slots that are written: the thread's, while there is one. */
typedef struct batch {
    uint8_t *slots;
    size_t bytes;
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
    size_t full;     /* slots that are sealed; */
    bool begun;      /* the segment of the one behind them, */
    size_t filled;   /* plain bytes of which it has */
    uint64_t bytes;
    bool finished;
    ps_error failed; /* the first failure */
    size_t held;     /* slots that are counted */
    batch given;
};

/* Of what is sealed in parts; whole segments are when none is begun. */
enum { LANE = 0 };

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
    ps_seal_memory_give(w->held);
    ps_free(&w->slots); /* what was sealed */
    ps_free(&w->given.slots);
    ps_free(writer);
}

static ps_status end_call(ps_seal_writer *w, ps_status st)
{
    if (st && !w->failed.code)
        ps_error_save(&w->failed, st);
    return st;
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

static void *write_slots(void *writer)
{
    ps_seal_writer *w = writer;
    ps_status st = ps_disk_write_all(w->disk, w->file, w->given.slots, w->given.bytes);
    if (st)
        ps_error_save(&w->given.error, st);
    return NULL;
}

static ps_status written(ps_seal_writer *w)
{
    wait_for(&w->given);
    return w->given.error.code ? ps_error_raise(&w->given.error) : PS_OK;
}

/* The slots up to `end` are written, behind those before. */
static ps_status give(ps_seal_writer *w, const uint8_t *end)
{
    ps_status st = written(w);
    if (st)
        return st;
    ps_slice header = ps_seal_stream_header(w->stream);
    if (!w->number)
        memcpy(w->slots, header.data, header.len);
    batch *b = &w->given;
    uint8_t *others = b->slots;
    b->slots = w->slots;
    b->bytes = (size_t)(end - w->slots);
    w->slots = others;
    w->number += w->full;
    w->full = 0;
    b->busy = ps_thread_start(&b->thread, write_slots, w) == 0;
    if (!b->busy)
        (void)write_slots(w);
    return PS_OK;
}

/* As many whole segments as there are before the last of len bytes, and room; returns how many
 * bytes they take. */
static size_t seal_whole(ps_seal_writer *w, const uint8_t *bytes, size_t len)
{
    ps_seal_part parts[PS_SEAL_BATCH_MOST];
    size_t n = 0, taken = 0;
    for (; w->full + n < w->most && len - taken > most_of(w->number + w->full + n); n++) {
        size_t slot = w->full + n, most = most_of(w->number + slot);
        parts[n] = (ps_seal_part){w->number + slot, false, bytes + taken, most, slot_at(w, slot)};
        taken += most;
    }
    ps_seal_parts(w->stream, parts, n);
    w->full += n;
    return taken;
}

static size_t seal_some(ps_seal_writer *w, const uint8_t *bytes, size_t len)
{
    size_t room = most_of(w->number + w->full) - w->filled, n = len < room ? len : room;
    if (!w->begun)
        ps_seal_begin(w->stream, LANE, w->number + w->full);
    w->begun = true;
    ps_seal_add(w->stream, LANE, bytes, n, slot_at(w, w->full) + w->filled);
    w->filled += n;
    return n;
}

static void end_segment(ps_seal_writer *w)
{
    ps_seal_end(w->stream, LANE, slot_at(w, w->full) + w->filled);
    w->begun = false;
    w->filled = 0;
    w->full++;
}

ps_status ps_seal_writer_write(ps_seal_writer *w, const void *bytes, size_t len)
{
    PS_REQUIRE(!w->finished);
    if (w->failed.code)
        return ps_error_raise(&w->failed);
    const uint8_t *at = bytes;
    ps_status st = len ? need_slots(w) : PS_OK;
    w->bytes += len;
    while (!st && len) {
        if (w->begun && w->filled == most_of(w->number + w->full))
            end_segment(w);
        if (w->full == w->most)
            st = give(w, w->slots + w->most * SLOT);
        size_t taken = st || w->begun ? 0 : seal_whole(w, at, len);
        if (!st && !taken)
            taken = seal_some(w, at, len);
        at += taken;
        len -= taken;
    }
    return end_call(w, st);
}

/* The segment that was begun turns out to be the last: it is opened, and sealed as that. */
static ps_status seal_last(ps_seal_writer *w)
{
    uint8_t *at = slot_at(w, w->full);
    uint64_t number = w->number + w->full;
    ps_status st = PS_OK;
    if (w->begun) {
        ps_seal_end(w->stream, LANE, at + w->filled);
        st = ps_seal_segment_open(w->stream, LANE, number, false, at, w->filled + PS_AEAD_TAG, at);
    }
    PS_REQUIRE(!st);
    ps_seal_segment(w->stream, LANE, number, true, at, w->filled, at);
    return give(w, at + w->filled + PS_AEAD_TAG);
}

ps_status ps_seal_writer_finish(ps_seal_writer *w)
{
    if (w->failed.code)
        return ps_error_raise(&w->failed);
    if (w->finished)
        return PS_OK;
    ps_status st = need_slots(w);
    if (!st)
        w->finished = true;
    if (!st)
        st = seal_last(w);
    return end_call(w, st ? st : written(w));
}
