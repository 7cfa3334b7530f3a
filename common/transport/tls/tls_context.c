/* tls_context: an SSL_CTX out of three files, and CRLs out of a fourth, checked before anybody
 * connects.
 *
 * Happy path: read the PEM files, check our own certificate as a peer would, set the rules, hand
 * them to OpenSSL. Every failure names the file. The context is immutable afterwards, which is what
 * makes it safe to share between threads; a reload makes a new one. */
#include "common/transport/tls/tls_context.h"

#include "common/base/mem.h"
#include "common/security/certificate.h"
#include "common/security/certificate_check.h"
#include "common/security/crl.h"
#include "common/security/crl_list.h"
#include "common/security/crypto_error.h"
#include "common/security/pem_file.h"
#include "common/transport/tls/tls_groups.h"
#include "common/transport/tls/tls_verify.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define CIPHERS     "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"
#define CHAIN_DEPTH 4
#define PAIR_TRIES  5
#define CHAIN_MAX   (32 * 1024) /* bytes of the peer's certificates */

/* The certificates with all that follows from them; contexts that differ in CRLs only share it. */
typedef struct trust {
    atomic_uint references;
    uint64_t number;
    SSL_CTX *ssl;
    ps_tls_side side;
    ps_role_set peer_roles;
    ps_identity self;
    STACK_OF(X509) * chain; /* our own, to the root; NULL: unchecked */
    char *own_file, *ca_file;
    char own_serial[PS_CRL_NUMBER_TEXT], ca_serial[PS_CRL_NUMBER_TEXT];
    ps_tls_dates dates;
} trust;

struct ps_tls_context {
    atomic_uint references;
    trust *trust;
    ps_crl_list *crl; /* NULL: none */
    bool crl_stale;
};

/* What the three files hold, while a context is made. */
typedef struct material {
    STACK_OF(X509) * ca;
    STACK_OF(X509) * chain; /* what follows our certificate in its file */
    X509 *cert;
    EVP_PKEY *key;
} material;

static void material_free(material *m)
{
    sk_X509_pop_free(m->ca, X509_free);
    sk_X509_pop_free(m->chain, X509_free);
    X509_free(m->cert);
    EVP_PKEY_free(m->key);
}

/* The file's first certificate is not the key's: is a later one? */
static ps_status not_ours(const ps_tls_options *options, const material *m)
{
    int place = 0;
    for (int i = 0; !place && i < sk_X509_num(m->chain); i++)
        place = X509_check_private_key(sk_X509_value(m->chain, i), m->key) == 1 ? i + 2 : 0;
    ERR_clear_error(); /* a mismatch is ours to say */
    if (place)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "%s is in the wrong order: our own certificate must be the first, and the "
                       "one of private key %s is number %d",
                       options->cert_file, options->key_file, place);
    return ps_fail(PS_FAILED_PRECONDITION, "private key %s does not belong to the certificate %s",
                   options->key_file, options->cert_file);
}

/* Two files cannot be read at one moment, and both may be replaced between the one and the other
 * (pem_renewal.h). */
static ps_status pair_read(const ps_tls_options *options, material *m, bool *pair)
{
    material again = {.ca = m->ca};
    m->ca = NULL;
    material_free(m);
    *m = again;
    ps_status st = ps_pem_read_certificates(options->cert_file, "certificate", &m->chain);
    if (st)
        return st;
    m->cert = sk_X509_shift(m->chain);
    st = ps_pem_read_key_of(m->cert, options->key_file, &m->key);
    *pair = !st && X509_check_private_key(m->cert, m->key) == 1;
    ERR_clear_error(); /* a mismatch is ours to say */
    return st;
}

static ps_status material_read(const ps_tls_options *options, material *m)
{
    if (!options->ca_file || !options->cert_file || !options->key_file)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "tls: a CA file, a certificate file and a key file are needed");
    ps_status st = ps_pem_read_certificates(options->ca_file, "CA file", &m->ca);
    bool pair = false;
    for (int tries = 0; !st && !pair && tries < PAIR_TRIES; tries++)
        st = pair_read(options, m, &pair);
    return st || pair ? st : not_ours(options, m);
}

static ps_certificate_use own_use(ps_tls_side side)
{
    return side == PS_TLS_SERVER ? PS_CERTIFICATE_FOR_SERVER : PS_CERTIFICATE_FOR_CLIENT;
}

