/* certificate_build: facts into DER. Every extension is built from values, never from configuration
 * text, so that no fact can smuggle in a second one. Fails only where OpenSSL does (memory). */
#include "common/security/certificate_build.h"

#include "common/security/certificate.h"
#include "common/security/crypto_error.h"
#include "common/security/secret.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>

#define SERIAL_BITS 128

ps_status ps_certificate_new_key(EVP_PKEY **out)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        return ps_crypto_fail(PS_INTERNAL, "making a P-256 key");
    *out = key;
    return PS_OK;
}

ps_status ps_certificate_new_key_like(EVP_PKEY *key, EVP_PKEY **out)
{
    char group[32] = "";
    int type = EVP_PKEY_get_base_id(key);
    EVP_PKEY *made = NULL;
    if (type == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1)
        made = EVP_EC_gen(group);
    else if (type == EVP_PKEY_RSA)
        made = EVP_RSA_gen((unsigned)EVP_PKEY_get_bits(key));
    else if (type == EVP_PKEY_ED25519)
        made = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!made)
        return ps_crypto_fail(PS_FAILED_PRECONDITION, "making another key like the one in use");
    *out = made;
    return PS_OK;
}

static bool is_dns_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

static bool is_dns_name(const char *host)
{
    if (strlen(host) > 253)
        return false;
    if (strncmp(host, "*.", 2) == 0)
        host += 2;
    for (;;) {
        size_t n = 0;
        while (is_dns_char(host[n]))
            n++;
        if (!n || n > 63 || host[0] == '-' || host[n - 1] == '-')
            return false;
        if (!host[n])
            return true;
        if (host[n] != '.')
            return false;
        host += n + 1;
    }
}

/* All digits and dots, but no address: 10.0.0.256 is a slip, not a name. */
static bool looks_like_address(const char *host)
{
    return host[strspn(host, "0123456789.")] == 0;
}

ps_status ps_certificate_check_host(const char *host)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    bool good = address || (is_dns_name(host) && !looks_like_address(host));
    ASN1_OCTET_STRING_free(address);
    if (good)
        return PS_OK;
    return ps_crypto_fail(PS_INVALID_ARGUMENT, "host '%s' is neither a DNS name nor an address",
                          host);
}

static bool add_string(X509_NAME *name, const char *field, const char *text)
{
    return !text || X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                               (const unsigned char *)text, -1, -1, 0) == 1;
}

static bool push_name(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    if (!name || !value) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, value);
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static ASN1_STRING *ia5(const char *text)
{
    ASN1_STRING *s = ASN1_IA5STRING_new();
    if (s && ASN1_STRING_set(s, text, -1) == 1)
        return s;
    ASN1_STRING_free(s);
    return NULL;
}

static bool push_host(GENERAL_NAMES *names, const char *host)
{
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    return address ? push_name(names, GEN_IPADD, address) : push_name(names, GEN_DNS, ia5(host));
}

static bool add_names(X509 *cert, const ps_certificate_facts *facts)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool good = names && push_name(names, GEN_URI, ia5(facts->uri));
    for (size_t i = 0; good && i < facts->n_hosts; i++)
        good = push_host(names, facts->hosts[i]);
    good = good && X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0) == 1;
    GENERAL_NAMES_free(names);
    return good;
}

static bool add_basic_constraints(X509 *cert, bool is_ca)
{
    BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
    if (!bc)
        return false;
    bc->ca = is_ca ? 0xff : 0;
    bool good = true;
    if (is_ca) /* path length 0: the CA signs leaves only */
        good = (bc->pathlen = ASN1_INTEGER_new()) && ASN1_INTEGER_set(bc->pathlen, 0) == 1;
    good = good && X509_add1_ext_i2d(cert, NID_basic_constraints, bc, 1, 0) == 1;
    BASIC_CONSTRAINTS_free(bc);
    return good;
}

