/* certificate: reading what a certificate says.
 *
 * Happy path: OpenSSL has parsed the DER; each function takes one fact out of it. A certificate is
 * hostile until its chain is verified: sizes are bounded, text is made printable, and whatever
 * cannot be read is an error or left empty, never a crash. */
#include "common/security/certificate.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/security/pem_file.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

static ps_slice slice_of_string(const ASN1_STRING *s)
{
    return ps_slice_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static GENERAL_NAMES *alternative_names(X509 *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error();
    return names;
}

/* The one URI of `names`; PS_UNAUTHENTICATED when there is none or more than one. */
static ps_status only_uri(GENERAL_NAMES *names, ps_slice *uri)
{
    int found = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type != GEN_URI)
            continue;
        *uri = slice_of_string(name->d.uniformResourceIdentifier);
        found++;
    }
    if (found == 1)
        return PS_OK;
    return found ? ps_fail(PS_UNAUTHENTICATED,
                           "certificate has %d URI names, an identity needs exactly one", found)
                 : ps_fail(PS_UNAUTHENTICATED,
                           "certificate has no URI name spiffe://CLUSTER/ROLE/NAME");
}

ps_status ps_certificate_identity(X509 *cert, ps_identity *out)
{
    GENERAL_NAMES *names = alternative_names(cert);
    ps_slice uri = {0};
    ps_status st = only_uri(names, &uri);
    if (!st && ps_identity_parse(uri, out))
        st = ps_wrap(PS_UNAUTHENTICATED, "certificate");
    GENERAL_NAMES_free(names);
    return st;
}

ps_status ps_certificate_cluster(X509 *cert, char out[PS_IDENTITY_PART_MAX + 1])
{
    GENERAL_NAMES *names = alternative_names(cert);
    ps_slice uri = {0};
    ps_status st = only_uri(names, &uri);
    if (!st && ps_identity_parse_cluster(uri, out))
        st = ps_wrap(PS_UNAUTHENTICATED, "CA certificate");
    GENERAL_NAMES_free(names);
    return st;
}

bool ps_certificate_serial(X509 *cert, uint8_t out[PS_CERTIFICATE_SERIAL])
{
    const ASN1_INTEGER *number = X509_get0_serialNumber(cert);
    ps_slice bytes = slice_of_string(number);
    memset(out, 0, PS_CERTIFICATE_SERIAL);
    if (ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER || bytes.len > PS_CERTIFICATE_SERIAL)
        return false;
    memcpy(out + PS_CERTIFICATE_SERIAL - bytes.len, bytes.data, bytes.len);
    return true;
}

static int64_t seconds_of(const ASN1_TIME *time)
{
    struct tm utc;
    return ASN1_TIME_to_tm(time, &utc) == 1 ? (int64_t)timegm(&utc) : 0;
}

int64_t ps_certificate_not_before(X509 *cert)
{
    return seconds_of(X509_get0_notBefore(cert));
}

int64_t ps_certificate_not_after(X509 *cert)
{
    return seconds_of(X509_get0_notAfter(cert));
}

const char *ps_certificate_time_text(int64_t seconds, char out[PS_CERTIFICATE_TIME_MAX])
{
    time_t when = (time_t)seconds;
    struct tm utc;
    if (!gmtime_r(&when, &utc) ||
        !strftime(out, PS_CERTIFICATE_TIME_MAX, "%Y-%m-%d %H:%M:%S UTC", &utc))
        (void)snprintf(out, PS_CERTIFICATE_TIME_MAX, "an unknown time");
    return out;
}

/* A DNS name or an address as text; false for other kinds of names and for unprintable ones. */
static bool host_text(const GENERAL_NAME *name, char *out, size_t size)
{
    if (name->type != GEN_IPADD && name->type != GEN_DNS)
        return false; /* d is another type */
    ps_slice s = slice_of_string(name->d.ia5);
    if (name->type == GEN_IPADD)
        return (s.len == 4 || s.len == 16) &&
               inet_ntop(s.len == 4 ? AF_INET : AF_INET6, s.data, out, (socklen_t)size);
    if (!s.len || s.len >= size)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= 0x20 || s.data[i] >= 0x7f)
            return false;
    memcpy(out, s.data, s.len);
    out[s.len] = 0;
    return true;
}

const char *ps_certificate_hosts_text(X509 *cert, char *out, size_t size)
{
    GENERAL_NAMES *names = alternative_names(cert);
    size_t at = 0;
    (void)snprintf(out, size, "no host");
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && at < size; i++) {
        char host[256];
        if (host_text(sk_GENERAL_NAME_value(names, i), host, sizeof host))
            at += (size_t)snprintf(out + at, size - at, "%s%s", at ? ", " : "", host);
    }
    GENERAL_NAMES_free(names);
    return out;
}

const char *ps_certificate_name_text(const X509_NAME *name, char *out, size_t size)
{
    out[0] = 0;
    BIO *bio = BIO_new(BIO_s_mem());
    if (!bio)
        return out;
    /* the flags escape control characters and what is not ASCII */
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE);
    int n = BIO_read(bio, out, (int)size - 1);
    out[n > 0 ? n : 0] = 0;
    BIO_free(bio);
    ERR_clear_error();
    return out;
}

const char *ps_certificate_issuer_text(X509 *cert, char *out, size_t size)
{
    return ps_certificate_name_text(X509_get_issuer_name(cert), out, size);
}

