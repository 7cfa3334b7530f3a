/* OpenSSL does it; of what it takes, psd refuses other curves and other kinds of keys, under which
 * the same bytes might mean something else. */
#include "common/security/ecdsa.h"

#include "common/base/require.h"
#include "common/security/crypto_error.h"
#include "common/security/pem_file.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

static const struct {
    const char *group;
    const EVP_MD *(*digest)(void);
} curves[] = {
    {"prime256v1", EVP_sha256},
    {"secp384r1", EVP_sha384},
    {"secp521r1", EVP_sha512},
};

/* NULL: of none of the curves. */
static const EVP_MD *digest_of(EVP_PKEY *key)
{
    char group[32] = "";
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1)
        return NULL;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (!strcmp(curves[i].group, group))
            return curves[i].digest();
    return NULL;
}

ps_status ps_ecdsa_check_key(EVP_PKEY *key, const char *what)
{
    bool good = digest_of(key) != NULL;
    ERR_clear_error();
    return good ? PS_OK
                : ps_fail(PS_INVALID_ARGUMENT,
                          "%s: models are signed by ECDSA on P-256, P-384 or P-521, and this is "
                          "another kind of key",
                          what);
}

ps_status ps_ecdsa_key_read(const char *path, EVP_PKEY **out)
{
    EVP_PKEY *key = NULL;
    ps_status st = ps_pem_read_public_key(path, &key);
    if (!st)
        st = ps_ecdsa_check_key(key, path);
    if (st)
        EVP_PKEY_free(key);
    else
        *out = key;
    return st;
}

void ps_ecdsa_key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

ps_status ps_ecdsa_sign(EVP_PKEY *key, ps_slice message, ps_buf *out)
{
    const EVP_MD *digest = digest_of(key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    size_t len = 0;
    PS_REQUIRE(digest && context);
    ps_status st = PS_OK;
    if (EVP_DigestSignInit(context, NULL, digest, NULL, key) != 1 ||
        EVP_DigestSign(context, NULL, &len, message.data, message.len) != 1)
        st = ps_crypto_fail(PS_INTERNAL, "signing");
    if (!st) {
        ps_buf_reserve(out, len);
        if (EVP_DigestSign(context, out->data + out->len, &len, message.data, message.len) == 1)
            out->len += len;
        else
            st = ps_crypto_fail(PS_INTERNAL, "signing");
    }
    EVP_MD_CTX_free(context);
    return st;
}

ps_status ps_ecdsa_verify(EVP_PKEY *key, ps_slice message, ps_slice signature)
{
    const EVP_MD *digest = digest_of(key);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    PS_REQUIRE(digest && context);
    int good = EVP_DigestVerifyInit(context, NULL, digest, NULL, key);
    if (good == 1)
        good = EVP_DigestVerify(context, signature.data, signature.len, message.data, message.len);
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good == 1 ? PS_OK : ps_fail(PS_CORRUPT, "the signature is not of this key");
}

void ps_ecdsa_key_hint(EVP_PKEY *key, char out[PS_DIGEST_TEXT])
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    PS_REQUIRE(bio && PEM_write_bio_PUBKEY(bio, key) == 1);
    long len = BIO_get_mem_data(bio, &text);
    ps_digest *digest = ps_digest_new();
    ps_digest_add(digest, text, (size_t)len);
    ps_digest_end(&digest, out);
    BIO_free(bio);
}