/* RFC 5280 section 4.2.1.3: digitalSignature is bit 0, keyCertSign 5, cRLSign 6 */
static bool add_key_usage(X509 *cert, bool is_ca)
{
    ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
    bool good = bits && (is_ca ? ASN1_BIT_STRING_set_bit(bits, 5, 1) == 1 &&
                                     ASN1_BIT_STRING_set_bit(bits, 6, 1) == 1
                               : ASN1_BIT_STRING_set_bit(bits, 0, 1) == 1);
    good = good && X509_add1_ext_i2d(cert, NID_key_usage, bits, 1, 0) == 1;
    ASN1_BIT_STRING_free(bits);
    return good;
}

static bool add_extended_key_usage(X509 *cert, const ps_certificate_facts *facts)
{
    if (!facts->for_server && !facts->for_client && !facts->for_signing)
        return true;
    EXTENDED_KEY_USAGE *usage = EXTENDED_KEY_USAGE_new();
    bool good = usage != NULL;
    if (good && facts->for_server)
        good = sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth)) > 0;
    if (good && facts->for_client)
        good = sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_client_auth)) > 0;
    if (good && facts->for_signing)
        good = sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_code_sign)) > 0;
    good = good && X509_add1_ext_i2d(cert, NID_ext_key_usage, usage, 0, 0) == 1;
    EXTENDED_KEY_USAGE_free(usage);
    return good;
}

/* RFC 5280 sections 4.2.1.1 and 4.2.1.2: they tell two CAs of one name apart. */
static bool add_key_identifiers(X509 *cert, X509 *issuer)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    ASN1_OCTET_STRING *own = ASN1_OCTET_STRING_new();
    AUTHORITY_KEYID *authority = AUTHORITY_KEYID_new();
    bool good = own && authority && X509_pubkey_digest(cert, EVP_sha1(), digest, &len) == 1 &&
                ASN1_OCTET_STRING_set(own, digest, (int)len) == 1 &&
                X509_add1_ext_i2d(cert, NID_subject_key_identifier, own, 0, 0) == 1;
    const ASN1_OCTET_STRING *theirs = issuer ? X509_get0_subject_key_id(issuer) : own;
    if (good && theirs) {
        authority->keyid = ASN1_OCTET_STRING_dup(theirs);
        good = authority->keyid &&
               X509_add1_ext_i2d(cert, NID_authority_key_identifier, authority, 0, 0) == 1;
    }
    AUTHORITY_KEYID_free(authority);
    ASN1_OCTET_STRING_free(own);
    return good;
}

static bool set_serial(X509 *cert, const uint8_t *line)
{
    uint8_t bytes[SERIAL_BITS / 8];
    ps_random_public(bytes, sizeof bytes);
    if (line)
        memcpy(bytes, line, PS_CERTIFICATE_LINE);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool good = number && !BN_is_zero(number) &&
                BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return good;
}

static bool fill(X509 *cert, const ps_certificate_facts *facts, EVP_PKEY *key, X509 *issuer)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert, facts->line) &&
           add_string(subject, "O", facts->cluster) && add_string(subject, "OU", facts->unit) &&
           add_string(subject, "CN", facts->common_name) &&
           X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)facts->not_before) &&
           ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)facts->not_after) &&
           X509_set_pubkey(cert, key) == 1 && add_basic_constraints(cert, facts->is_ca) &&
           add_key_usage(cert, facts->is_ca) && add_extended_key_usage(cert, facts) &&
           add_key_identifiers(cert, issuer) && add_names(cert, facts);
}

const EVP_MD *ps_certificate_digest_for(const EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? NULL : EVP_sha256();
}

ps_status ps_certificate_build(const ps_certificate_facts *facts, EVP_PKEY *key, X509 *issuer,
                               EVP_PKEY *issuer_key, X509 **out)
{
    X509 *cert = X509_new();
    EVP_PKEY *signer = issuer ? issuer_key : key;
    if (!cert || !fill(cert, facts, key, issuer) ||
        X509_sign(cert, signer, ps_certificate_digest_for(signer)) == 0) {
        X509_free(cert);
        return ps_crypto_fail(PS_INTERNAL, "making the certificate of %s", facts->uri);
    }
    *out = cert;
    return PS_OK;
}
