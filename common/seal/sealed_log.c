/* Happy path: bytes gather, and a flush, or a mebibyte of them, makes a part. To read, the lengths
 * are gone through once; then a part is opened as a whole and kept for the next read. */
#include "common/seal/sealed_log.h"

#include "common/base/mem.h"
#include "common/base/mutex.h"
#include "common/base/require.h"
#include "common/security/aead.h"

#include <inttypes.h>

enum { LENGTH = 8, SEALED_MOST = PS_SEALED_LOG_PART + 4096 };

typedef struct part {
    uint64_t file_at, at; /* of its stream; of its first plain byte */
    uint32_t sealed, plain;
} part;

struct ps_sealed_log {
    const ps_disk *disk;
    int file;
    ps_secret *key;
    ps_buf aad;
    bool read;
    ps_mutex one; /* of what follows, while it is written */
    uint64_t n;   /* parts */
    uint64_t bytes;
    ps_buf pending;
    bool failed;
    part *parts;   /* to read */
    uint64_t kept; /* this one's bytes are `plain`; n: none */
    uint8_t *sealed, *plain;
};

static ps_sealed_log *make(const ps_disk *disk, int file, const ps_secret *key, ps_slice aad)
{
    ps_sealed_log *log = ps_new(ps_sealed_log);
    log->disk = disk;
    log->file = file;
    log->key = ps_secret_copy(key);
    ps_buf_append(&log->aad, aad.data, aad.len);
    ps_mutex_init(&log->one);
    return log;
}

ps_sealed_log *ps_sealed_log_new(const ps_disk *disk, int file, const ps_secret *key, ps_slice aad)
{
    return make(disk, file, key, aad);
}

void ps_sealed_log_free(ps_sealed_log **out)
{
    ps_sealed_log *log = *out;
    if (!log)
        return;
    ps_secret_free(&log->key);
    ps_buf_free(&log->aad);
    if (log->pending.data)
        ps_wipe(log->pending.data, log->pending.capacity);
    ps_buf_free(&log->pending);
    if (log->plain)
        ps_wipe(log->plain, SEALED_MOST);
    ps_mutex_destroy(&log->one);
    ps_free(&log->parts);
    ps_free(&log->sealed);
    ps_free(&log->plain);
    ps_free(out);
}

bool ps_sealed_log_is_read(const ps_sealed_log *log)
{
    return log->read;
}

uint64_t ps_sealed_log_bytes(ps_sealed_log *log)
{
    ps_mutex_lock(&log->one);
    uint64_t bytes = log->bytes;
    ps_mutex_unlock(&log->one);
    return bytes;
}

/* "AAD part N" */
static ps_buf aad_of(const ps_sealed_log *log, uint64_t number)
{
    ps_buf aad = PS_BUF_EMPTY;
    ps_buf_append(&aad, log->aad.data, log->aad.len);
    ps_buf_printf(&aad, " part %" PRIu64, number);
    return aad;
}

static ps_slice key_of(const ps_sealed_log *log)
{
    return ps_slice_of(ps_secret_const(log->key), PS_SECRET_BYTES);
}

/* ---- writing ---- */

/* A part of so many bytes, as it lies in the file. */
static void seal_part(const ps_sealed_log *log, const uint8_t *bytes, size_t len, ps_buf *out)
{
    ps_buf aad = aad_of(log, log->n);
    ps_seal_stream *stream = ps_seal_stream_new(&ps_seal_1mb, key_of(log), ps_buf_slice(&aad));
    ps_slice header = ps_seal_stream_header(stream);
    ps_buf_put_u64le(out, ps_seal_file_bytes(&ps_seal_1mb, len));
    ps_buf_append(out, header.data, header.len);
    size_t done = 0;
    for (uint64_t number = 0; done < len || !number; number++) {
        size_t most = ps_seal_plain_most(&ps_seal_1mb, number);
        size_t n = len - done < most ? len - done : most;
        ps_buf_reserve(out, n + PS_AEAD_TAG);
        ps_seal_segment(stream, 0, number, done + n == len, bytes + done, n, out->data + out->len);
        out->len += n + PS_AEAD_TAG;
        done += n;
    }
    ps_seal_stream_free(&stream);
    ps_buf_free(&aad);
}

/* With the lock. */
static ps_status put_part(ps_sealed_log *log)
{
    ps_buf sealed = PS_BUF_EMPTY;
    seal_part(log, log->pending.data, log->pending.len, &sealed);
    ps_status st = ps_disk_write_all(log->disk, log->file, sealed.data, sealed.len);
    ps_buf_free(&sealed);
    log->failed = st != PS_OK;
    log->n++;
    ps_buf_clear(&log->pending);
    return st;
}

static ps_status check_whole(const ps_sealed_log *log)
{
    return log->failed ? ps_fail(PS_IO, "what was to be sealed before was not written") : PS_OK;
}

static ps_status write_some(ps_sealed_log *log, const uint8_t *bytes, size_t len)
{
    ps_status st = check_whole(log);
    while (!st && len) {
        size_t room = PS_SEALED_LOG_PART - log->pending.len, n = len < room ? len : room;
        ps_buf_append(&log->pending, bytes, n);
        log->bytes += n;
        bytes += n;
        len -= n;
        if (n == room)
            st = put_part(log);
    }
    return st;
}

