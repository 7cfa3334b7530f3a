/* Happy path: K is derived once, a lane gets its AES-GCM with that key when it is first used, and a
 * segment is one call. All arithmetic is on sizes below 2^52 (2^32 segments of a mebibyte). */
#include "common/seal/stream.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/aead.h"

enum { PREFIX = 7, KEY_MAX = 32 };

const ps_seal_shape ps_seal_1mb = {.segment = PS_SEAL_SEGMENT, .key_bytes = 32};

struct ps_seal_stream {
    ps_seal_shape shape;
    uint8_t *key; /* K */
    uint8_t header[PS_SEAL_HEADER_MAX];
    ps_aead *lanes[PS_SEAL_LANES];
};

static size_t header_bytes(const ps_seal_shape *shape)
{
    return 1 + shape->key_bytes + PREFIX;
}

static void require_shape(const ps_seal_shape *shape)
{
    PS_REQUIRE(shape->key_bytes == 16 || shape->key_bytes == 32);
    PS_REQUIRE(shape->segment > header_bytes(shape) + PS_AEAD_TAG);
}

static ps_seal_stream *derive(const ps_seal_shape *shape, ps_slice key, ps_slice aad,
                              const uint8_t *header)
{
    require_shape(shape);
    PS_REQUIRE(key.len >= shape->key_bytes);
    ps_seal_stream *stream = ps_new(ps_seal_stream);
    stream->shape = *shape;
    stream->key = ps_secret_alloc(KEY_MAX);
    memcpy(stream->header, header, header_bytes(shape));
    ps_hkdf_sha256(key, ps_slice_of(header + 1, shape->key_bytes), aad, stream->key,
                   shape->key_bytes);
    return stream;
}

ps_seal_stream *ps_seal_stream_new(const ps_seal_shape *shape, ps_slice key, ps_slice aad)
{
    uint8_t header[PS_SEAL_HEADER_MAX];
    header[0] = (uint8_t)header_bytes(shape);
    ps_random_public(header + 1, header_bytes(shape) - 1);
    return derive(shape, key, aad, header);
}

ps_status ps_seal_stream_of(const ps_seal_shape *shape, ps_slice key, ps_slice aad, ps_slice header,
                            ps_seal_stream **out)
{
    if (header.len != header_bytes(shape) || header.data[0] != header.len)
        return ps_fail(PS_CORRUPT, "it does not begin as a sealed file does (byte 0)");
    *out = derive(shape, key, aad, header.data);
    return PS_OK;
}

void ps_seal_stream_free(ps_seal_stream **stream)
{
    if (!*stream)
        return;
    for (size_t i = 0; i < PS_SEAL_LANES; i++)
        ps_aead_free(&(*stream)->lanes[i]);
    ps_secret_release((*stream)->key);
    ps_free(stream);
}

ps_slice ps_seal_stream_header(const ps_seal_stream *stream)
{
    return ps_slice_of(stream->header, header_bytes(&stream->shape));
}

/* ---- where what is ---- */

size_t ps_seal_plain_most(const ps_seal_shape *shape, uint64_t number)
{
    return shape->segment - PS_AEAD_TAG - (number ? 0 : header_bytes(shape));
}

uint64_t ps_seal_plain_at(const ps_seal_shape *shape, uint64_t number)
{
    return number ? number * (shape->segment - PS_AEAD_TAG) - header_bytes(shape) : 0;
}

uint64_t ps_seal_segment_of(const ps_seal_shape *shape, uint64_t plain)
{
    return (plain + header_bytes(shape)) / (shape->segment - PS_AEAD_TAG);
}

uint64_t ps_seal_file_at(const ps_seal_shape *shape, uint64_t number)
{
    return number ? number * shape->segment : header_bytes(shape);
}

