/* Happy path: the key is derived once, a chunk is one call. All arithmetic is on sizes of files. */
#include "common/age/age_payload.h"

#include "common/age/age_header.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/aead.h"
#include "common/security/secret.h"

#include <inttypes.h>

struct ps_age_payload {
    ps_aead *aead;
};

ps_age_payload *ps_age_payload_new(const uint8_t *key, const uint8_t *nonce)
{
    enum { KEY = 32 };
    ps_age_payload *payload = ps_new(ps_age_payload);
    uint8_t *derived = ps_secret_alloc(KEY);
    ps_hkdf_sha256(ps_slice_of(key, PS_AGE_FILE_KEY), ps_slice_of(nonce, PS_AGE_NONCE),
                   ps_slice_str("payload"), derived, KEY);
    payload->aead = ps_aead_new_chacha20(ps_slice_of(derived, KEY));
    ps_secret_release(derived);
    return payload;
}

void ps_age_payload_free(ps_age_payload **payload)
{
    if (!*payload)
        return;
    ps_aead_free(&(*payload)->aead);
    ps_free(payload);
}

ps_status ps_age_plain_bytes(uint64_t sealed, uint64_t *plain)
{
    uint64_t chunks = sealed / PS_AGE_SEALED_CHUNK + (sealed % PS_AGE_SEALED_CHUNK != 0);
    uint64_t last = sealed - (chunks ? chunks - 1 : 0) * PS_AGE_SEALED_CHUNK;
    /* "The final chunk MUST NOT be empty unless the whole payload is empty." */
    if (!chunks || last < PS_AEAD_TAG || (chunks > 1 && last == PS_AEAD_TAG))
        return ps_fail(PS_CORRUPT, "it was cut: no age file has %" PRIu64 " bytes of payload",
                       sealed);
    *plain = sealed - chunks * PS_AEAD_TAG;
    return PS_OK;
}

static ps_slice nonce_of(uint64_t number, bool last, uint8_t out[PS_AEAD_NONCE])
{
    memset(out, 0, PS_AEAD_NONCE);
    for (size_t i = 0; i < sizeof number; i++)
        out[PS_AEAD_NONCE - 2 - i] = (uint8_t)(number >> 8 * i);
    out[PS_AEAD_NONCE - 1] = last;
    return ps_slice_of(out, PS_AEAD_NONCE);
}

void ps_age_chunk_seal(ps_age_payload *payload, uint64_t number, bool last, const void *plain,
                       size_t len, void *out)
{
    PS_REQUIRE(len <= PS_AGE_CHUNK && (last || len == PS_AGE_CHUNK));
    uint8_t nonce[PS_AEAD_NONCE];
    ps_aead_seal(payload->aead, nonce_of(number, last, nonce), ps_slice_of(NULL, 0), plain, len,
                 out);
}

ps_status ps_age_chunk_open(ps_age_payload *payload, uint64_t number, bool last, const void *sealed,
                            size_t len, void *out)
{
    PS_REQUIRE(len <= PS_AGE_SEALED_CHUNK);
    uint8_t nonce[PS_AEAD_NONCE];
    return ps_aead_open(payload->aead, nonce_of(number, last, nonce), ps_slice_of(NULL, 0), sealed,
                        len, out)
               ? ps_fail(PS_CORRUPT,
                         "chunk %" PRIu64 " of the age file does not authenticate: it was changed, "
                         "cut, or put there from elsewhere",
                         number)
               : PS_OK;
}