static void serial_text(X509 *cert, char out[PS_CRL_NUMBER_TEXT])
{
    uint8_t serial[PS_CERTIFICATE_SERIAL];
    out[0] = '\0';
    if (ps_certificate_serial(cert, serial))
        (void)ps_crl_serial_text(serial, out);
}

/* Of the issuers, the one that ends first. */
static void note_issuers(trust *t)
{
    for (int i = 1; i < sk_X509_num(t->chain); i++) {
        X509 *issuer = sk_X509_value(t->chain, i);
        int64_t ends = ps_certificate_not_after(issuer);
        if (ends >= t->dates.ca_not_after)
            continue;
        t->dates.ca_not_after = ends;
        t->dates.ca_not_before = ps_certificate_not_before(issuer);
        serial_text(issuer, t->ca_serial);
    }
}

/* The verification that a peer with our CA file would make. */
static ps_status check_own_chain(const ps_tls_options *options, const material *m, trust *t)
{
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    bool server = options->side == PS_TLS_SERVER;
    ps_status st = PS_OK;
    if (!store ||
        X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(t->ssl), m->cert, m->chain) != 1) {
        st = ps_crypto_fail(PS_NO_MEMORY, "certificate %s", options->cert_file);
    } else {
        X509_STORE_CTX_set_default(store, server ? "ssl_server" : "ssl_client");
        if (options->ahead_s)
            X509_STORE_CTX_set_time(store, 0, time(NULL) - (time_t)options->ahead_s);
        if (X509_verify_cert(store) != 1) {
            char why[PS_ERROR_MAX];
            ps_certificate_explain(store, own_use(options->side), NULL, why, sizeof why);
            st = ps_crypto_fail(PS_FAILED_PRECONDITION, "%s (CA file %s): %s", options->cert_file,
                                options->ca_file, why);
        }
        t->chain = X509_STORE_CTX_get1_chain(store);
        note_issuers(t);
    }
    X509_STORE_CTX_free(store);
    return st;
}

/* Dates are checked first and by us: their message is the one that people need most often. */
static ps_status check_own(const ps_tls_options *options, const material *m, trust *t)
{
    char when[PS_CERTIFICATE_TIME_MAX];
    if ((int64_t)time(NULL) > t->dates.own_not_after)
        return ps_fail(PS_FAILED_PRECONDITION,
                       "certificate %s expired on %s; issue a new one with psctl cert create-%s",
                       options->cert_file, ps_certificate_time_text(t->dates.own_not_after, when),
                       options->side == PS_TLS_SERVER ? "server" : "client");
    ps_identity who;
    ps_status st = ps_certificate_check(m->cert, own_use(options->side), NULL, ~0u, &who);
    if (st)
        return ps_wrap(PS_FAILED_PRECONDITION, "%s", options->cert_file);
    return check_own_chain(options, m, t);
}

/* RFC 7301: a list of length-prefixed names; the only one that we speak is h2. */
static int choose_alpn_cb(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                          const unsigned char *in, unsigned in_len, void *unused)
{
    (void)ssl, (void)unused;
    ps_cursor names = ps_cursor_of(ps_slice_of(in, in_len));
    while (ps_cursor_left(&names)) {
        ps_slice name = ps_read_bytes(&names, ps_read_u8(&names));
        if (name.len != 2 || memcmp(name.data, "h2", 2) != 0)
            continue;
        *out = name.data;
        *out_len = 2;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool set_protocol(SSL_CTX *ssl, ps_tls_side side)
{
    static const unsigned char h2[] = {2, 'h', '2'};
    SSL_CTX_set_security_level(ssl, 2);
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ssl, SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_cert_list(ssl, CHAIN_MAX);
    if (side == PS_TLS_SERVER)
        SSL_CTX_set_alpn_select_cb(ssl, choose_alpn_cb, NULL);
    else if (SSL_CTX_set_alpn_protos(ssl, h2, sizeof h2) != 0) /* 0 is success here */
        return false;
    return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_num_tickets(ssl, 0) == 1 && SSL_CTX_set_ciphersuites(ssl, CIPHERS) == 1;
}

static bool set_trust(SSL_CTX *ssl, const material *m)
{
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(ssl, CHAIN_DEPTH);
    SSL_CTX_set_cert_verify_callback(ssl, ps_tls_verify_cb, NULL);
    for (int i = 0; i < sk_X509_num(m->ca); i++) {
        X509 *ca = sk_X509_value(m->ca, i);
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), ca) != 1 ||
            SSL_CTX_add_client_CA(ssl, ca) != 1) /* tells clients which certificate to show */
            return false;
    }
    return SSL_CTX_use_cert_and_key(ssl, m->cert, m->key, m->chain, 1) == 1;
}

