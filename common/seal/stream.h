/* stream: bytes sealed in segments, as Google Tink's streaming AEAD AES-GCM-HKDF lays them out
 * ("AesGcmHkdfStreaming", developers.google.com/tink/streaming-aead), so that any Tink opens what
 * psd sealed, given the key:
 *
 *     header  : u8 length of the header | salt (as long as the derived key) | 7 bytes of nonce
 *     K       = HKDF-SHA256(key, salt, info = aad)
 *     segment : AES-GCM(K, nonce = those 7 bytes | u32 big-endian number | u8 is it the last) | tag
 *
 * Every segment but the last is full, the first one less the header; bytes that fill a segment
 * exactly make it the last, and no bytes at all are still one segment. So a change, a cut, another
 * order, a segment of another stream and another aad are all noticed, and any segment can be opened
 * alone.
 *
 * A stream here is key, salt and nonces: it holds no bytes, and neither reads nor writes. Lanes are
 * for threads: calls with different lanes may run beside each other, those with one may not (not
 * asserted). */
#ifndef PS_SEAL_STREAM_H
#define PS_SEAL_STREAM_H

#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/secret.h"

typedef struct ps_seal_shape {
    uint32_t segment;   /* bytes of a full one, with its tag and, the first, with the header */
    uint32_t key_bytes; /* of K: 16 or 32, and of the salt */
} ps_seal_shape;

/* AES256_GCM_HKDF_1MB: the only one that psd writes. */
extern const ps_seal_shape ps_seal_1mb;

enum {
    PS_SEAL_LANES = 16,
    PS_SEAL_HEADER_MAX = 1 + 32 + 7,
    PS_SEAL_SEGMENT = 1 << 20, /* of ps_seal_1mb */
};

typedef struct ps_seal_stream ps_seal_stream;

/* A new one, with salt and nonces of its own. key: the data key, of as many bytes as K has, or
 * more. */
ps_seal_stream *ps_seal_stream_new(const ps_seal_shape *shape, ps_slice key, ps_slice aad);
/* One whose header is known; PS_CORRUPT: it is none of this shape. */
PS_MUST_CHECK ps_status ps_seal_stream_of(const ps_seal_shape *shape, ps_slice key, ps_slice aad,
                                          ps_slice header, ps_seal_stream **out);
void ps_seal_stream_free(ps_seal_stream **stream); /* wipes K; NULL is nothing */
/* Its header, which stands before the first segment. */
ps_slice ps_seal_stream_header(const ps_seal_stream *stream);

/* Plain bytes of a full segment of this number. */
size_t ps_seal_plain_most(const ps_seal_shape *shape, uint64_t number);
/* Where in the plain bytes a segment begins. */
uint64_t ps_seal_plain_at(const ps_seal_shape *shape, uint64_t number);
/* In which segment a plain byte lies. */
uint64_t ps_seal_segment_of(const ps_seal_shape *shape, uint64_t plain);
/* Where in the file a segment begins: the first one behind the header. */
uint64_t ps_seal_file_at(const ps_seal_shape *shape, uint64_t number);
/* Bytes of the file that so many plain bytes make. */
uint64_t ps_seal_file_bytes(const ps_seal_shape *shape, uint64_t plain);
/* The reverse; PS_CORRUPT: no stream has so many, it was cut or is none. */
PS_MUST_CHECK ps_status ps_seal_plain_bytes(const ps_seal_shape *shape, uint64_t file,
                                            uint64_t *plain);

/* len bytes, all that the segment holds, become len + PS_AEAD_TAG at out, which may begin where
 * they do. Once a number: the nonce of another time would be the same (the writer of sealed_file.h
 * goes on, and never back). */
void ps_seal_segment(ps_seal_stream *stream, size_t lane, uint64_t number, bool last,
                     const void *plain, size_t len, void *out);
/* The same in parts, of a segment that is not the last: begin, add …, end. */
void ps_seal_begin(ps_seal_stream *stream, size_t lane, uint64_t number);
void ps_seal_add(ps_seal_stream *stream, size_t lane, const void *plain, size_t len, void *out);
void ps_seal_end(ps_seal_stream *stream, size_t lane, uint8_t tag[]); /* PS_AEAD_TAG bytes */
/* The reverse of len bytes, the tag included; PS_CORRUPT: it is not that segment of this stream,
 * and out, of len - PS_AEAD_TAG bytes, is zeros. */
PS_MUST_CHECK ps_status ps_seal_segment_open(ps_seal_stream *stream, size_t lane, uint64_t number,
                                             bool last, const void *sealed, size_t len, void *out);

#endif
