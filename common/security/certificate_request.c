/* Happy path: OpenSSL parses the DER whole, the key signs for itself, and what is asked for is what
 * the other certificate says. A request's extensions are looked at only to refuse what they ask. */
#include "common/security/certificate_request.h"

#include "common/security/certificate.h"
#include "common/security/certificate_build.h"
#include "common/security/crypto_error.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { SECURITY_BITS = 112 }; /* of a 2048-bit RSA key; NIST SP 800-57 part 1, table 2 */

/* ---- making one ---- */

static bool copy_names(X509 *cert, X509_REQ *request)
{
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    int at = X509_get_ext_by_NID(cert, NID_subject_alt_name, -1);
    bool good = list && at >= 0 && sk_X509_EXTENSION_push(list, X509_get_ext(cert, at)) > 0 &&
                X509_REQ_add_extensions(request, list) == 1;
    sk_X509_EXTENSION_free(list); /* the list alone */
    return good;
}

static bool set_common_name(X509_REQ *request, const char *name)
{
    return !*name ||
           X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8,
                                      (const unsigned char *)name, -1, -1, 0) == 1;
}

ps_status ps_certificate_request_make(X509 *cert, EVP_PKEY *key, ps_buf *out)
{
    char name[PS_CERTIFICATE_NAME_MAX];
    uint8_t *der = NULL;
    X509_REQ *request = X509_REQ_new();
    int len = 0;
    if (request &&
        set_common_name(request, ps_certificate_common_name(X509_get_subject_name(cert), name)) &&
        copy_names(cert, request) && X509_REQ_set_pubkey(request, key) == 1 &&
        X509_REQ_sign(request, key, ps_certificate_digest_for(key)) > 0)
        len = i2d_X509_REQ(request, &der);
    X509_REQ_free(request);
    if (len <= 0)
        return ps_crypto_fail(PS_INTERNAL, "making a certificate request");
    ps_buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    return PS_OK;
}

/* ---- reading one ---- */

static ps_status check_key(X509_REQ *request)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    char type[PS_CERTIFICATE_KEY_TYPE_MAX];
    if (!key)
        return ps_crypto_fail(PS_INVALID_ARGUMENT, "certificate request: its key cannot be read");
    ps_certificate_key_type(key, type);
    if (EVP_PKEY_get_security_bits(key) < SECURITY_BITS)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "certificate request: its key is weak (%s): at least P-256, Ed25519 or RSA "
                       "2048 is needed",
                       type);
    if (X509_REQ_verify(request, key) == 1)
        return PS_OK;
    ERR_clear_error();
    return ps_fail(PS_INVALID_ARGUMENT, "certificate request: it is not signed by its own key (%s)",
                   type);
}

ps_status ps_certificate_request_read(ps_slice der, X509_REQ **out)
{
    const uint8_t *at = der.data;
    if (der.len > PS_CERTIFICATE_REQUEST_MOST)
        return ps_fail(PS_INVALID_ARGUMENT, "certificate request: has %zu bytes, at most %d",
                       der.len, PS_CERTIFICATE_REQUEST_MOST);
    X509_REQ *request = der.len ? d2i_X509_REQ(NULL, &at, (long)der.len) : NULL;
    ps_status st = PS_OK;
    if (!request)
        st = ps_fail(PS_INVALID_ARGUMENT, "certificate request: is none in DER (PKCS #10)");
    else if (at != der.data + der.len)
        st = ps_fail(PS_INVALID_ARGUMENT, "certificate request: %zu bytes follow it",
                     (size_t)(der.data + der.len - at));
    else
        st = check_key(request);
    ERR_clear_error();
    if (st)
        X509_REQ_free(request);
    else
        *out = request;
    return st;
}

void ps_certificate_request_free(X509_REQ **request)
{
    X509_REQ_free(*request);
    *request = NULL;
}

EVP_PKEY *ps_certificate_request_key(X509_REQ *request)
{
    return X509_REQ_get0_pubkey(request);
}

void ps_certificate_request_pem(X509_REQ *request, ps_buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (bio && PEM_write_bio_X509_REQ(bio, request) == 1) {
        long len = BIO_get_mem_data(bio, &text);
        ps_buf_append(out, text, (size_t)len);
    }
    BIO_free(bio);
}

/* ---- is it for a certificate like that one? ---- */