static void set_buffers(SSL_CTX *ssl, const ps_tls_options *options)
{
    if (options->release_buffers)
        SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
}

static ps_status check_ca(const ps_tls_options *options, const material *m)
{
    for (int i = 0; i < sk_X509_num(m->ca); i++)
        if (X509_check_ca(sk_X509_value(m->ca, i)) != 1)
            return ps_fail(PS_FAILED_PRECONDITION,
                           "CA file %s: certificate %d is not that of a CA; give the ca.pem that "
                           "psctl cert create-ca wrote",
                           options->ca_file, i + 1);
    return PS_OK;
}

static ps_status trust_fill(const ps_tls_options *options, const material *m, trust *t)
{
    t->side = options->side;
    t->peer_roles = options->peer_roles              ? options->peer_roles
                    : options->side == PS_TLS_SERVER ? PS_ROLES_CLIENTS
                                                     : PS_ROLE_BIT(PS_ROLE_SERVER);
    t->own_file = ps_strdup(options->cert_file);
    t->ca_file = ps_strdup(options->ca_file);
    serial_text(m->cert, t->own_serial);
    t->dates = (ps_tls_dates){.own_file = t->own_file,
                              .ca_file = t->ca_file,
                              .own_serial = t->own_serial,
                              .ca_serial = t->ca_serial,
                              .own_not_before = ps_certificate_not_before(m->cert),
                              .own_not_after = ps_certificate_not_after(m->cert),
                              .ca_not_after = INT64_MAX,
                              .crl_number = ""};
    ps_status st = check_ca(options, m);
    if (st)
        return st;
    if (ps_certificate_identity(m->cert, &t->self))
        return ps_wrap(PS_FAILED_PRECONDITION, "%s", options->cert_file);
    t->ssl =
        SSL_CTX_new(options->side == PS_TLS_SERVER ? TLS_server_method() : TLS_client_method());
    if (!t->ssl || !set_protocol(t->ssl, t->side) || !set_trust(t->ssl, m))
        return ps_crypto_fail(PS_INTERNAL, "tls context of %s", options->cert_file);
    set_buffers(t->ssl, options);
    st = ps_tls_groups_set(t->ssl, options->groups);
    if (st)
        return st;
    return options->unchecked ? PS_OK : check_own(options, m, t);
}

static trust *trust_new(void)
{
    static atomic_uint_least64_t numbers;
    trust *t = ps_new(trust);
    atomic_init(&t->references, 1);
    t->number = atomic_fetch_add(&numbers, 1) + 1;
    return t;
}

static void trust_unref(trust **pointer)
{
    trust *t = *pointer;
    *pointer = NULL;
    if (!t || atomic_fetch_sub(&t->references, 1) > 1)
        return;
    SSL_CTX_free(t->ssl);
    sk_X509_pop_free(t->chain, X509_free);
    free(t->own_file);
    free(t->ca_file);
    free(t);
}

/* Takes both references. */
static ps_tls_context *context_of(trust *t, ps_crl_list *crl, bool stale)
{
    ps_tls_context *context = ps_new(ps_tls_context);
    atomic_init(&context->references, 1);
    context->trust = t;
    context->crl = crl;
    context->crl_stale = stale;
    return context;
}

static ps_status read_crl(const ps_tls_options *options, STACK_OF(X509) * ca, ps_crl_list **out)
{
    if (!options->crl_file || !*options->crl_file)
        return PS_OK;
    ps_crl_list *list = NULL;
    ps_status st = ps_crl_list_read(options->crl_file, ca, &list);
    if (!st && !options->crl_stale)
        st = ps_crl_list_check_dates(list, (int64_t)time(NULL));
    if (st) {
        ps_crl_list_unref(&list);
        return st;
    }
    *out = list;
    return PS_OK;
}

