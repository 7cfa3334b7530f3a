/* crl_list: a file of PEM CRLs becomes lists that have been verified once.
 *
 * Happy path: read the file, take each CRL apart (crl.c), find the CA of the CA file that has its
 * issuer's name and whose key made its signature. OpenSSL would verify a list's signature, and so
 * hash all of it, at each handshake anew; that is why chains are verified by it without CRLs and
 * then looked up here. */
#include "common/security/crl_list.h"

#include "common/base/buf.h"
#include "common/base/disk.h"
#include "common/base/landlock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/require.h"
#include "common/security/certificate.h"
#include "common/security/crl.h"
#include "common/security/crypto_error.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { KEY_BYTES = 32 };

/* What tells CAs apart: SHA-256 of the public key, so that a CA whose certificate was made anew is
 * the same one. */
typedef struct ca_key {
    uint8_t digest[KEY_BYTES];
} ca_key;

typedef struct one {
    ps_crl crl; /* its slices are of the file, and gone */
    ca_key ca;
    uint8_t digest[KEY_BYTES]; /* SHA-256 of what is signed */
    char number[PS_CRL_NUMBER_TEXT];
} one;

struct ps_crl_list {
    atomic_uint references;
    char *path;
    one *at;
    size_t n;
    ca_key *cas; /* of the CA file it was read with */
    size_t n_cas;
};

static ca_key key_of(X509 *ca)
{
    ca_key key;
    unsigned len = 0;
    int done = X509_pubkey_digest(ca, EVP_sha256(), key.digest, &len);
    PS_REQUIRE(done == 1 && len == KEY_BYTES);
    return key;
}

static bool same_key(const ca_key *a, const ca_key *b)
{
    return memcmp(a->digest, b->digest, KEY_BYTES) == 0;
}

static const one *find_of(const ps_crl_list *list, const ca_key *ca)
{
    for (size_t i = 0; i < list->n; i++)
        if (same_key(&list->at[i].ca, ca))
            return &list->at[i];
    return NULL;
}

/* ---- the signature ---- */

/* The digest and the kind of key that the AlgorithmIdentifier names; SHA-1 and older are no
 * signatures any more. */
static bool algorithm_of(ps_slice der, const EVP_MD **digest, int *key_type)
{
    const uint8_t *at = der.data;
    X509_ALGOR *algorithm = d2i_X509_ALGOR(NULL, &at, (long)der.len);
    const ASN1_OBJECT *name = NULL;
    int md = NID_undef;
    bool good = algorithm != NULL;
    if (good)
        X509_ALGOR_get0(&name, NULL, NULL, algorithm);
    good = good && OBJ_find_sigid_algs(OBJ_obj2nid(name), &md, key_type) == 1;
    X509_ALGOR_free(algorithm);
    *digest = md == NID_undef ? NULL : EVP_get_digestbynid(md);
    bool strong = md == NID_sha256 || md == NID_sha384 || md == NID_sha512 ||
                  (md == NID_undef && (*key_type == NID_ED25519 || *key_type == NID_ED448));
    return good && strong;
}

static bool is_signed_by(const ps_crl *crl, X509 *ca)
{
    const EVP_MD *digest = NULL;
    int key_type = NID_undef;
    EVP_PKEY *key = X509_get0_pubkey(ca);
    if (!key || !algorithm_of(crl->algorithm, &digest, &key_type) ||
        EVP_PKEY_get_base_id(key) != key_type)
        return false;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
                EVP_DigestVerify(context, crl->signature.data, crl->signature.len, crl->tbs.data,
                                 crl->tbs.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error(); /* which failed, the caller says */
    return good;
}

static bool has_name(X509 *ca, ps_slice issuer)
{
    const uint8_t *der = NULL;
    size_t len = 0;
    return X509_NAME_get0_der(X509_get_subject_name(ca), &der, &len) == 1 && len == issuer.len &&
           memcmp(der, issuer.data, len) == 0;
}

static void issuer_text(ps_slice issuer, char *out, size_t size)
{
    const uint8_t *at = issuer.data;
    X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)issuer.len);
    if (name)
        ps_certificate_name_text(name, out, size);
    else
        (void)snprintf(out, size, "unreadable");
    X509_NAME_free(name);
    ERR_clear_error();
}

/* Two CAs of one cluster have one name while one takes over from the other. */
static ps_status find_ca(const ps_crl *crl, STACK_OF(X509) * ca, X509 **out)
{
    bool named = false;
    char issuer[PS_CERTIFICATE_NAME_MAX];
    for (int i = 0; i < sk_X509_num(ca); i++) {
        X509 *cert = sk_X509_value(ca, i);
        if (!has_name(cert, crl->issuer))
            continue;
        named = true;
        if (!is_signed_by(crl, cert))
            continue;
        if (!(X509_get_key_usage(cert) & KU_CRL_SIGN))
            return ps_fail(PS_FAILED_PRECONDITION, "its CA's certificate is not one that may sign "
                                                   "CRLs (keyUsage cRLSign)");
        *out = cert;
        return PS_OK;
    }
    issuer_text(crl->issuer, issuer, sizeof issuer);
    if (named)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "it is of another CA of the name %s, or was changed: no key of the CA file "
                       "made its signature",
                       issuer);
    return ps_fail(PS_FAILED_PRECONDITION,
                   "it is of another CA (%s), which the CA file does not "
                   "have",
                   issuer);
}