ps_status ps_sealed_log_write(ps_sealed_log *log, const void *bytes, size_t len)
{
    PS_REQUIRE(!log->read);
    ps_mutex_lock(&log->one);
    ps_status st = write_some(log, bytes, len);
    ps_mutex_unlock(&log->one);
    return st;
}

ps_status ps_sealed_log_flush(ps_sealed_log *log)
{
    PS_REQUIRE(!log->read);
    ps_mutex_lock(&log->one);
    ps_status st = check_whole(log);
    if (!st && log->pending.len)
        st = put_part(log);
    ps_mutex_unlock(&log->one);
    return st;
}

/* ---- reading ---- */

static void add_part(ps_sealed_log *log, uint64_t file_at, uint32_t sealed, uint32_t plain)
{
    if (!(log->n & (log->n - 1))) /* as many as there is room for: a power of two */
        log->parts = ps_realloc(log->parts, (log->n ? 2 * log->n : 1) * sizeof *log->parts);
    log->parts[log->n++] = (part){file_at, log->bytes, sealed, plain};
    log->bytes += plain;
}

/* The lengths, up to a part that is cut. */
static ps_status find_parts(ps_sealed_log *log)
{
    uint64_t size, at = 0;
    ps_status st = log->disk->size(log->disk->state, log->file, &size);
    while (!st && size - at >= LENGTH) {
        uint8_t bytes[LENGTH];
        st = log->disk->seek(log->disk->state, log->file, at);
        st = st ? st : ps_disk_read_full(log->disk, log->file, bytes, sizeof bytes);
        if (st)
            break;
        ps_cursor c = ps_cursor_of(ps_slice_of(bytes, sizeof bytes));
        uint64_t sealed = ps_read_u64le(&c), plain = 0;
        at += LENGTH;
        if (sealed > SEALED_MOST)
            st = ps_fail(PS_CORRUPT, "no part has %" PRIu64 " bytes (byte %" PRIu64 ")", sealed,
                         at - LENGTH);
        else
            st = ps_seal_plain_bytes(&ps_seal_1mb, sealed, &plain);
        if (st || sealed > size - at)
            break;
        add_part(log, at, (uint32_t)sealed, (uint32_t)plain);
        at += sealed;
    }
    return st;
}

ps_status ps_sealed_log_open(const ps_disk *disk, int file, const ps_secret *key, ps_slice aad,
                             ps_sealed_log **out)
{
    ps_sealed_log *log = make(disk, file, key, aad);
    log->read = true;
    ps_status st = find_parts(log);
    log->kept = log->n;
    if (st)
        ps_sealed_log_free(&log);
    else
        *out = log;
    return st;
}

/* The sealed bytes of a part become its plain ones. */
static ps_status open_stream(ps_sealed_log *log, uint64_t number)
{
    const part *p = &log->parts[number];
    const size_t header = ps_seal_file_at(&ps_seal_1mb, 0);
    ps_seal_stream *stream = NULL;
    ps_buf aad = aad_of(log, number);
    ps_status st = ps_seal_stream_of(&ps_seal_1mb, key_of(log), ps_buf_slice(&aad),
                                     ps_slice_of(log->sealed, header), &stream);
    for (size_t i = 0, at = header, done = 0; !st && at < p->sealed; i++) {
        size_t most = ps_seal_plain_most(&ps_seal_1mb, i) + PS_AEAD_TAG;
        size_t n = p->sealed - at < most ? p->sealed - at : most;
        st = ps_seal_segment_open(stream, 0, i, at + n == p->sealed, log->sealed + at, n,
                                  log->plain + done);
        done += n - PS_AEAD_TAG;
        at += n;
    }
    ps_seal_stream_free(&stream);
    ps_buf_free(&aad);
    return st ? ps_wrap(st, "part %" PRIu64 " (byte %" PRIu64 ")", number, p->file_at) : PS_OK;
}

static ps_status keep(ps_sealed_log *log, uint64_t number)
{
    const part *p = &log->parts[number];
    if (!log->sealed) {
        log->sealed = ps_alloc(SEALED_MOST);
        log->plain = ps_alloc(SEALED_MOST);
    }
    log->kept = log->n;
    ps_status st = log->disk->seek(log->disk->state, log->file, p->file_at);
    st = st ? st : ps_disk_read_full(log->disk, log->file, log->sealed, p->sealed);
    st = st ? st : open_stream(log, number);
    if (!st)
        log->kept = number;
    return st;
}

/* The part that has the byte: the last that begins at it or before. */
static uint64_t part_of(const ps_sealed_log *log, uint64_t at)
{
    uint64_t low = 0, high = log->n;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (log->parts[middle].at <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

ps_status ps_sealed_log_read(ps_sealed_log *log, uint64_t at, void *out, size_t len, size_t *got)
{
    PS_REQUIRE(log->read);
    *got = 0;
    if (at >= log->bytes)
        return PS_OK;
    uint64_t number = part_of(log, at);
    ps_status st = number == log->kept ? PS_OK : keep(log, number);
    if (st)
        return st;
    const part *p = &log->parts[number];
    size_t into = (size_t)(at - p->at), left = p->plain - into;
    *got = len < left ? len : left;
    memcpy(out, log->plain + into, *got);
    return PS_OK;
}
