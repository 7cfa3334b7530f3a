/* Happy path: OpenSSL's ciphers with the key set once and a nonce a message. Of its functions here
 * only the comparison of the tag can fail, but for want of memory of a few hundred bytes. */
#include "common/security/aead.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

struct ps_aead {
    EVP_CIPHER_CTX *seal, *open; /* each with its key schedule, which a nonce leaves as it is */
    size_t nonce;                /* bytes, as both were told last */
    bool begun;
};

static const EVP_CIPHER *cipher_of(size_t key_bytes)
{
    switch (key_bytes) {
    case 16:
        return EVP_aes_128_gcm();
    case 24:
        return EVP_aes_192_gcm();
    default:
        PS_REQUIRE(key_bytes == 32);
        return EVP_aes_256_gcm();
    }
}

static ps_aead *new_of(const EVP_CIPHER *cipher, ps_slice key)
{
    ps_aead *aead = ps_new(ps_aead);
    *aead = (ps_aead){EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_new(), PS_AEAD_NONCE, false};
    PS_REQUIRE(aead->seal && aead->open &&
               EVP_EncryptInit_ex(aead->seal, cipher, NULL, key.data, NULL) == 1 &&
               EVP_DecryptInit_ex(aead->open, cipher, NULL, key.data, NULL) == 1);
    return aead;
}

ps_aead *ps_aead_new(ps_slice key)
{
    return new_of(cipher_of(key.len), key);
}

ps_aead *ps_aead_new_chacha20(ps_slice key)
{
    PS_REQUIRE(key.len == 32);
    return new_of(EVP_chacha20_poly1305(), key);
}

void ps_aead_free(ps_aead **aead)
{
    if (!*aead)
        return;
    EVP_CIPHER_CTX_free((*aead)->seal); /* clears what it held */
    EVP_CIPHER_CTX_free((*aead)->open);
    ps_free(aead);
}

static void set_nonce_bytes(ps_aead *aead, size_t bytes)
{
    PS_REQUIRE(bytes && bytes <= PS_AEAD_NONCE_MAX);
    if (bytes == aead->nonce)
        return;
    PS_REQUIRE(EVP_CIPHER_CTX_ctrl(aead->seal, EVP_CTRL_AEAD_SET_IVLEN, (int)bytes, NULL) == 1 &&
               EVP_CIPHER_CTX_ctrl(aead->open, EVP_CTRL_AEAD_SET_IVLEN, (int)bytes, NULL) == 1);
    aead->nonce = bytes;
}

void ps_aead_begin(ps_aead *aead, ps_slice nonce, ps_slice associated)
{
    PS_REQUIRE(!aead->begun && associated.len <= INT_MAX);
    set_nonce_bytes(aead, nonce.len);
    int n = 0;
    PS_REQUIRE(EVP_EncryptInit_ex(aead->seal, NULL, NULL, NULL, nonce.data) == 1);
    if (associated.len)
        PS_REQUIRE(EVP_EncryptUpdate(aead->seal, NULL, &n, associated.data, (int)associated.len) ==
                   1);
    aead->begun = true;
}

void ps_aead_add(ps_aead *aead, const void *in, size_t len, void *out)
{
    PS_REQUIRE(aead->begun && len <= INT_MAX);
    int n = 0;
    if (len)
        PS_REQUIRE(EVP_EncryptUpdate(aead->seal, out, &n, in, (int)len) == 1 && (size_t)n == len);
}

void ps_aead_end(ps_aead *aead, uint8_t tag[PS_AEAD_TAG])
{
    PS_REQUIRE(aead->begun);
    int n = 0;
    uint8_t none;
    PS_REQUIRE(EVP_EncryptFinal_ex(aead->seal, &none, &n) == 1 && !n);
    PS_REQUIRE(EVP_CIPHER_CTX_ctrl(aead->seal, EVP_CTRL_AEAD_GET_TAG, PS_AEAD_TAG, tag) == 1);
    aead->begun = false;
}

void ps_aead_seal(ps_aead *aead, ps_slice nonce, ps_slice associated, const void *in, size_t len,
                  void *out)
{
    ps_aead_begin(aead, nonce, associated);
    ps_aead_add(aead, in, len, out);
    ps_aead_end(aead, (uint8_t *)out + len);
}

ps_status ps_aead_open(ps_aead *aead, ps_slice nonce, ps_slice associated, const void *in,
                       size_t len, void *out)
{
    PS_REQUIRE(len <= INT_MAX && associated.len <= INT_MAX);
    if (len < PS_AEAD_TAG)
        return ps_fail(PS_CORRUPT, "%zu bytes are too few to be sealed", len);
    len -= PS_AEAD_TAG;
    set_nonce_bytes(aead, nonce.len);
    EVP_CIPHER_CTX *c = aead->open;
    uint8_t tag[PS_AEAD_TAG], *to = out, none;
    memcpy(tag, (const uint8_t *)in + len, sizeof tag);
    int n = 0;
    PS_REQUIRE(EVP_DecryptInit_ex(c, NULL, NULL, NULL, nonce.data) == 1);
    if (associated.len)
        PS_REQUIRE(EVP_DecryptUpdate(c, NULL, &n, associated.data, (int)associated.len) == 1);
    if (len)
        PS_REQUIRE(EVP_DecryptUpdate(c, to, &n, in, (int)len) == 1 && (size_t)n == len);
    PS_REQUIRE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1);
    if (EVP_DecryptFinal_ex(c, &none, &n) == 1)
        return PS_OK;
    OPENSSL_cleanse(out, len);
    return ps_fail(PS_CORRUPT, "it does not authenticate");
}

void ps_hkdf_sha256(ps_slice key, ps_slice salt, ps_slice info, void *out, size_t len)
{
    PS_REQUIRE(len && len <= 255 * 32);
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    static char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key.data, key.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt.data,
                                          salt.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info.data,
                                          info.len),
        OSSL_PARAM_construct_end(),
    };
    PS_REQUIRE(context && EVP_KDF_derive(context, out, len, params) == 1);
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
}

void ps_hmac_sha256(ps_slice key, ps_slice message, uint8_t out[32])
{
    PS_REQUIRE(key.len && key.len <= INT_MAX);
    PS_REQUIRE(HMAC(EVP_sha256(), key.data, (int)key.len, message.data, message.len, out, NULL));
}
