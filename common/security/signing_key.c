#include "common/security/signing_key.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/certificate.h"
#include "common/security/crypto_error.h"
#include "common/security/ecdsa.h"
#include "common/security/pem_file.h"
#include "common/security/signer.h"

#include <openssl/err.h>
#include <openssl/x509.h>

struct ps_signing_key {
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* the leaf first; NULL: none */
    ps_identity identity;
};

void ps_signing_key_free(ps_signing_key **key)
{
    ps_signing_key *k = *key;
    if (!k)
        return;
    EVP_PKEY_free(k->key);
    sk_X509_pop_free(k->chain, X509_free);
    ps_free(key);
}

static ps_status read_chain(ps_signing_key *k, const char *key, const char *certificate)
{
    ps_status st = ps_pem_read_certificates(certificate, "certificate", &k->chain);
    if (st)
        return st;
    X509 *leaf = sk_X509_value(k->chain, 0);
    if (X509_check_private_key(leaf, k->key) != 1) {
        ERR_clear_error();
        return ps_fail(PS_INVALID_ARGUMENT, "private key %s does not belong to %s", key,
                       certificate);
    }
    st = ps_signer_check_leaf(leaf, &k->identity);
    return st ? ps_wrap(st, "%s", certificate) : PS_OK;
}

ps_status ps_signing_key_read(const char *key, const char *certificate, ps_signing_key **out)
{
    ps_signing_key *k = ps_new(ps_signing_key);
    ps_status st = ps_pem_read_key(key, &k->key);
    if (!st)
        st = ps_ecdsa_check_key(k->key, key);
    if (!st && certificate)
        st = read_chain(k, key, certificate);
    if (st)
        ps_signing_key_free(&k);
    else
        *out = k;
    return st;
}

size_t ps_signing_key_certificates(const ps_signing_key *k)
{
    return k->chain ? (size_t)sk_X509_num(k->chain) : 0;
}

static ps_status append_der(X509 *cert, ps_buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    if (len <= 0)
        return ps_crypto_fail(PS_INTERNAL, "a certificate");
    ps_buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return PS_OK;
}

ps_status ps_signing_key_chain(const ps_signing_key *k, ps_buf *out, size_t most, size_t *n)
{
    ps_status st = PS_OK;
    *n = 0;
    if (ps_signing_key_certificates(k) > most)
        return ps_fail(PS_INVALID_ARGUMENT, "a signature has at most %zu certificates", most);
    for (size_t i = 0; !st && i < ps_signing_key_certificates(k); i++) {
        st = append_der(sk_X509_value(k->chain, (int)i), &out[i]);
        *n += !st;
    }
    return st;
}

const ps_identity *ps_signing_key_identity(const ps_signing_key *k)
{
    PS_REQUIRE(k->chain);
    return &k->identity;
}

int64_t ps_signing_key_not_after(const ps_signing_key *k)
{
    PS_REQUIRE(k->chain);
    return ps_certificate_not_after(sk_X509_value(k->chain, 0));
}

void ps_signing_key_hint(const ps_signing_key *k, char out[PS_DIGEST_TEXT])
{
    ps_ecdsa_key_hint(k->key, out);
}

ps_status ps_signing_key_sign(const ps_signing_key *k, ps_slice message, ps_buf *out)
{
    return ps_ecdsa_sign(k->key, message, out);
}