/* A signer that goes by requests would take over whatever they ask for. */
static ps_status check_extensions(X509_REQ *request)
{
    STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(request);
    ps_status st = PS_OK;
    for (int i = 0; !st && i < sk_X509_EXTENSION_num(list); i++) {
        char name[64];
        const ASN1_OBJECT *what = X509_EXTENSION_get_object(sk_X509_EXTENSION_value(list, i));
        if (OBJ_obj2nid(what) == NID_subject_alt_name)
            continue;
        OBJ_obj2txt(name, sizeof name, what, 0);
        st = ps_fail(PS_PERMISSION_DENIED,
                     "certificate request: asks for %s; nothing but names may be asked for", name);
    }
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    ERR_clear_error();
    return st;
}

static GENERAL_NAMES *names_of(X509_REQ *request)
{
    STACK_OF(X509_EXTENSION) *list = X509_REQ_get_extensions(request);
    GENERAL_NAMES *names = X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    ERR_clear_error();
    return names;
}

static bool has_name(const GENERAL_NAMES *names, GENERAL_NAME *wanted)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++)
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), wanted) == 0)
            return true;
    return false;
}

/* The one URI of a request; PS_INVALID_ARGUMENT: it is no identity. */
static ps_status identity_asked_for(const GENERAL_NAMES *names, ps_identity *out)
{
    const ASN1_STRING *uri = NULL;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI && uri)
            return ps_fail(PS_INVALID_ARGUMENT, "it has several URI names");
        if (name->type == GEN_URI)
            uri = name->d.uniformResourceIdentifier;
    }
    if (!uri)
        return ps_fail(PS_INVALID_ARGUMENT, "it has no URI name");
    return ps_identity_parse(
        ps_slice_of(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)), out);
}

static ps_status check_names(X509_REQ *request, X509 *cert, const ps_identity *mine)
{
    GENERAL_NAMES *asked = names_of(request);
    GENERAL_NAMES *had = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    char me[PS_IDENTITY_TEXT_MAX], other[PS_IDENTITY_TEXT_MAX];
    ps_identity who = {0};
    ps_identity_format(mine, me);
    ps_status st = identity_asked_for(asked, &who);
    if (st)
        st = ps_wrap(PS_PERMISSION_DENIED, "certificate request: is not for %s", me);
    else if (!ps_identity_equal(&who, mine))
        st = ps_fail(PS_PERMISSION_DENIED,
                     "certificate request: is for %s, and the caller is %s: each renews its own",
                     ps_identity_format(&who, other), me);
    for (int i = 0; !st && i < sk_GENERAL_NAME_num(asked); i++)
        if (!has_name(had, sk_GENERAL_NAME_value(asked, i)))
            st = ps_fail(PS_PERMISSION_DENIED,
                         "certificate request: asks for names that %s's certificate does not have",
                         me);
    GENERAL_NAMES_free(asked);
    GENERAL_NAMES_free(had);
    return st;
}

static ps_status check_common_name(X509_REQ *request, X509 *cert)
{
    char is[PS_CERTIFICATE_NAME_MAX], was[PS_CERTIFICATE_NAME_MAX];
    ps_certificate_common_name(X509_REQ_get_subject_name(request), is);
    ps_certificate_common_name(X509_get_subject_name(cert), was);
    if (!*is || strcmp(is, was) == 0)
        return PS_OK;
    return ps_fail(PS_PERMISSION_DENIED,
                   "certificate request: has the common name '%s', the caller's certificate '%s'",
                   is, was);
}

ps_status ps_certificate_request_check(X509_REQ *request, X509 *cert)
{
    ps_identity mine;
    char is[PS_CERTIFICATE_KEY_TYPE_MAX], was[PS_CERTIFICATE_KEY_TYPE_MAX];
    ps_status st = ps_certificate_identity(cert, &mine);
    if (!st)
        st = check_extensions(request);
    if (!st)
        st = check_names(request, cert, &mine);
    if (!st)
        st = check_common_name(request, cert);
    if (st)
        return st;
    ps_certificate_key_type(X509_REQ_get0_pubkey(request), is);
    ps_certificate_key_type(X509_get0_pubkey(cert), was);
    if (strcmp(is, was) == 0)
        return PS_OK;
    return ps_fail(PS_PERMISSION_DENIED,
                   "certificate request: its key is %s, that of the caller's certificate %s: the "
                   "new one has the same type",
                   is, was);
}
