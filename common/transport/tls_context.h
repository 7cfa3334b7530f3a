/* tls_context: the certificates and the rules with which this process speaks TLS.
 *
 * A ps_tls_context is made of a CA file, a certificate and its key, never changes, and is counted;
 * a ps_tls_holder has the current one and swaps it when files are reloaded (SIGHUP). Connections
 * keep the context they began with.
 *
 * Every context: TLS 1.3 only (RFC 8446), AES-256-GCM first, groups X25519 and P-256, ALPN h2
 * mandatory (RFC 9113 section 3.2), no tickets and no resumption (that would skip the
 * verification), no compression, no renegotiation. Both sides show a certificate. A peer is
 * accepted when its chain ends in our CA, is in force today, has the extended key usage of its
 * side (clientAuth or serverAuth), and exactly one URI SAN spiffe://CLUSTER/ROLE/NAME with our own
 * cluster and a role that may be there; a client also checks the server's host name or address.
 *
 * A context and a holder may be used on any thread at the same time; a session (SSL) belongs to
 * one thread at a time.
 */
#ifndef PS_TRANSPORT_TLS_CONTEXT_H
#define PS_TRANSPORT_TLS_CONTEXT_H

#include "common/base/status.h"
#include "common/security/identity.h"

#include <stddef.h>
#include <stdint.h>

struct ssl_st; /* SSL; <openssl/ssl.h> is included by the .c files of the TLS layer only */

typedef enum ps_tls_side { PS_TLS_SERVER, PS_TLS_CLIENT } ps_tls_side;

typedef struct ps_tls_options {
    ps_tls_side side;
    const char *ca_file;    /* PEM, one or more CA certificates */
    const char *cert_file;  /* PEM, our certificate, then intermediates if there are any */
    const char *key_file;   /* PEM, its private key, without a pass phrase */
    ps_role_set peer_roles; /* who may be on the other side; 0: a server admits PS_ROLES_CLIENTS,
                               a client only PS_ROLE_SERVER */
    bool read_ahead;        /* SSL_CTX_set_read_ahead: fewer reads; not with SSL_pending() alone */
    size_t read_buffer;     /* bytes of SSL_CTX_set_default_read_buffer_len; 0: OpenSSL's 16 KiB */
    bool release_buffers;   /* SSL_MODE_RELEASE_BUFFERS: less memory an idle connection */
} ps_tls_options;

typedef struct ps_tls_context ps_tls_context;

/* Reads and checks the files: readable, the key belongs to the certificate, the certificate is
 * signed by the CA, in force, and usable for `side`. On failure one line says which file, what is
 * wrong with it and what to do. A key that others can read is a warning in the log. A certificate
 * that ends within 14 days is one as well. *out is one reference. */
PS_MUST_CHECK ps_status ps_tls_context_new(const ps_tls_options *options, ps_tls_context **out);
ps_tls_context *ps_tls_context_ref(ps_tls_context *context);
void ps_tls_context_unref(ps_tls_context **context); /* clears *context; NULL is fine */

ps_tls_side ps_tls_context_side(const ps_tls_context *context);
const ps_identity *ps_tls_context_identity(const ps_tls_context *context); /* our own */
int64_t ps_tls_context_not_after(const ps_tls_context *context); /* seconds since 1970, UTC */

/* The current context, which a reload replaces. */
typedef struct ps_tls_holder ps_tls_holder;
PS_MUST_CHECK ps_status ps_tls_holder_new(const ps_tls_options *options, ps_tls_holder **out);
void ps_tls_holder_free(ps_tls_holder **holder);
ps_tls_context *ps_tls_holder_get(ps_tls_holder *holder); /* a reference of the caller's */
/* Reads the same files again. On failure the old context stays, and the message says why. A new
 * certificate must have the cluster of the old one. */
PS_MUST_CHECK ps_status ps_tls_holder_reload(ps_tls_holder *holder);

/* Sessions ------------------------------------------------------------------------------------ */

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