/* ---- reading ---- */

static ps_status take_one(ps_crl_list *list, ps_slice der, STACK_OF(X509) * ca)
{
    one fresh = {0};
    X509 *issuer = NULL;
    unsigned len = 0;
    ps_status st = ps_crl_parse(der, &fresh.crl);
    if (st)
        return st;
    st = find_ca(&fresh.crl, ca, &issuer);
    if (!st) {
        fresh.ca = key_of(issuer);
        if (find_of(list, &fresh.ca))
            st = ps_fail(PS_FAILED_PRECONDITION, "it has two of one CA; leave the newer one");
        else if (EVP_Digest(fresh.crl.tbs.data, fresh.crl.tbs.len, fresh.digest, &len, EVP_sha256(),
                            NULL) != 1)
            st = ps_crypto_fail(PS_INTERNAL, "its digest");
    }
    if (st) {
        ps_crl_clear(&fresh.crl);
        return st;
    }
    (void)ps_crl_number_text(fresh.crl.number, fresh.number);
    fresh.crl.tbs = fresh.crl.algorithm = fresh.crl.signature = fresh.crl.issuer = (ps_slice){0};
    list->at = ps_realloc(list->at, (list->n + 1) * sizeof *list->at);
    list->at[list->n++] = fresh;
    return PS_OK;
}

static ps_status take_all(ps_crl_list *list, BIO *bio, STACK_OF(X509) * ca)
{
    ps_status st = PS_OK;
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long len = 0;
    while (!st && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
        if (!strcmp(name, PEM_STRING_X509_CRL))
            st = take_one(list, ps_slice_of(data, (size_t)len), ca);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    if (st)
        return st;
    unsigned long error = ERR_peek_last_error();
    if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
        return ps_crypto_fail(PS_CORRUPT, "damaged PEM");
    ERR_clear_error(); /* only the end of the file */
    return list->n ? PS_OK : ps_fail(PS_CORRUPT, "holds no PEM CRL");
}

static void remember_cas(ps_crl_list *list, STACK_OF(X509) * ca)
{
    char name[PS_CERTIFICATE_NAME_MAX];
    int n = sk_X509_num(ca);
    list->cas = ps_alloc_array((size_t)n + 1, sizeof *list->cas);
    for (int i = 0; i < n; i++) {
        X509 *cert = sk_X509_value(ca, i);
        ca_key key = key_of(cert);
        list->cas[list->n_cas++] = key;
        if (!find_of(list, &key))
            ps_log_warning("security",
                           "CRL %s has none of the CA %s (certificate %d of the CA file): what it "
                           "signed is not looked up",
                           list->path,
                           ps_certificate_name_text(X509_get_subject_name(cert), name, sizeof name),
                           i + 1);
    }
}

ps_status ps_crl_list_read(const char *path, STACK_OF(X509) * ca, ps_crl_list **out)
{
    PS_REQUIRE(path && ca);
    ps_buf text = PS_BUF_EMPTY;
    ps_status st =
        ps_landlock_explain(ps_disk_read_file(&ps_disk_system, path, PS_CRL_MOST, &text), path);
    if (st) {
        ps_buf_free(&text);
        return ps_wrap(st, "CRL");
    }
    ps_crl_list *list = ps_new(ps_crl_list);
    atomic_init(&list->references, 1);
    list->path = ps_strdup(path);
    BIO *bio = BIO_new_mem_buf(text.len ? (const void *)text.data : "", (int)text.len);
    st = bio ? take_all(list, bio, ca) : ps_crypto_fail(PS_NO_MEMORY, "read");
    BIO_free(bio);
    ps_buf_free(&text);
    if (st) {
        st = ps_wrap(st, "CRL %s", path);
        ps_crl_list_unref(&list);
        return st;
    }
    remember_cas(list, ca);
    *out = list;
    return PS_OK;
}

ps_crl_list *ps_crl_list_ref(ps_crl_list *list)
{
    PS_REQUIRE(atomic_fetch_add(&list->references, 1) > 0);
    return list;
}

void ps_crl_list_unref(ps_crl_list **pointer)
{
    ps_crl_list *list = *pointer;
    *pointer = NULL;
    if (!list || atomic_fetch_sub(&list->references, 1) > 1)
        return;
    for (size_t i = 0; i < list->n; i++)
        ps_crl_clear(&list->at[i].crl);
    free(list->at);
    free(list->cas);
    free(list->path);
    free(list);
}

/* ---- questions ---- */

ps_status ps_crl_list_check_dates(const ps_crl_list *list, int64_t now)
{
    char when[PS_CERTIFICATE_TIME_MAX];
    for (size_t i = 0; i < list->n; i++) {
        const ps_crl *crl = &list->at[i].crl;
        if (crl->next_update < now)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "CRL %s expired on %s: make a new one beside the CA (psctl cert crl) "
                           "and put it there",
                           list->path, ps_certificate_time_text(crl->next_update, when));
        if (crl->this_update > now)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "CRL %s is not in force before %s (is a clock wrong?)", list->path,
                           ps_certificate_time_text(crl->this_update, when));
    }
    return PS_OK;
}

