/* tls_verify: chain and host by OpenSSL, identity by common/security; the reason kept in words.
 *
 * Happy path: X509_verify_cert() agrees, ps_certificate_check() agrees, the state is verified. In
 * every other case the state has a reason, and the error that is left in the store becomes the
 * alert that the peer sees: what is psd's own refusal is X509_V_ERR_APPLICATION_VERIFICATION, an
 * alert handshake_failure. */
#include "common/transport/tls_verify.h"

#include "common/base/mem.h"
#include "common/security/certificate.h"
#include "common/security/certificate_check.h"

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
    bool is_client = ps_tls_context_side(state->context) == PS_TLS_CLIENT;
    ps_certificate_use use = is_client ? PS_CERTIFICATE_FOR_SERVER : PS_CERTIFICATE_FOR_CLIENT;
    state->verified = false;
    note_claim(state, cert);
    if (X509_verify_cert(store) != 1) {
        ps_certificate_explain(store, use, state->host, state->reason, sizeof state->reason);
        return 0;
    }
    const ps_identity *self = ps_tls_context_identity(state->context);
    if (ps_certificate_check(cert, use, self->cluster, ps_tls_context_peer_roles(state->context),
                             &state->peer)) {
        (void)snprintf(state->reason, sizeof state->reason, "%s", ps_error_message());
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        return 0;
    }
    state->verified = true;
    return 1;
}
