/* Happy path: whole segments that a caller wants are opened into where it wants them; of others the
 * opened ones of the last read are kept. Who reads on where the last read ended gets the next few
 * opened at once. */
#include "common/seal/sealed_file.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/seal/seal_lanes.h"
#include "common/seal/seal_memory.h"
#include "common/security/aead.h"

enum { SLOT = PS_SEAL_SEGMENT };

struct ps_seal_reader {
    const ps_disk *disk;
    int file;
    ps_seal_stream *stream;
    uint64_t file_bytes, bytes; /* of the file; plain */
    uint64_t segments;
    size_t batch;
    uint8_t *slots; /* batch of the file's segments, opened in place */
    uint64_t first; /* segment in the first slot; */
    size_t kept;    /* so many are open */
    uint64_t next;  /* where the last read ended */
    uint64_t opened;
};

static ps_status begin(ps_seal_reader *r, const ps_secret *key, ps_slice aad)
{
    uint8_t header[1 + 32 + 7];
    ps_status st = r->disk->size(r->disk->state, r->file, &r->file_bytes);
    st = st ? st : ps_seal_plain_bytes(&ps_seal_1mb, r->file_bytes, &r->bytes);
    st = st ? st : r->disk->seek(r->disk->state, r->file, 0);
    st = st ? st : ps_disk_read_full(r->disk, r->file, header, sizeof header);
    if (st)
        return st;
    r->segments = r->bytes ? ps_seal_segment_of(&ps_seal_1mb, r->bytes - 1) + 1 : 1;
    return ps_seal_stream_of(&ps_seal_1mb, ps_slice_of(ps_secret_const(key), PS_SECRET_BYTES), aad,
                             ps_slice_of(header, sizeof header), &r->stream);
}

ps_status ps_seal_reader_new(const ps_disk *disk, int file, const ps_secret *key, ps_slice aad,
                             ps_seal_reader **out)
{
    ps_seal_reader *r = ps_new(ps_seal_reader);
    r->disk = disk;
    r->file = file;
    r->batch = ps_seal_batch();
    ps_status st = begin(r, key, aad);
    if (st)
        ps_seal_reader_free(&r);
    else
        *out = r;
    return st;
}

uint64_t ps_seal_reader_bytes(const ps_seal_reader *r)
{
    return r->bytes;
}

uint64_t ps_seal_reader_opened(const ps_seal_reader *r)
{
    return r->opened;
}

void ps_seal_reader_free(ps_seal_reader **reader)
{
    if (!*reader)
        return;
    ps_seal_stream_free(&(*reader)->stream);
    if ((*reader)->slots) {
        ps_wipe((*reader)->slots, (*reader)->batch * SLOT);
        ps_seal_memory_give((*reader)->batch);
    }
    ps_free(&(*reader)->slots);
    ps_free(reader);
}

/* Bytes that a segment has in the file. */
static size_t sealed_bytes(const ps_seal_reader *r, uint64_t number)
{
    uint64_t at = ps_seal_file_at(&ps_seal_1mb, number);
    uint64_t end = number + 1 == r->segments ? r->file_bytes : (number + 1) * SLOT;
    return (size_t)(end - at);
}

static uint8_t *slot_of(const ps_seal_reader *r, uint64_t first, uint64_t number)
{
    return r->slots + (number - first) * SLOT + (number ? 0 : ps_seal_stream_header(r->stream).len);
}

/* As many as there is room for, at the first read. */
static ps_status need_slots(ps_seal_reader *r)
{
    size_t batch;
    ps_status st = r->slots ? PS_OK : ps_seal_memory_take(r->batch, &batch);
    if (st || r->slots)
        return st;
    r->batch = batch;
    r->slots = ps_try_alloc_raw(batch * SLOT);
    if (r->slots)
        return PS_OK;
    ps_seal_memory_give(batch);
    return ps_fail(PS_NO_MEMORY, "no memory to open a sealed file in");
}

