/* tls_session: an SSL with its state, and its failures as one line.
 *
 * Happy path: new, handshake by the TLS layer, established, bytes, SSL_free. A failure has one of
 * three causes, looked for in this order: we refused the peer's certificate (the state has the
 * reason), the peer sent an alert (in words below), or what arrived was not our kind of TLS. */
#include "common/transport/tls/tls_session.h"

#include "common/base/host.h"
#include "common/security/crypto_error.h"
#include "common/transport/tls/tls_verify.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

static bool is_address(const char *host)
{
    uint8_t bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool expect_host(SSL *ssl, char *host)
{
    ps_host_drop_dot(host);
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (is_address(host)) /* RFC 6066: no server name indication for addresses */
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}

ps_status ps_tls_session_new(ps_tls_context *context, const char *host, SSL **out)
{
    bool client = ps_tls_context_side(context) == PS_TLS_CLIENT;
    if (client && (!host || !*host))
        return ps_fail(PS_INVALID_ARGUMENT, "tls: a client needs the server's host name");
    SSL *ssl = SSL_new(ps_tls_context_ssl(context));
    ps_tls_state *state = ssl ? ps_tls_state_attach(ssl, context, client ? host : NULL) : NULL;
    if (!state || (client && !expect_host(ssl, state->host))) {
        SSL_free(ssl);
        return ps_crypto_fail(PS_INVALID_ARGUMENT, "tls session for %s",
                              client ? host : "a client");
    }
    if (client)
        SSL_set_connect_state(ssl);
    else
        SSL_set_accept_state(ssl);
    *out = ssl;
    return PS_OK;
}

ps_status ps_tls_peer_identity(SSL *ssl, ps_identity *out)
{
    const ps_tls_state *state = ps_tls_state_of(ssl);
    if (!state || !state->verified || SSL_get_verify_result(ssl) != X509_V_OK)
        return ps_fail(PS_UNAUTHENTICATED, "the peer has no verified certificate");
    *out = state->peer;
    return PS_OK;
}

ps_status ps_tls_session_established(SSL *ssl, ps_identity *peer)
{
    const unsigned char *alpn = NULL;
    unsigned len = 0;
    if (!SSL_is_init_finished(ssl))
        return ps_fail(PS_PROTOCOL, "the TLS handshake is not complete");
    SSL_get0_alpn_selected(ssl, &alpn, &len);
    if (len != 2 || memcmp(alpn, "h2", 2) != 0)
        return ps_fail(PS_PROTOCOL, "the peer does not speak HTTP/2 (no ALPN h2)");
    return ps_tls_peer_identity(ssl, peer);
}

const char *ps_tls_session_group(SSL *ssl)
{
    const char *name = SSL_group_to_name(ssl, (int)SSL_get_negotiated_group(ssl));
    return name ? name : "unknown";
}

int64_t ps_tls_peer_not_after(const SSL *ssl)
{
    const ps_tls_state *state = ps_tls_state_of(ssl);
    return state && state->verified ? state->not_after : 0;
}

const char *ps_tls_verify_reason(const SSL *ssl)
{
    const ps_tls_state *state = ps_tls_state_of(ssl);
    return state ? state->reason : "";
}

const char *ps_tls_peer_claim(const SSL *ssl)
{
    const ps_tls_state *state = ps_tls_state_of(ssl);
    return state ? state->claim : "";
}

/* Alerts (RFC 8446 section 6.2) by which a peer says what is wrong with our certificate, and what
 * ps_tls_verify_cb means by them on the other side. */
static const struct {
    int alert;
    const char *text;
} certificate_alerts[] = {
    {SSL_AD_HANDSHAKE_FAILURE, "its identity may not connect there (wrong cluster or role)"},
    {SSL_AD_BAD_CERTIFICATE, "bad, not yet in force, or for another host name"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "not made for this side of a connection"},
    {SSL_AD_CERTIFICATE_REVOKED, "revoked"},
    {SSL_AD_CERTIFICATE_EXPIRED, "expired"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "not acceptable"},
    {SSL_AD_UNKNOWN_CA, "signed by a CA unknown there"},
    {SSL_AD_ACCESS_DENIED, "access denied"},
};

static ps_status fail_by_alert(const SSL *ssl, int alert)
{
    const char *peer = SSL_is_server(ssl) ? "client" : "server";
    if (alert == SSL_AD_CERTIFICATE_REQUIRED)
        return ps_fail(PS_UNAUTHENTICATED, "the %s requires a certificate, we showed none", peer);
    if (alert == SSL_AD_NO_APPLICATION_PROTOCOL)
        return ps_fail(PS_PROTOCOL, "the %s does not speak HTTP/2 (no ALPN h2)", peer);
    if (alert == SSL_AD_PROTOCOL_VERSION)
        return ps_fail(PS_PROTOCOL, "the %s does not speak TLS 1.3", peer);
    /* A failure to agree that comes before our certificate was sent says nothing about it. A client
     * sends it right before its Finished (SSL_is_init_finished is false again after an alert). */
    uint8_t finished;
    bool shown = SSL_is_server(ssl) || SSL_get_finished(ssl, &finished, sizeof finished) > 0;
    for (size_t i = 0; i < sizeof certificate_alerts / sizeof *certificate_alerts; i++)
        if (certificate_alerts[i].alert == alert && shown)
            return ps_fail(PS_UNAUTHENTICATED, "the %s rejected our certificate: %s", peer,
                           certificate_alerts[i].text);
    return ps_fail(PS_PROTOCOL, "the %s ended TLS with the alert: %s", peer,
                   SSL_alert_desc_string_long(alert));
}

static ps_status fail_by_reason(const SSL *ssl, int reason)
{
    const char *peer = SSL_is_server(ssl) ? "client" : "server";
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return ps_fail(PS_UNAUTHENTICATED, "the %s showed no certificate", peer);
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return ps_fail(PS_PROTOCOL, "the %s speaks plain HTTP, not TLS", peer);
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_VERSION_TOO_LOW:
        return ps_fail(PS_PROTOCOL, "the %s does not speak TLS 1.3", peer);
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNEXPECTED_MESSAGE:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_RECORD_LENGTH_MISMATCH:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
        return ps_crypto_fail(PS_PROTOCOL, "the %s does not speak TLS", peer);
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return ps_fail(PS_PROTOCOL, "the %s does not speak HTTP/2 (no ALPN h2)", peer);
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_GROUPS:
        return ps_crypto_fail(PS_PROTOCOL, "the %s has no TLS algorithm in common with us", peer);
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        return ps_fail(PS_UNAVAILABLE, "the %s closed the connection", peer);
    default:
        return ps_crypto_fail(PS_PROTOCOL, "TLS with the %s", peer);
    }
}

ps_status ps_tls_session_failure(SSL *ssl, int ssl_error)
{
    int system_error = errno;
    const char *peer = SSL_is_server(ssl) ? "client" : "server";
    const char *why = ps_tls_verify_reason(ssl);
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    ps_status st;
    if (*why)
        st = ps_fail(PS_UNAUTHENTICATED, "%s refused: %s", peer, why);
    else if (error && ERR_GET_LIB(error) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET &&
             reason <= SSL_AD_REASON_OFFSET + 255)
        st = fail_by_alert(ssl, reason - SSL_AD_REASON_OFFSET);
    else if (error && ERR_GET_LIB(error) == ERR_LIB_SSL)
        st = fail_by_reason(ssl, reason);
    else if (error)
        st = ps_crypto_fail(PS_PROTOCOL, "TLS with the %s", peer);
    else if (ssl_error == SSL_ERROR_SYSCALL && system_error)
        st = ps_fail(PS_UNAVAILABLE, "connection to the %s: %s", peer, strerror(system_error));
    else
        st = ps_fail(PS_UNAVAILABLE, "the %s closed the connection", peer);
    ERR_clear_error();
    return st;
}
