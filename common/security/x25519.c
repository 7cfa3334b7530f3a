/* Happy path: OpenSSL's keys of raw bytes, and a derivation, which fails for a result of zeros. */
#include "common/security/x25519.h"

#include "common/base/require.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

static EVP_PKEY *key_of(const uint8_t secret[PS_X25519_BYTES])
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, PS_X25519_BYTES);
    PS_REQUIRE(key); /* any 32 bytes are one */
    return key;
}

ps_status ps_x25519(const uint8_t secret[PS_X25519_BYTES], const uint8_t point[PS_X25519_BYTES],
                    uint8_t out[PS_X25519_BYTES])
{
    EVP_PKEY *ours = key_of(secret);
    EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, point, PS_X25519_BYTES);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(ours, NULL);
    size_t len = PS_X25519_BYTES;
    PS_REQUIRE(theirs && context && EVP_PKEY_derive_init(context) == 1 &&
               EVP_PKEY_derive_set_peer(context, theirs) == 1);
    static const uint8_t zeros[PS_X25519_BYTES];
    bool fine = EVP_PKEY_derive(context, out, &len) == 1 && len == PS_X25519_BYTES &&
                CRYPTO_memcmp(out, zeros, sizeof zeros) != 0;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(ours);
    if (fine)
        return PS_OK;
    memset(out, 0, PS_X25519_BYTES);
    return ps_fail(PS_CORRUPT, "it is a point of low order, which protects nothing");
}

void ps_x25519_point(const uint8_t secret[PS_X25519_BYTES], uint8_t out[PS_X25519_BYTES])
{
    EVP_PKEY *key = key_of(secret);
    size_t len = PS_X25519_BYTES;
    PS_REQUIRE(EVP_PKEY_get_raw_public_key(key, out, &len) == 1 && len == PS_X25519_BYTES);
    EVP_PKEY_free(key);
}
