/* Happy path: bytes gather in slots, each the room of a segment in the file, are sealed in place
 * and written together. Whole segments that a caller has in one piece are sealed from where they
 * are. What is in hand waits until a byte follows it, or the end: only then it is known whether its
 * segment is the last. */
#include "common/seal/sealed_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/seal/seal_lanes.h"
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
    ps_free(&(*writer)->slots);
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
    if (w->slots)
        return PS_OK;
    w->slots = ps_try_alloc_raw(w->batch * SLOT);
    return w->slots ? PS_OK : ps_fail(PS_NO_MEMORY, "no memory to seal a file in");
}

/* n slots are sealed, all full but the last, whose sealed bytes these are. */
static ps_status put_slots(ps_seal_writer *w, size_t n, size_t last_bytes)
{
    if (!w->number) {
        ps_slice header = ps_seal_stream_header(w->stream);
        memcpy(w->slots, header.data, header.len);
    }
    const uint8_t *end = slot_at(w, n - 1) + last_bytes;
    ps_status st = ps_disk_write_all(w->disk, w->file, w->slots, (size_t)(end - w->slots));
    w->number += n;
    return st;
}

/* The full slots, none of which is the last segment. */
static ps_status put_full(ps_seal_writer *w)
{
    ps_seal_part parts[PS_SEAL_BATCH_MOST];
    for (size_t i = 0; i < w->full; i++)
        parts[i] = (ps_seal_part){w->number + i, false, slot_at(w, i), most_of(w->number + i),
                                  slot_at(w, i)};
    ps_seal_parts(w->stream, parts, w->full);
    size_t n = w->full;
    w->full = 0;
    return n ? put_slots(w, n, most_of(w->number + n - 1) + PS_AEAD_TAG) : PS_OK;
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
    ps_seal_parts(w->stream, parts, n);
    *taken = used;
    return n ? put_slots(w, n, parts[n - 1].len + PS_AEAD_TAG) : PS_OK;
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
    ps_seal_parts(w->stream, parts, n + 1);
    return put_slots(w, n + 1, last + PS_AEAD_TAG);
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
