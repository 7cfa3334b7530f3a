/* Happy path: the facts of the certificate before, with another key and other dates, are built and
 * signed. What came from elsewhere is held against the same facts before anybody uses it. */
#include "common/security/certificate_renew.h"

#include "common/base/mem.h"
#include "common/security/certificate.h"
#include "common/security/certificate_build.h"
#include "common/security/certificate_check.h"
#include "common/security/crypto_error.h"
#include "common/security/pem_file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

enum { CHAIN_DEPTH = 4 };

/* ---- signing ---- */

ps_status ps_certificate_authority(STACK_OF(X509) * cas, EVP_PKEY *key, X509 **out)
{
    for (int i = 0; i < sk_X509_num(cas); i++) {
        X509 *ca = sk_X509_value(cas, i);
        if (X509_check_private_key(ca, key) == 1 && X509_check_ca(ca) == 1) {
            *out = ca;
            return PS_OK;
        }
    }
    ERR_clear_error();
    return ps_fail(PS_FAILED_PRECONDITION, "it is the key of no CA in tls.ca");
}

static void set_validity(ps_certificate_facts *facts, X509 *ca, int64_t life_s)
{
    int64_t now = (int64_t)time(NULL), slack = life_s / 10;
    int64_t first = ps_certificate_not_before(ca), last = ps_certificate_not_after(ca);
    int64_t begin = now - (slack < PS_CERTIFICATE_SLACK_S ? slack : PS_CERTIFICATE_SLACK_S);
    facts->not_before = begin < first ? first : begin;
    facts->not_after = now + life_s < last ? now + life_s : last;
}

ps_status ps_certificate_renew(X509 *before, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key,
                               int64_t life_s, X509 **out)
{
    ps_identity who;
    char uri[PS_IDENTITY_TEXT_MAX], name[PS_CERTIFICATE_NAME_MAX];
    ps_status st = ps_certificate_identity(before, &who);
    if (st)
        return st;
    ps_certificate_info had;
    ps_certificate_describe(before, &had);
    ps_certificate_common_name(X509_get_subject_name(before), name);
    ps_certificate_facts facts = {
        .cluster = who.cluster,
        .unit = ps_role_name(who.role),
        .common_name = *name ? name : who.name,
        .uri = ps_identity_format(&who, uri),
        .hosts = (const char *const *)had.hosts,
        .n_hosts = had.n_hosts,
        .for_server = who.role == PS_ROLE_SERVER,
        .for_client = who.role != PS_ROLE_SERVER,
    };
    uint8_t serial[PS_CERTIFICATE_SERIAL];
    if (ps_certificate_serial(before, serial))
        facts.line = ps_certificate_line(serial);
    set_validity(&facts, ca, life_s);
    if (facts.not_after <= facts.not_before)
        st = ps_fail(PS_FAILED_PRECONDITION, "the CA's certificate has expired");
    else
        st = ps_certificate_build(&facts, key, ca, ca_key, out);
    ps_certificate_info_clear(&had);
    return st;
}

/* ---- chains ---- */

void ps_certificate_pem(X509 *cert, ps_buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (bio && PEM_write_bio_X509(bio, cert) == 1) {
        long len = BIO_get_mem_data(bio, &text);
        ps_buf_append(out, text, (size_t)len);
    }
    BIO_free(bio);
}

ps_status ps_certificate_chain_read(ps_slice pem, STACK_OF(X509) * *out)
{
    if (pem.len > PS_CERTIFICATE_CHAIN_MOST)
        return ps_fail(PS_INVALID_ARGUMENT, "certificate chain: has %zu bytes, at most %d", pem.len,
                       PS_CERTIFICATE_CHAIN_MOST);
    return ps_pem_parse_certificates(pem, "certificate chain", out);
}

void ps_certificate_chain_free(STACK_OF(X509) * *chain)
{
    sk_X509_pop_free(*chain, X509_free);
    *chain = NULL;
}

X509 *ps_certificate_chain_first(const STACK_OF(X509) * chain)
{
    return sk_X509_value(chain, 0);
}

/* ---- is it one like before? ---- */

static ps_status check_signed(STACK_OF(X509) * chain, STACK_OF(X509) * cas, ps_certificate_use use,
                              int64_t at)
{
    X509_STORE *trust = X509_STORE_new();
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    bool good = trust && store;
    for (int i = 0; good && i < sk_X509_num(cas); i++)
        good = X509_STORE_add_cert(trust, sk_X509_value(cas, i)) == 1;
    good = good && X509_STORE_CTX_init(store, trust, sk_X509_value(chain, 0), chain) == 1;
    ps_status st = good ? PS_OK : ps_crypto_fail(PS_NO_MEMORY, "certificate chain");
    if (!st) {
        X509_STORE_CTX_set_default(store,
                                   use == PS_CERTIFICATE_FOR_SERVER ? "ssl_server" : "ssl_client");
        X509_STORE_CTX_set_depth(store, CHAIN_DEPTH);
        if (at)
            X509_STORE_CTX_set_time(store, 0, (time_t)at);
    }
    if (!st && X509_verify_cert(store) != 1) {
        char why[PS_ERROR_MAX];
        ps_certificate_explain(store, use, NULL, why, sizeof why);
        st = ps_crypto_fail(PS_FAILED_PRECONDITION, "%s", why);
    }
    X509_STORE_CTX_free(store);
    X509_STORE_free(trust);
    return st;
}

static ps_status check_identity(X509 *cert, X509 *before, ps_certificate_use *use)
{
    ps_identity was, is;
    char mine[PS_IDENTITY_TEXT_MAX], other[PS_IDENTITY_TEXT_MAX];
    ps_status st = ps_certificate_identity(before, &was);
    if (st)
        return st;
    *use = was.role == PS_ROLE_SERVER ? PS_CERTIFICATE_FOR_SERVER : PS_CERTIFICATE_FOR_CLIENT;
    if (ps_certificate_check(cert, *use, NULL, ~0u, &is))
        return ps_wrap(PS_FAILED_PRECONDITION, "the new certificate");
    if (ps_identity_equal(&was, &is))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION, "the new certificate is of %s, not of %s",
                   ps_identity_format(&is, other), ps_identity_format(&was, mine));
}

ps_status ps_certificate_chain_check(STACK_OF(X509) * chain, STACK_OF(X509) * cas, X509 *before,
                                     EVP_PKEY *key, int64_t at)
{
    ps_certificate_use use;
    X509 *cert = sk_X509_value(chain, 0);
    const EVP_PKEY *theirs = X509_get0_pubkey(cert);
    if (!theirs || EVP_PKEY_eq(theirs, key) != 1) {
        ERR_clear_error();
        return ps_fail(PS_FAILED_PRECONDITION, "the new certificate is for another key");
    }
    ps_status st = check_identity(cert, before, &use);
    if (!st && X509_check_ca(cert) != 0)
        st = ps_fail(PS_FAILED_PRECONDITION, "the new certificate is that of a CA");
    return st ? st : check_signed(chain, cas, use, at);
}
