/* Happy path: bytes gather until a chunk is full and one more byte has come: only then it is known
 * not to be the last. */
#include "common/age/age_file.h"
#include "common/age/age_header.h"
#include "common/age/age_payload.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/secret.h"

struct ps_age_writer {
    const ps_disk *disk;
    int file;
    uint8_t *key;
    ps_age_payload *payload;
    uint64_t number, bytes; /* of the chunk that gathers; plain ones in all */
    size_t used;
    bool finished;
    ps_error failed; /* the first failure: bytes are missing, and every later call fails */
    uint8_t chunk[PS_AGE_SEALED_CHUNK];
};

ps_status ps_age_writer_new(const ps_disk *disk, int file, const ps_age_recipients *recipients,
                            ps_age_writer **out)
{
    ps_age_writer *w = ps_new(ps_age_writer);
    uint8_t nonce[PS_AGE_NONCE];
    ps_buf header = PS_BUF_EMPTY;
    ps_secret *random = ps_secret_random();
    w->disk = disk;
    w->file = file;
    w->key = ps_secret_alloc(PS_AGE_FILE_KEY);
    memcpy(w->key, ps_secret_const(random), PS_AGE_FILE_KEY);
    ps_secret_free(&random);
    ps_random_public(nonce, sizeof nonce);
    w->payload = ps_age_payload_new(w->key, nonce);
    ps_age_header_write(recipients, w->key, &header);
    ps_buf_append(&header, nonce, sizeof nonce);
    ps_status st = ps_disk_write_all(disk, file, header.data, header.len);
    ps_buf_free(&header);
    if (st)
        ps_age_writer_free(&w);
    else
        *out = w;
    return st;
}

static ps_status flush(ps_age_writer *w, bool last)
{
    ps_age_chunk_seal(w->payload, w->number, last, w->chunk, w->used, w->chunk);
    size_t sealed = w->used + (PS_AGE_SEALED_CHUNK - PS_AGE_CHUNK);
    w->number++;
    w->used = 0;
    ps_status st = ps_disk_write_all(w->disk, w->file, w->chunk, sealed);
    if (st)
        ps_error_save(&w->failed, st);
    return st;
}

static ps_status check_whole(const ps_age_writer *w)
{
    return w->failed.code ? ps_error_raise(&w->failed) : PS_OK;
}

ps_status ps_age_writer_write(ps_age_writer *w, const void *bytes, size_t len)
{
    PS_REQUIRE(!w->finished);
    const uint8_t *from = bytes;
    ps_status st = check_whole(w);
    while (!st && len) {
        if (w->used == PS_AGE_CHUNK)
            st = flush(w, false);
        size_t n = PS_AGE_CHUNK - w->used < len ? PS_AGE_CHUNK - w->used : len;
        if (st)
            break;
        memcpy(w->chunk + w->used, from, n);
        w->used += n;
        w->bytes += n;
        from += n;
        len -= n;
    }
    return st;
}

ps_status ps_age_writer_finish(ps_age_writer *w)
{
    ps_status st = check_whole(w);
    if (st || w->finished)
        return st;
    w->finished = true; /* a number is used once, whatever the disk says */
    return flush(w, true);
}

uint64_t ps_age_writer_bytes(const ps_age_writer *w)
{
    return w->bytes;
}

const uint8_t *ps_age_writer_key(const ps_age_writer *w)
{
    return w->key;
}

void ps_age_writer_free(ps_age_writer **writer)
{
    ps_age_writer *w = *writer;
    if (!w)
        return;
    ps_age_payload_free(&w->payload);
    ps_secret_release(w->key);
    ps_wipe(w->chunk, sizeof w->chunk);
    ps_free(writer);
}
