/* Happy path: facts, entries, extensions, signature, PEM; all of it by OpenSSL, from values. Fails
 * only where OpenSSL does (memory). */
#include "common/security/crl_build.h"

#include "common/security/certificate_build.h"
#include "common/security/crypto_error.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static ASN1_INTEGER *integer_of(const uint8_t bytes[PS_CRL_SERIAL])
{
    BIGNUM *number = BN_bin2bn(bytes, PS_CRL_SERIAL, NULL);
    ASN1_INTEGER *out = number ? BN_to_ASN1_INTEGER(number, NULL) : NULL;
    BN_free(number);
    return out;
}

/* "unspecified" is said by leaving it out (section 5.3.1). */
static bool set_reason(X509_REVOKED *entry, uint8_t reason)
{
    if (reason == PS_CRL_UNSPECIFIED)
        return true;
    ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
    bool good = value && ASN1_ENUMERATED_set(value, reason) == 1 &&
                X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, value, 0, 0) == 1;
    ASN1_ENUMERATED_free(value);
    return good;
}

static bool add_entry(X509_CRL *crl, const ps_crl_entry *from)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *serial = integer_of(from->serial);
    ASN1_TIME *at = ASN1_TIME_set(NULL, (time_t)from->at);
    bool good = entry && serial && at && X509_REVOKED_set_serialNumber(entry, serial) == 1 &&
                X509_REVOKED_set_revocationDate(entry, at) == 1 &&
                set_reason(entry, from->reason) && X509_CRL_add0_revoked(crl, entry) == 1;
    if (!good)
        X509_REVOKED_free(entry);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(at);
    return good;
}

static bool set_times(X509_CRL *crl, const ps_crl_plan *plan)
{
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)plan->this_update);
    ASN1_TIME *to = ASN1_TIME_set(NULL, (time_t)plan->next_update);
    bool good = from && to && X509_CRL_set1_lastUpdate(crl, from) == 1 &&
                X509_CRL_set1_nextUpdate(crl, to) == 1;
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    return good;
}

/* Sections 5.2.1 and 5.2.3. */
static bool add_extensions(X509_CRL *crl, const ps_crl_plan *plan, X509 *ca)
{
    ASN1_INTEGER *number = integer_of(plan->number);
    AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
    const ASN1_OCTET_STRING *key = X509_get0_subject_key_id(ca);
    bool good =
        number && authority && X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0) == 1;
    if (good && key) {
        authority->keyid = ASN1_OCTET_STRING_dup(key);
        good = authority->keyid &&
               X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, authority, 0, 0) == 1;
    }
    AUTHORITY_KEYID_free(authority);
    ASN1_INTEGER_free(number);
    return good;
}

static bool fill(X509_CRL *crl, const ps_crl_plan *plan, X509 *ca)
{
    bool good = X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
                X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca)) == 1 &&
                set_times(crl, plan);
    for (size_t i = 0; good && i < plan->n_entries; i++)
        good = add_entry(crl, &plan->entries[i]);
    return good && add_extensions(crl, plan, ca);
}

ps_status ps_crl_build(const ps_crl_plan *plan, const ps_authority *ca, ps_buf *out)
{
    X509_CRL *crl = X509_CRL_new();
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    ps_status st = PS_OK;
    if (!crl || !bio || !fill(crl, plan, ca->cert) ||
        X509_CRL_sign(crl, ca->key, ps_certificate_digest_for(ca->key)) == 0 ||
        PEM_write_bio_X509_CRL(bio, crl) != 1) {
        st = ps_crypto_fail(PS_INTERNAL, "making the CRL");
    } else {
        long len = BIO_get_mem_data(bio, &text);
        ps_buf_append(out, text, (size_t)len);
    }
    BIO_free(bio);
    X509_CRL_free(crl);
    return st;
}