/* Segments first to first + n - 1, sealed, into the slots; what was kept there is gone. */
static ps_status fetch(ps_seal_reader *r, uint64_t first, size_t n)
{
    PS_REQUIRE(n && n <= r->batch && first + n <= r->segments);
    r->kept = 0;
    uint8_t *to = slot_of(r, first, first);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += sealed_bytes(r, first + i);
    ps_status st = r->disk->seek(r->disk->state, r->file, ps_seal_file_at(&ps_seal_1mb, first));
    return st ? st : ps_disk_read_full(r->disk, r->file, to, bytes);
}

/* The same, opened to `to`, one behind the other; NULL: in place. */
static ps_status open_segments(ps_seal_reader *r, uint64_t first, size_t n, uint8_t *to)
{
    ps_status st = fetch(r, first, n);
    if (st)
        return st;
    ps_seal_part parts[PS_SEAL_BATCH_MOST];
    for (size_t i = 0; i < n; i++) {
        uint64_t number = first + i;
        uint8_t *slot = slot_of(r, first, number);
        parts[i] = (ps_seal_part){number, number + 1 == r->segments, slot, sealed_bytes(r, number),
                                  to ? to : slot};
        if (to)
            to += parts[i].len - PS_AEAD_TAG;
    }
    r->opened += n;
    return ps_seal_parts_open(r->stream, parts, n);
}

/* How many whole segments from this one on are wanted, of those that fit in len bytes. */
static size_t whole_ones(const ps_seal_reader *r, uint64_t number, size_t len, size_t *bytes)
{
    size_t n = 0;
    *bytes = 0;
    for (; n < r->batch && number + n < r->segments; n++) {
        size_t plain = sealed_bytes(r, number + n) - PS_AEAD_TAG;
        if (!plain || *bytes + plain > len)
            break;
        *bytes += plain;
    }
    return n;
}

static bool is_kept(const ps_seal_reader *r, uint64_t number)
{
    return number >= r->first && number - r->first < r->kept;
}

static ps_status keep(ps_seal_reader *r, uint64_t number, size_t n)
{
    if (n > r->segments - number)
        n = (size_t)(r->segments - number);
    ps_status st = open_segments(r, number, n, NULL);
    if (st)
        return st;
    r->first = number;
    r->kept = n;
    return PS_OK;
}

/* Up to len bytes at `at`, which is before the end; *got at least one. */
static ps_status read_some(ps_seal_reader *r, uint64_t at, uint8_t *out, size_t len, bool on,
                           size_t *got)
{
    uint64_t number = ps_seal_segment_of(&ps_seal_1mb, at);
    size_t into = (size_t)(at - ps_seal_plain_at(&ps_seal_1mb, number)), bytes;
    size_t whole = into || is_kept(r, number) ? 0 : whole_ones(r, number, len, &bytes);
    if (whole) {
        *got = bytes;
        return open_segments(r, number, whole, out);
    }
    ps_status st = is_kept(r, number) ? PS_OK : keep(r, number, on ? r->batch : 1);
    if (st)
        return st;
    size_t plain = sealed_bytes(r, number) - PS_AEAD_TAG - into;
    *got = len < plain ? len : plain;
    memcpy(out, slot_of(r, r->first, number) + into, *got);
    return PS_OK;
}

ps_status ps_seal_reader_read(ps_seal_reader *r, uint64_t at, void *out, size_t len, size_t *got)
{
    uint8_t *to = out;
    const bool on = at == r->next && at; /* as somebody reads who reads it all */
    *got = 0;
    if (at >= r->bytes && r->bytes)
        return PS_OK;
    ps_status st = need_slots(r);
    if (st)
        return st;
    if (!r->bytes) /* an empty one is a segment, too */
        return r->kept ? PS_OK : keep(r, 0, 1);
    if (len > r->bytes - at)
        len = (size_t)(r->bytes - at);
    while (!st && *got < len) {
        size_t n = 0;
        st = read_some(r, at + *got, to + *got, len - *got, on, &n);
        *got += st ? 0 : n;
    }
    r->next = at + *got;
    return st;
}
