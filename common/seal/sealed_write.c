/* Happy path: bytes gather in slots, each the room of a segment in the file, are sealed in place
 * and written together. Whole segments that a caller has in one piece are sealed from where they
 * are. What is in hand waits until a byte follows it, or the end: only then it is known whether its
 * segment is the last. */
#include "common/seal/sealed_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/seal/seal_lanes.h"
#include "common/seal/seal_memory.h"
#include "common/security/aead.h"

enum { SLOT = PS_SEAL_SEGMENT };

struct ps_seal_writer {
    const ps_disk *disk;
    int file;
    ps_seal_stream *stream;
    size_t batch;
    uint8_t *slots;  /* batch of them; NULL until there are bytes */
    uint64_t number; /* of the segment in the first slot */
    size_t full;     /* slots whose plain bytes are all there; */
    size_t filled;   /* plain bytes of the one behind them */
    uint64_t bytes;
    bool finished;
    size_t held;    /* slots that are counted */
    uint8_t *ready; /* as many slots, sealed and not yet written: */
    size_t n_ready; /* so many bytes */
    ps_error error; /* of their writing */
};

ps_seal_writer *ps_seal_writer_new(const ps_disk *disk, int file, const ps_secret *key,
                                   ps_slice aad)
{
    ps_seal_writer *w = ps_new(ps_seal_writer);
    w->disk = disk;
    w->file = file;
    w->batch = ps_seal_batch();
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

void ps_seal_writer_free(ps_seal_writer **writer)
{
    if (!*writer)
        return;
    ps_seal_stream_free(&(*writer)->stream);
    if ((*writer)->slots)
        ps_wipe((*writer)->slots, (*writer)->batch * SLOT);
    ps_seal_memory_give((*writer)->held);
    ps_free(&(*writer)->slots);
    ps_free(&(*writer)->ready); /* it has what was sealed */
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
        ps_seal_memory_count(w->held = 2 * w->batch);
    if (!w->slots)
        w->slots = ps_try_alloc_raw(w->batch * SLOT);
    if (!w->ready)
        w->ready = ps_try_alloc_raw(w->batch * SLOT);
    return w->slots && w->ready ? PS_OK : ps_fail(PS_NO_MEMORY, "no memory to seal a file in");
}

static void write_ready(void *user)
{
    ps_seal_writer *w = user;
    ps_status st = ps_disk_write_all(w->disk, w->file, w->ready, w->n_ready);
    w->n_ready = 0;
    w->error.code = PS_OK;
    if (st)
        ps_error_save(&w->error, st);
}

static ps_status told(const ps_seal_writer *w)
{
    return w->error.code ? ps_error_raise(&w->error) : PS_OK;
}

/* The parts are sealed into the slots, of which n are then full but for the last, whose sealed
 * bytes these are; meanwhile those of before are written. */
static ps_status seal_slots(ps_seal_writer *w, const ps_seal_part *parts, size_t n,
                            size_t last_bytes)
{
    ps_seal_parts(w->stream, parts, n, w->n_ready ? write_ready : NULL, w);
    if (!w->number) {
        ps_slice header = ps_seal_stream_header(w->stream);
        memcpy(w->slots, header.data, header.len);
    }
    const uint8_t *end = slot_at(w, n - 1) + last_bytes;
    w->n_ready = (size_t)(end - w->slots);
    uint8_t *sealed = w->slots;
    w->slots = w->ready;
    w->ready = sealed;
    w->number += n;
    return told(w);
}

/* The full slots, none of which is the last segment. */
static ps_status put_full(ps_seal_writer *w)
{
    ps_seal_part parts[PS_SEAL_BATCH_MOST];
    for (size_t i = 0; i < w->full; i++)
        parts[i] = (ps_seal_part){w->number + i, false, slot_at(w, i), most_of(w->number + i),
                                  slot_at(w, i)};
    size_t n = w->full;
    w->full = 0;
    return n ? seal_slots(w, parts, n, parts[n - 1].len + PS_AEAD_TAG) : PS_OK;
}

/* With nothing in hand: as many whole segments as there are before the last of len bytes; *taken of
 * them. */
static ps_status put_straight(ps_seal_writer *w, const uint8_t *bytes, size_t len, size_t *taken)
{
    ps_seal_part parts[PS_SEAL_BATCH_MOST];
    size_t n = 0, used = 0;
    for (; n < w->batch && len - used > most_of(w->number + n); n++) {
        parts[n] = (ps_seal_part){w->number + n, false, bytes + used, most_of(w->number + n),
                                  slot_at(w, n)};
        used += parts[n].len;
    }
    *taken = used;
    return n ? seal_slots(w, parts, n, parts[n - 1].len + PS_AEAD_TAG) : PS_OK;
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
        size_t taken = 0;
        if (w->full == w->batch || (w->full && !w->filled && len > most_of(w->number + w->full)))
            st = put_full(w);
        if (!st && !w->full && !w->filled)
            st = put_straight(w, at, len, &taken);
        if (!st && !taken)
            taken = gather(w, at, len);
        at += taken;
        len -= taken;
    }
    return st;
}

/* All slots, the last segment of the file among them. */
static ps_status put_last(ps_seal_writer *w)
{
    size_t n = w->full, last = w->filled;
    if (n && !last) /* its segment is full, and the last */
        last = most_of(w->number + --n);
    ps_seal_part parts[PS_SEAL_BATCH_MOST];
    for (size_t i = 0; i <= n; i++)
        parts[i] = (ps_seal_part){w->number + i, i == n, slot_at(w, i),
                                  i == n ? last : most_of(w->number + i), slot_at(w, i)};
    ps_status st = seal_slots(w, parts, n + 1, last + PS_AEAD_TAG);
    if (!st)
        write_ready(w);
    return st ? st : told(w);
}

ps_status ps_seal_writer_finish(ps_seal_writer *w)
{
    if (w->finished)
        return PS_OK;
    ps_status st = need_slots(w);
    if (!st)
        w->finished = true;
    return st ? st : put_last(w);
}
