/* tls_session: one TLS connection, made of a context; its verdict on the peer, in words.
 *
 * The TLS layer moves the bytes (BIOs, SSL_do_handshake, SSL_read, SSL_write); here are the parts
 * that decide who may be on the other side. A session belongs to one thread at a time (not asserted
 * here: its layer asks, tls.c). */
#ifndef PS_TRANSPORT_TLS_TLS_SESSION_H
#define PS_TRANSPORT_TLS_TLS_SESSION_H

#include "common/base/status.h"
#include "common/security/identity.h"
#include "common/transport/tls/tls_context.h"

struct ssl_st; /* SSL; <openssl/ssl.h> is included by the .c files of the TLS layer only */

/* An SSL in connect or accept state, without a BIO; SSL_free() ends it. It holds a reference of the
 * context. A client gives the host it dials, a name or an address, with which the server's
 * certificate must agree (RFC 9525); a server gives NULL. Always make sessions here: the verifier
 * needs what this attaches. */
PS_MUST_CHECK ps_status ps_tls_session_new(ps_tls_context *context, const char *host,
                                           struct ssl_st **out);

/* Once the handshake is complete, before the first byte of data: the peer spoke h2 and has a
 * verified identity, which is stored in *peer. PS_UNAUTHENTICATED or PS_PROTOCOL otherwise; close
 * then. */
PS_MUST_CHECK ps_status ps_tls_session_established(struct ssl_st *ssl, ps_identity *peer);

/* The identity of the peer's verified certificate. PS_UNAUTHENTICATED when there is none. */
PS_MUST_CHECK ps_status ps_tls_peer_identity(struct ssl_st *ssl, ps_identity *out);

/* By which group the key was agreed on ("X25519MLKEM768", tls_groups.h). */
const char *ps_tls_session_group(struct ssl_st *ssl);

/* Until when the peer's whole chain is in force, seconds since 1970; 0 when none was verified. */
int64_t ps_tls_peer_not_after(const struct ssl_st *ssl);

/* Why we refused the peer, in words ("certificate of spiffe://c/worker/w1 expired on 2026-01-01");
 * "" when we did not. Valid as long as the session. */
const char *ps_tls_verify_reason(const struct ssl_st *ssl);

/* What the peer's certificate said it is, also when we refused it: for logs and the audit, never
 * for a decision. "" when it showed none that can be read. Valid as long as the session. */
const char *ps_tls_peer_claim(const struct ssl_st *ssl);

/* Turns a failed SSL_do_handshake/SSL_read/SSL_write into a status and one line; to be called on
 * the thread of the failure, right after it, with what SSL_get_error() said. Takes OpenSSL's error
 * queue. PS_UNAUTHENTICATED: a certificate was refused, by us (the reason above) or by the peer
 * (its alert in words: "the server rejected our certificate: expired"); PS_PROTOCOL: not TLS, not
 * 1.3, no common cipher or ALPN; PS_UNAVAILABLE: closed or reset.
 * A TLS 1.3 client learns of a rejected certificate from its first read, not from the handshake. */
PS_MUST_CHECK ps_status ps_tls_session_failure(struct ssl_st *ssl, int ssl_error);

#endif
