/* age_payload: what stands behind the header of an age file (c2sp.org/age, "Payload"):
 *
 *     16 random bytes | chunk | chunk | … | last chunk
 *     key   = HKDF-SHA256(file key, salt = those bytes, info = "payload")
 *     chunk = ChaCha20-Poly1305(key, nonce = u88 big-endian number | u8 is it the last) | tag
 *
 * Every chunk but the last holds 64 KiB; the last holds 1 byte or more, unless all is empty. Holds
 * no bytes, and neither reads nor writes. One thread at a time (not asserted: it is its maker's
 * alone). */
#ifndef PS_AGE_AGE_PAYLOAD_H
#define PS_AGE_AGE_PAYLOAD_H

#include "common/base/slice.h"
#include "common/base/status.h"

enum {
    PS_AGE_NONCE = 16,
    PS_AGE_CHUNK = 64 << 10,                /* plain bytes of a full one, */
    PS_AGE_SEALED_CHUNK = PS_AGE_CHUNK + 16 /* and of the file */
};

typedef struct ps_age_payload ps_age_payload;

/* key: PS_AGE_FILE_KEY bytes; nonce: PS_AGE_NONCE, never before used with it. */
ps_age_payload *ps_age_payload_new(const uint8_t *key, const uint8_t *nonce);
void ps_age_payload_free(ps_age_payload **payload); /* wipes its key; NULL is nothing */

/* How many plain bytes so many of the file hold, those behind the nonce. PS_CORRUPT: no payload has
 * so many, it was cut. */
PS_MUST_CHECK ps_status ps_age_plain_bytes(uint64_t sealed, uint64_t *plain);

/* len bytes at plain become len + 16 at out, which may begin where they do. Once a number. */
void ps_age_chunk_seal(ps_age_payload *payload, uint64_t number, bool last, const void *plain,
                       size_t len, void *out);
/* The reverse of len bytes. PS_CORRUPT: it is not that chunk, or is not the last, or is; out, of
 * len - 16 bytes, is zeros. */
PS_MUST_CHECK ps_status ps_age_chunk_open(ps_age_payload *payload, uint64_t number, bool last,
                                          const void *sealed, size_t len, void *out);

#endif