static void hex_text(const uint8_t *bytes, size_t n, char *out, size_t size)
{
    out[0] = 0;
    for (size_t i = 0; i < n && 2 * i + 2 < size; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

const char *ps_certificate_key_type(EVP_PKEY *key, char out[PS_CERTIFICATE_KEY_TYPE_MAX])
{
    enum { SIZE = PS_CERTIFICATE_KEY_TYPE_MAX };
    char group[24] = "";
    if (key && EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
        EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
        (void)snprintf(out, SIZE, "%s", strcmp(group, "prime256v1") == 0 ? "P-256" : group);
    else if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        (void)snprintf(out, SIZE, "RSA %d", EVP_PKEY_get_bits(key));
    else
        (void)snprintf(out, SIZE, "%s", key ? OBJ_nid2sn(EVP_PKEY_get_base_id(key)) : "unknown");
    ERR_clear_error();
    return out;
}

const uint8_t *ps_certificate_line(const uint8_t serial[PS_CERTIFICATE_SERIAL])
{
    static const uint8_t none[PS_CERTIFICATE_LINE];
    const uint8_t *line = serial + PS_CERTIFICATE_SERIAL - 2 * PS_CERTIFICATE_LINE;
    return memcmp(line, none, sizeof none) ? line : NULL;
}

const char *ps_certificate_serial_hex(X509 *cert, char out[PS_CERTIFICATE_SERIAL_MAX])
{
    ps_slice serial = slice_of_string(X509_get0_serialNumber(cert));
    hex_text(serial.data, serial.len, out, PS_CERTIFICATE_SERIAL_MAX);
    return out;
}

const char *ps_certificate_common_name(const X509_NAME *subject, char out[PS_CERTIFICATE_NAME_MAX])
{
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    uint8_t *text = NULL;
    int len = at < 0 ? 0
                     : ASN1_STRING_to_UTF8(
                           &text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    (void)snprintf(out, PS_CERTIFICATE_NAME_MAX, "%.*s", len > 0 ? len : 0,
                   len > 0 ? (const char *)text : "");
    ps_text_clean(out);
    OPENSSL_free(text);
    ERR_clear_error();
    return out;
}

X509 *ps_certificate_ref(X509 *cert)
{
    if (cert)
        X509_up_ref(cert);
    return cert;
}

void ps_certificate_unref(X509 **cert)
{
    X509_free(*cert);
    *cert = NULL;
}

void ps_certificate_key_free(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
    *key = NULL;
}

static void inspect_identity(X509 *cert, ps_certificate_info *out)
{
    ps_status st = out->is_ca ? ps_certificate_cluster(cert, out->identity.cluster)
                              : ps_certificate_identity(cert, &out->identity);
    out->has_identity = st == PS_OK;
    if (st)
        (void)snprintf(out->identity_error, sizeof out->identity_error, "%s", ps_error_message());
}

static void inspect_hosts(X509 *cert, ps_certificate_info *out)
{
    GENERAL_NAMES *names = alternative_names(cert);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char host[256];
        if (out->n_hosts < PS_CERTIFICATE_HOSTS_MAX &&
            host_text(sk_GENERAL_NAME_value(names, i), host, sizeof host))
            out->hosts[out->n_hosts++] = ps_strdup(host);
    }
    GENERAL_NAMES_free(names);
}

static int days_until(int64_t then, int64_t now)
{
    int64_t left = then - now;
    return (int)(left >= 0 ? left / 86400 : -((-left + 86399) / 86400));
}

void ps_certificate_describe(X509 *cert, ps_certificate_info *out)
{
    *out = (ps_certificate_info){0};
    ps_certificate_name_text(X509_get_subject_name(cert), out->subject, sizeof out->subject);
    ps_certificate_name_text(X509_get_issuer_name(cert), out->issuer, sizeof out->issuer);
    out->is_ca = X509_check_ca(cert) == 1;
    inspect_identity(cert, out);
    inspect_hosts(cert, out);
    out->not_before = ps_certificate_not_before(cert);
    out->not_after = ps_certificate_not_after(cert);
    out->days_left = days_until(out->not_after, (int64_t)time(NULL));
    ps_certificate_serial_hex(cert, out->serial);
    ps_certificate_key_type(X509_get0_pubkey(cert), out->key_type);
    if (X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) {
        uint32_t usage = X509_get_extended_key_usage(cert);
        out->for_server = usage & XKU_SSL_SERVER;
        out->for_client = usage & XKU_SSL_CLIENT;
        out->for_signing = usage & XKU_CODE_SIGN;
    }
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (X509_digest(cert, EVP_sha256(), digest, &len) == 1)
        hex_text(digest, len, out->fingerprint, sizeof out->fingerprint);
}

ps_status ps_certificate_inspect(const char *path, ps_certificate_info *out)
{
    X509 *cert = NULL;
    ps_status st = ps_pem_read_certificate(path, "certificate", &cert);
    if (st)
        return st;
    ps_certificate_describe(cert, out);
    X509_free(cert);
    return PS_OK;
}

void ps_certificate_info_clear(ps_certificate_info *info)
{
    for (size_t i = 0; i < info->n_hosts; i++)
        ps_free(&info->hosts[i]);
    *info = (ps_certificate_info){0};
}
