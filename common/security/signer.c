/* Happy path: the bundle's certificates are read, OpenSSL finds the chain to the signers' CA and
 * looks at dates, and what is psd's own (role, cluster, use) is looked at here. */
#include "common/security/signer.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/certificate.h"
#include "common/security/certificate_check.h"
#include "common/security/crl_list.h"
#include "common/security/crypto_error.h"
#include "common/security/ecdsa.h"
#include "common/security/pem_file.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

void ps_signer_free(ps_signer *signer)
{
    EVP_PKEY_free(signer->key);
    *signer = (ps_signer){0};
}

/* ---- the leaf ---- */

bool ps_signer_is_for_code(X509 *cert)
{
    return (X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) &&
           X509_get_extended_key_usage(cert) == XKU_CODE_SIGN;
}

/* Of a leaf that says what it is for at all. */
static bool signs_bytes(X509 *cert)
{
    return (X509_get_extension_flags(cert) & EXFLAG_KUSAGE) &&
           (X509_get_key_usage(cert) & KU_DIGITAL_SIGNATURE) && X509_check_ca(cert) != 1;
}

static ps_status check_dates(X509 *cert, const char *who)
{
    char when[PS_CERTIFICATE_TIME_MAX];
    int64_t now = (int64_t)time(NULL);
    if (ps_certificate_not_after(cert) < now)
        return ps_fail(PS_UNAUTHENTICATED, "certificate of %s expired on %s", who,
                       ps_certificate_time_text(ps_certificate_not_after(cert), when));
    if (ps_certificate_not_before(cert) > now)
        return ps_fail(PS_UNAUTHENTICATED,
                       "certificate of %s is not in force before %s (is a clock wrong?)", who,
                       ps_certificate_time_text(ps_certificate_not_before(cert), when));
    return PS_OK;
}

ps_status ps_signer_check_leaf(X509 *leaf, ps_identity *out)
{
    ps_identity who = {0};
    char text[PS_IDENTITY_TEXT_MAX];
    ps_status st = ps_certificate_identity(leaf, &who);
    if (st)
        return st;
    ps_identity_format(&who, text);
    if (who.role != PS_ROLE_SIGNER)
        return ps_fail(PS_UNAUTHENTICATED, "%s is no signer", text);
    if (!ps_signer_is_for_code(leaf) || !signs_bytes(leaf))
        return ps_fail(PS_UNAUTHENTICATED, "certificate of %s is not one for signing (codeSigning)",
                       text);
    st = check_dates(leaf, text);
    if (!st)
        *out = who;
    return st;
}

/* ---- the chain ---- */

static ps_status parse(const ps_buf *der, size_t n, STACK_OF(X509) * out)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char *at = der[i].data;
        X509 *cert = d2i_X509(NULL, &at, (long)der[i].len);
        if (!cert || at != der[i].data + der[i].len) {
            X509_free(cert);
            return ps_crypto_fail(PS_CORRUPT, "certificate %zu of it is damaged", i + 1);
        }
        if (sk_X509_push(out, cert) <= 0) {
            X509_free(cert);
            return ps_fail(PS_NO_MEMORY, "certificates");
        }
    }
    return PS_OK;
}

/* Each CA of the file is one to end at, a root or not; and it must be one of signers. */
static ps_status trust_all(const char *path, STACK_OF(X509) * cas, X509_STORE *store)
{
    for (int i = 0; i < sk_X509_num(cas); i++) {
        X509 *ca = sk_X509_value(cas, i);
        if (X509_check_ca(ca) != 1 || !ps_signer_is_for_code(ca))
            return ps_fail(PS_INVALID_ARGUMENT,
                           "CA certificate %s: is not one of signers ('psctl cert create-signer' "
                           "makes one); whom a cluster lets connect is not who signs its models",
                           path);
        if (X509_STORE_add_cert(store, ca) != 1)
            return ps_crypto_fail(PS_INTERNAL, "CA certificate %s", path);
    }
    return PS_OK;
}