ps_status ps_tls_context_new(const ps_tls_options *options, ps_tls_context **out)
{
    material m = {0};
    trust *t = trust_new();
    ps_crl_list *crl = NULL;
    ps_status st = material_read(options, &m);
    if (!st)
        st = trust_fill(options, &m, t);
    if (!st)
        st = read_crl(options, m.ca, &crl);
    material_free(&m);
    ps_tls_context *context = context_of(t, crl, options->crl_stale);
    if (!st)
        st = ps_tls_context_check_own(context);
    if (st) {
        ps_tls_context_unref(&context);
        return st;
    }
    *out = context;
    return PS_OK;
}

ps_status ps_tls_context_read_crl(const ps_tls_context *context, const char *file,
                                  ps_crl_list **out)
{
    STACK_OF(X509) *ca = X509_STORE_get1_all_certs(SSL_CTX_get_cert_store(context->trust->ssl));
    ps_status st =
        ca ? ps_crl_list_read(file, ca, out) : ps_crypto_fail(PS_NO_MEMORY, "CRL %s", file);
    sk_X509_pop_free(ca, X509_free);
    return st;
}

void ps_tls_context_with_crl(const ps_tls_context *context, ps_crl_list *crl, ps_tls_context **out)
{
    atomic_fetch_add(&context->trust->references, 1);
    *out = context_of(context->trust, crl ? ps_crl_list_ref(crl) : NULL, context->crl_stale);
}

ps_tls_context *ps_tls_context_ref(ps_tls_context *context)
{
    atomic_fetch_add(&context->references, 1);
    return context;
}

void ps_tls_context_unref(ps_tls_context **context)
{
    if (*context && atomic_fetch_sub(&(*context)->references, 1) == 1) {
        trust_unref(&(*context)->trust);
        ps_crl_list_unref(&(*context)->crl);
        ps_free(context);
    }
    *context = NULL;
}

/* ---- what it says ---- */

ps_status ps_tls_context_check_chain(const ps_tls_context *context, const STACK_OF(X509) * chain)
{
    if (!context->crl)
        return PS_OK;
    ps_status st = ps_crl_list_check(context->crl, chain);
    if (!st && !context->crl_stale)
        st = ps_crl_list_check_dates(context->crl, (int64_t)time(NULL));
    return st;
}

ps_status ps_tls_context_check_own(const ps_tls_context *context)
{
    if (!context->crl || !context->trust->chain ||
        !ps_crl_list_check(context->crl, context->trust->chain))
        return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION, "%s: %s; issue a new one with psctl cert create-%s",
                   context->trust->own_file, ps_error_message(),
                   context->trust->side == PS_TLS_SERVER ? "server" : "client");
}

ps_tls_side ps_tls_context_side(const ps_tls_context *context)
{
    return context->trust->side;
}

ps_role_set ps_tls_context_peer_roles(const ps_tls_context *context)
{
    return context->trust->peer_roles;
}

const ps_identity *ps_tls_context_identity(const ps_tls_context *context)
{
    return &context->trust->self;
}

ps_tls_dates ps_tls_context_dates(const ps_tls_context *context)
{
    ps_tls_dates dates = context->trust->dates;
    if (!context->crl)
        return dates;
    ps_crl_facts facts = ps_crl_list_facts(context->crl);
    dates.crl_file = facts.path;
    dates.crl_number = facts.number;
    dates.crl_entries = facts.entries;
    dates.crl_this_update = facts.this_update;
    dates.crl_next_update = facts.next_update;
    return dates;
}

ps_crl_list *ps_tls_context_crl(const ps_tls_context *context)
{
    return context->crl;
}

uint64_t ps_tls_context_trust(const ps_tls_context *context)
{
    return context->trust->number;
}

EVP_PKEY *ps_tls_context_own(const ps_tls_context *context, X509 **certificate,
                             STACK_OF(X509) * *above)
{
    *certificate = SSL_CTX_get0_certificate(context->trust->ssl);
    SSL_CTX_get0_chain_certs(context->trust->ssl, above);
    return SSL_CTX_get0_privatekey(context->trust->ssl);
}

SSL_CTX *ps_tls_context_ssl(const ps_tls_context *context)
{
    return context->trust->ssl;
}
