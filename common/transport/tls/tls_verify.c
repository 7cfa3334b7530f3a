/* tls_verify: chain and host by OpenSSL, identity by common/security; the reason kept in words.
 *
 * Happy path: X509_verify_cert() agrees, ps_certificate_check() agrees, the state is verified. In
 * every other case the state has a reason, and the error that is left in the store becomes the
 * alert that the peer sees: what is psd's own refusal is X509_V_ERR_APPLICATION_VERIFICATION, an
 * alert handshake_failure. */
#include "common/transport/tls/tls_verify.h"

#include "common/base/mem.h"
#include "common/security/certificate.h"
#include "common/security/certificate_check.h"
#include "common/security/crl_list.h"
#include "common/security/crypto_error.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>

static int state_index = -1;
static pthread_once_t state_index_once = PTHREAD_ONCE_INIT;

static void state_free_cb(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long argl,
                          void *argp)
{
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    ps_tls_state *state = pointer;
    if (!state)
        return;
    ps_tls_context_unref(&state->context);
    ps_free(&state->host);
    ps_free(&state);
}

static void make_state_index(void)
{
    state_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, state_free_cb);
}

ps_tls_state *ps_tls_state_attach(SSL *ssl, ps_tls_context *context, const char *host)
{
    pthread_once(&state_index_once, make_state_index);
    ps_tls_state *state = ps_new(ps_tls_state);
    if (SSL_set_ex_data(ssl, state_index, state) != 1) {
        ps_free(&state);
        return NULL;
    }
    state->context = ps_tls_context_ref(context);
    state->host = ps_strdup(host);
    return state;
}

ps_tls_state *ps_tls_state_of(const SSL *ssl)
{
    return state_index < 0 ? NULL : SSL_get_ex_data(ssl, state_index);
}

static void note_claim(ps_tls_state *state, X509 *cert)
{
    ps_identity who;
    if (cert && ps_certificate_identity(cert, &who) == PS_OK)
        ps_identity_format(&who, state->claim);
}

static ps_certificate_use peer_use(const ps_tls_context *context)
{
    return ps_tls_context_side(context) == PS_TLS_CLIENT ? PS_CERTIFICATE_FOR_SERVER
                                                         : PS_CERTIFICATE_FOR_CLIENT;
}

/* A certificate is worth no more than those it depends on. */
static int64_t chain_not_after(X509_STORE_CTX *store)
{
    int64_t earliest = INT64_MAX;
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t one = ps_certificate_not_after(sk_X509_value(chain, i));
        earliest = one < earliest ? one : earliest;
    }
    return earliest;
}

static ps_status check_peer(const ps_tls_context *context, X509 *cert, ps_identity *out)
{
    return ps_certificate_check(cert, peer_use(context), ps_tls_context_identity(context)->cluster,
                                ps_tls_context_peer_roles(context), out);
}

/* That our CRL has expired is no fault of the peer's, and no alert says so: it hears "unknown". */
static ps_status check_revoked(const ps_tls_context *context, X509_STORE_CTX *store, int *error)
{
    ps_status st = ps_tls_context_check_chain(context, X509_STORE_CTX_get0_chain(store));
    if (st)
        *error = st == PS_UNAUTHENTICATED ? X509_V_ERR_CERT_REVOKED
                                          : X509_V_ERR_CRL_PATH_VALIDATION_ERROR;
    return st;
}

int ps_tls_verify_cb(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    ps_tls_state *state = ssl ? ps_tls_state_of(ssl) : NULL;
    X509 *cert = X509_STORE_CTX_get0_cert(store);
    if (!state || !cert) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
        return 0;
    }
    state->verified = false;
    note_claim(state, cert);
    if (X509_verify_cert(store) != 1) {
        ps_certificate_explain(store, peer_use(state->context), state->host, state->reason,
                               sizeof state->reason);
        return 0;
    }
    int error = X509_V_ERR_APPLICATION_VERIFICATION;
    ps_status st = check_revoked(state->context, store, &error);
    if (!st)
        st = check_peer(state->context, cert, &state->peer);
    if (st) {
        (void)snprintf(state->reason, sizeof state->reason, "%s", ps_error_message());
        X509_STORE_CTX_set_error(store, error);
        return 0;
    }
    state->not_after = chain_not_after(store);
    state->trust = ps_tls_context_trust(state->context);
    state->verified = true;
    return 1;
}

/* Live sessions: who was revoked goes; that a CRL has expired keeps newcomers out, and cuts nobody.
 */
static ps_status look_up(const ps_tls_context *context, const STACK_OF(X509) * chain, bool *revoked)
{
    const ps_crl_list *crl = ps_tls_context_crl(context);
    ps_status st = crl ? ps_crl_list_check(crl, chain) : PS_OK;
    *revoked = st != PS_OK;
    return st;
}

static ps_status verify_chain(X509_STORE_CTX *store, SSL *ssl, X509 *cert,
                              const ps_tls_context *context, bool *revoked)
{
    SSL_CTX *trust = ps_tls_context_ssl(context);
    if (X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(trust), cert,
                            SSL_get_peer_cert_chain(ssl)) != 1)
        return ps_crypto_fail(PS_UNAUTHENTICATED, "certificate of the peer");
    ps_certificate_use use = peer_use(context);
    X509_STORE_CTX_set_default(store,
                               use == PS_CERTIFICATE_FOR_SERVER ? "ssl_server" : "ssl_client");
    X509_STORE_CTX_set_depth(store, SSL_CTX_get_verify_depth(trust));
    if (X509_verify_cert(store) == 1)
        return look_up(context, X509_STORE_CTX_get0_chain(store), revoked);
    char why[PS_ERROR_MAX];
    ps_certificate_explain(store, use, NULL, why, sizeof why);
    return ps_crypto_fail(PS_UNAUTHENTICATED, "%s", why);
}

ps_status ps_tls_verify_again(SSL *ssl, const ps_tls_context *context, bool *revoked)
{
    const ps_tls_state *state = ps_tls_state_of(ssl);
    X509 *cert = SSL_get0_peer_certificate(ssl);
    *revoked = false;
    if (!state || !state->verified || !cert)
        return ps_fail(PS_UNAUTHENTICATED, "the peer has no verified certificate");
    if (state->trust == ps_tls_context_trust(context))
        return look_up(context, SSL_get0_verified_chain(ssl), revoked);
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    ps_status st = store ? verify_chain(store, ssl, cert, context, revoked)
                         : ps_fail(PS_NO_MEMORY, "certificate of the peer: out of memory");
    X509_STORE_CTX_free(store);
    ps_identity who;
    return st ? st : check_peer(context, cert, &who);
}