uint64_t ps_seal_file_bytes(const ps_seal_shape *shape, uint64_t plain)
{
    uint64_t last = plain ? ps_seal_segment_of(shape, plain - 1) : 0;
    return header_bytes(shape) + plain + (last + 1) * PS_AEAD_TAG;
}

ps_status ps_seal_plain_bytes(const ps_seal_shape *shape, uint64_t file, uint64_t *plain)
{
    const size_t least = header_bytes(shape) + PS_AEAD_TAG;
    if (file < least)
        return ps_fail(PS_CORRUPT,
                       "%llu bytes are too few for a sealed file, which has %zu or more",
                       (unsigned long long)file, least);
    uint64_t segments = (file - 1) / shape->segment + 1;
    uint64_t rest = file - (segments - 1) * shape->segment; /* of the last */
    /* one whose last segment holds nothing was never written: the one before would be the last */
    if (segments > UINT32_MAX || (segments > 1 && rest <= PS_AEAD_TAG))
        return ps_fail(PS_CORRUPT, "no sealed file has %llu bytes: it was cut, or is none",
                       (unsigned long long)file);
    *plain = file - header_bytes(shape) - segments * PS_AEAD_TAG;
    return PS_OK;
}

/* ---- one segment ---- */

static ps_aead *lane_of(ps_seal_stream *stream, size_t lane)
{
    PS_REQUIRE(lane < PS_SEAL_LANES);
    if (!stream->lanes[lane])
        stream->lanes[lane] = ps_aead_new(ps_slice_of(stream->key, stream->shape.key_bytes));
    return stream->lanes[lane];
}

static void make_nonce(const ps_seal_stream *stream, uint64_t number, bool last,
                       uint8_t out[PS_AEAD_NONCE])
{
    PS_REQUIRE(number < UINT32_MAX);
    memcpy(out, stream->header + 1 + stream->shape.key_bytes, PREFIX);
    ps_put_u32be(out + PREFIX, (uint32_t)number);
    out[PREFIX + 4] = last;
}

void ps_seal_segment(ps_seal_stream *stream, size_t lane, uint64_t number, bool last,
                     const void *plain, size_t len, void *out)
{
    PS_REQUIRE(len <= ps_seal_plain_most(&stream->shape, number));
    PS_REQUIRE(last || len == ps_seal_plain_most(&stream->shape, number));
    uint8_t nonce[PS_AEAD_NONCE];
    make_nonce(stream, number, last, nonce);
    ps_aead_seal(lane_of(stream, lane), ps_slice_of(nonce, sizeof nonce), (ps_slice){0}, plain, len,
                 out);
}

void ps_seal_begin(ps_seal_stream *stream, size_t lane, uint64_t number)
{
    uint8_t nonce[PS_AEAD_NONCE];
    make_nonce(stream, number, false, nonce);
    ps_aead_begin(lane_of(stream, lane), ps_slice_of(nonce, sizeof nonce), (ps_slice){0});
}

void ps_seal_add(ps_seal_stream *stream, size_t lane, const void *plain, size_t len, void *out)
{
    ps_aead_add(lane_of(stream, lane), plain, len, out);
}

void ps_seal_end(ps_seal_stream *stream, size_t lane, uint8_t tag[])
{
    ps_aead_end(lane_of(stream, lane), tag);
}

ps_status ps_seal_segment_open(ps_seal_stream *stream, size_t lane, uint64_t number, bool last,
                               const void *sealed, size_t len, void *out)
{
    uint8_t nonce[PS_AEAD_NONCE];
    make_nonce(stream, number, last, nonce);
    ps_status st = ps_aead_open(lane_of(stream, lane), ps_slice_of(nonce, sizeof nonce),
                                (ps_slice){0}, sealed, len, out);
    return st ? ps_fail(PS_CORRUPT, "segment %llu does not authenticate (byte %llu)",
                        (unsigned long long)number,
                        (unsigned long long)ps_seal_file_at(&stream->shape, number))
              : PS_OK;
}