static bool knows_ca(const ps_crl_list *list, const ca_key *ca)
{
    for (size_t i = 0; i < list->n_cas; i++)
        if (same_key(&list->cas[i], ca))
            return true;
    return false;
}

static ps_status check_one_newer(const ps_crl_list *list, const one *before)
{
    const one *after = find_of(list, &before->ca);
    if (!after)
        return knows_ca(list, &before->ca)
                   ? ps_fail(PS_FAILED_PRECONDITION,
                             "CRL %s has none any more of a CA of which number %s is in force: put "
                             "that CA's CRL back into it",
                             list->path, before->number)
                   : PS_OK;
    int order = memcmp(after->crl.number, before->crl.number, PS_CRL_SERIAL);
    if (order < 0)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "CRL %s is older than the one in force: number %s, not %s; make a new one "
                       "beside the CA (psctl cert crl)",
                       list->path, after->number, before->number);
    if (order == 0 && memcmp(after->digest, before->digest, KEY_BYTES) != 0)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "CRL %s has the number of the one in force, %s, and is another one: was the "
                       "CA's folder put back to an earlier day? psctl cert crl makes the next "
                       "number",
                       list->path, after->number);
    return PS_OK;
}

ps_status ps_crl_list_check_newer(const ps_crl_list *list, const ps_crl_list *before)
{
    ps_status st = PS_OK;
    for (size_t i = 0; i < before->n && !st; i++)
        st = check_one_newer(list, &before->at[i]);
    return st;
}

bool ps_crl_list_same(const ps_crl_list *a, const ps_crl_list *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++) {
        const one *other = find_of(b, &a->at[i].ca);
        same = other && memcmp(a->at[i].digest, other->digest, KEY_BYTES) == 0;
    }
    return same;
}

static ps_status fail_revoked(X509 *cert, bool leaf, const ps_crl_entry *entry)
{
    ps_identity who;
    char text[PS_IDENTITY_TEXT_MAX + 4] = "", when[PS_CERTIFICATE_TIME_MAX], reason[16];
    if (leaf && ps_certificate_identity(cert, &who) == PS_OK) {
        memcpy(text, "of ", 3);
        (void)ps_identity_format(&who, text + 3);
    } else {
        (void)snprintf(text, sizeof text, "%s", leaf ? "without an identity" : "of a CA");
    }
    return ps_fail(PS_UNAUTHENTICATED, "certificate %s was revoked on %s (%s)", text,
                   ps_certificate_time_text(entry->at, when),
                   ps_crl_reason_text(entry->reason, reason));
}

ps_status ps_crl_list_check(const ps_crl_list *list, const STACK_OF(X509) * chain)
{
    for (int i = 0; i + 1 < sk_X509_num(chain); i++) {
        X509 *cert = sk_X509_value(chain, i);
        ca_key issuer = key_of(sk_X509_value(chain, i + 1));
        const one *crl = find_of(list, &issuer);
        if (!crl)
            continue;
        uint8_t serial[PS_CRL_SERIAL];
        if (!ps_certificate_serial(cert, serial))
            return ps_fail(PS_UNAUTHENTICATED,
                           "certificate has a serial number that no CRL can name (RFC 5280 section "
                           "4.1.2.2)");
        const ps_crl_entry *entry = ps_crl_find(&crl->crl, serial);
        if (entry)
            return fail_revoked(cert, i == 0, entry);
    }
    return PS_OK;
}

ps_status ps_crl_list_check_line(const ps_crl_list *list, X509 *cert)
{
    uint8_t serial[PS_CRL_SERIAL];
    const uint8_t *line = ps_certificate_serial(cert, serial) ? ps_certificate_line(serial) : NULL;
    for (size_t i = 0; line && i < list->n; i++) {
        const ps_crl *crl = &list->at[i].crl;
        for (size_t k = 0; k < crl->n_entries; k++) {
            const uint8_t *other = ps_certificate_line(crl->entries[k].serial);
            if (other && memcmp(other, line, PS_CERTIFICATE_LINE) == 0)
                return fail_revoked(cert, true, &crl->entries[k]);
        }
    }
    return PS_OK;
}

const ps_crl *ps_crl_list_first(const ps_crl_list *list)
{
    return &list->at[0].crl;
}

ps_crl_facts ps_crl_list_facts(const ps_crl_list *list)
{
    ps_crl_facts facts = {.path = list->path, .next_update = INT64_MAX};
    for (size_t i = 0; i < list->n; i++) {
        const ps_crl *crl = &list->at[i].crl;
        facts.entries += crl->n_entries;
        if (crl->next_update >= facts.next_update)
            continue;
        facts.this_update = crl->this_update;
        facts.next_update = crl->next_update;
        facts.number = list->at[i].number;
    }
    return facts;
}
