/* Happy path: as much of the file is read as a header may have; the last chunk says that nothing is
 * missing; then a chunk at a time, the one that was last opened being kept. */
#include "common/age/age_file.h"
#include "common/age/age_header.h"
#include "common/age/age_payload.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/secret.h"

#define NO_CHUNK UINT64_MAX

struct ps_age_reader {
    const ps_disk *disk;
    int file;
    ps_age_payload *payload;
    uint64_t begin, sealed, bytes; /* of chunks: where in the file, how many there; plain ones */
    uint64_t number;               /* of the chunk that is open, */
    size_t len;                    /* and what it holds */
    uint8_t chunk[PS_AGE_SEALED_CHUNK];
};

static ps_status read_at(const ps_age_reader *r, uint64_t at, void *out, size_t len)
{
    ps_status st = r->disk->seek(r->disk->state, r->file, at);
    return st ? st : ps_disk_read_full(r->disk, r->file, out, len);
}

static ps_status open_chunk(ps_age_reader *r, uint64_t number)
{
    if (r->number == number)
        return PS_OK;
    const uint64_t at = number * PS_AGE_SEALED_CHUNK;
    PS_REQUIRE(at < r->sealed);
    const bool last = r->sealed - at <= PS_AGE_SEALED_CHUNK;
    const size_t len = last ? (size_t)(r->sealed - at) : PS_AGE_SEALED_CHUNK;
    r->number = NO_CHUNK;
    ps_status st = read_at(r, r->begin + at, r->chunk, len);
    if (!st)
        st = ps_age_chunk_open(r->payload, number, last, r->chunk, len, r->chunk);
    if (st)
        return st;
    r->number = number;
    r->len = len - (PS_AGE_SEALED_CHUNK - PS_AGE_CHUNK);
    return PS_OK;
}

/* "Seeking relatively to the end of file MUST first decrypt and verify that the last chunk is a
 * valid final chunk": the file's size is somebody's word until then. */
static ps_status check_end(ps_age_reader *r, uint64_t size)
{
    if (size < r->begin)
        return ps_fail(PS_CORRUPT, "it was cut: an age file goes on behind its header");
    r->sealed = size - r->begin;
    ps_status st = ps_age_plain_bytes(r->sealed, &r->bytes);
    return st ? st : open_chunk(r, (r->sealed - 1) / PS_AGE_SEALED_CHUNK);
}

static ps_status begin(ps_age_reader *r, const ps_age_identities *identities, uint8_t *key)
{
    uint8_t *head = ps_alloc(PS_AGE_HEADER_MOST);
    uint8_t nonce[PS_AGE_NONCE];
    uint64_t size;
    size_t header = 0;
    ps_status st = r->disk->size(r->disk->state, r->file, &size);
    size_t len = !st && size < PS_AGE_HEADER_MOST ? (size_t)size : PS_AGE_HEADER_MOST;
    if (!st)
        st = read_at(r, 0, head, len);
    if (!st)
        st = ps_age_header_read(ps_slice_of(head, len), identities, key, &header);
    ps_free(&head);
    if (st)
        return st;
    r->begin = header + PS_AGE_NONCE;
    if (size < r->begin)
        return check_end(r, size);
    st = read_at(r, header, nonce, sizeof nonce);
    if (st)
        return st;
    r->payload = ps_age_payload_new(key, nonce);
    return check_end(r, size);
}

ps_status ps_age_reader_new(const ps_disk *disk, int file, const ps_age_identities *identities,
                            const uint8_t *key, ps_age_reader **out)
{
    PS_REQUIRE(!identities != !key);
    ps_age_reader *r = ps_new(ps_age_reader);
    uint8_t *own = ps_secret_alloc(PS_AGE_FILE_KEY);
    r->disk = disk;
    r->file = file;
    r->number = NO_CHUNK;
    if (key)
        memcpy(own, key, PS_AGE_FILE_KEY);
    ps_status st = begin(r, identities, own);
    ps_secret_release(own);
    if (st)
        ps_age_reader_free(&r);
    else
        *out = r;
    return st;
}

uint64_t ps_age_reader_bytes(const ps_age_reader *reader)
{
    return reader->bytes;
}

ps_status ps_age_reader_read(ps_age_reader *r, uint64_t at, void *out, size_t len, size_t *got)
{
    uint8_t *to = out;
    ps_status st = PS_OK;
    for (*got = 0; !st && len && at < r->bytes;) {
        st = open_chunk(r, at / PS_AGE_CHUNK);
        if (st)
            break;
        size_t from = (size_t)(at % PS_AGE_CHUNK);
        size_t n = r->len - from < len ? r->len - from : len;
        memcpy(to, r->chunk + from, n);
        *got += n;
        to += n;
        at += n;
        len -= n;
    }
    return st;
}

void ps_age_reader_free(ps_age_reader **reader)
{
    ps_age_reader *r = *reader;
    if (!r)
        return;
    ps_age_payload_free(&r->payload);
    ps_wipe(r->chunk, sizeof r->chunk);
    ps_free(reader);
}