/* *chain: the leaf first, a CA of the file last; the caller's. */
static ps_status verify(X509_STORE *store, STACK_OF(X509) * given, STACK_OF(X509) * *chain)
{
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *leaf = sk_X509_value(given, 0);
    char why[512];
    PS_REQUIRE(context && X509_STORE_CTX_init(context, store, leaf, given) == 1);
    X509_STORE_CTX_set_flags(context, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_X509_STRICT);
    ps_status st = PS_OK;
    if (X509_verify_cert(context) == 1) {
        *chain = X509_STORE_CTX_get1_chain(context);
        PS_REQUIRE(*chain);
    } else {
        ps_certificate_explain(context, PS_CERTIFICATE_FOR_CLIENT, NULL, why, sizeof why);
        st = ps_fail(PS_UNAUTHENTICATED, "%s", why);
    }
    X509_STORE_CTX_free(context);
    ERR_clear_error();
    return st;
}

/* Is somebody of the chain revoked, as of a list that counts today? */
static ps_status check_revoked(const char *crl, STACK_OF(X509) * cas, STACK_OF(X509) * chain)
{
    ps_crl_list *list = NULL;
    ps_status st = ps_crl_list_read(crl, cas, &list);
    if (!st)
        st = ps_crl_list_check_dates(list, (int64_t)time(NULL));
    if (!st)
        st = ps_crl_list_check(list, chain);
    ps_crl_list_unref(&list);
    return st;
}

/* psd's own conditions. */
static ps_status check_signer(const ps_signer_trust *trust, X509 *leaf, X509 *root,
                              ps_identity *out)
{
    char cluster[PS_IDENTITY_PART_MAX + 1], text[PS_IDENTITY_TEXT_MAX];
    ps_status st = ps_signer_check_leaf(leaf, out);
    if (!st)
        st = ps_certificate_cluster(root, cluster);
    if (st)
        return st;
    ps_identity_format(out, text);
    if (strcmp(cluster, out->cluster) != 0)
        return ps_fail(PS_UNAUTHENTICATED, "%s is of another cluster than its CA, %s", text,
                       cluster);
    if (trust->identity && strcmp(trust->identity, text) != 0)
        return ps_fail(PS_UNAUTHENTICATED, "it is signed by %s, not by %s", text, trust->identity);
    return PS_OK;
}

/* Its key, which outlives the certificate. */
static ps_status take_key(X509 *leaf, ps_signer *out)
{
    EVP_PKEY *key = X509_get_pubkey(leaf);
    ps_status st = key ? ps_ecdsa_check_key(key, "the signer's certificate")
                       : ps_crypto_fail(PS_CORRUPT, "the signer's certificate has no key");
    if (st) {
        EVP_PKEY_free(key);
        return st;
    }
    out->key = key;
    out->not_after = ps_certificate_not_after(leaf);
    return PS_OK;
}

static ps_status check_chain(const ps_signer_trust *trust, STACK_OF(X509) * given,
                             STACK_OF(X509) * cas, ps_signer *out)
{
    X509_STORE *store = X509_STORE_new();
    X509 *leaf = sk_X509_value(given, 0);
    STACK_OF(X509) *chain = NULL;
    ps_identity any;
    PS_REQUIRE(store);
    ps_status st = trust_all(trust->ca, cas, store);
    if (!st) /* who it says it is, before whether that is so: a worker's says more than its CA */
        st = ps_signer_check_leaf(leaf, &any);
    if (!st)
        st = verify(store, given, &chain);
    if (!st)
        st =
            check_signer(trust, leaf, sk_X509_value(chain, sk_X509_num(chain) - 1), &out->identity);
    if (!st && trust->crl)
        st = check_revoked(trust->crl, cas, chain);
    if (!st)
        st = take_key(leaf, out);
    sk_X509_pop_free(chain, X509_free);
    X509_STORE_free(store);
    return st;
}

ps_status ps_signer_check(const ps_signer_trust *trust, const ps_buf *certificates, size_t n,
                          ps_signer *out)
{
    PS_REQUIRE(trust->ca && n > 0);
    STACK_OF(X509) *given = sk_X509_new_null(), *cas = NULL;
    PS_REQUIRE(given);
    *out = (ps_signer){0};
    ps_status st = ps_pem_read_certificates(trust->ca, "CA certificate", &cas);
    if (!st)
        st = parse(certificates, n, given);
    if (!st)
        st = check_chain(trust, given, cas, out);
    sk_X509_pop_free(given, X509_free);
    sk_X509_pop_free(cas, X509_free);
    return st;
}
