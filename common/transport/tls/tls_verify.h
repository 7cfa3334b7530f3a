/* tls_verify: the verdict on a peer's certificate, within a handshake and when our own files are
 * read again. For tls*.c only.
 */
#ifndef PS_TRANSPORT_TLS_TLS_VERIFY_H
#define PS_TRANSPORT_TLS_TLS_VERIFY_H

#include "common/security/identity.h"
#include "common/transport/tls/tls_context.h"

struct ssl_st;
struct x509_store_ctx_st;

/* What a session knows; lives as long as its SSL. */
typedef struct ps_tls_state {
    ps_tls_context *context; /* a reference */
    char *host;              /* what a client dials; NULL on a server */
    bool verified;           /* peer holds a verified identity */
    uint64_t trust;          /* ps_tls_context_trust of the context it was verified by */
    ps_identity peer;
    int64_t not_after; /* until when its whole chain is in force; seconds since 1970 */
    char claim[PS_IDENTITY_TEXT_MAX]; /* what the certificate says it is, verified or not */
    char reason[PS_ERROR_MAX];        /* why it was refused */
} ps_tls_state;

/* Attaches a new state to ssl, which frees it with itself; and finds it. */
ps_tls_state *ps_tls_state_attach(struct ssl_st *ssl, ps_tls_context *context, const char *host);
ps_tls_state *ps_tls_state_of(const struct ssl_st *ssl);

/* For SSL_CTX_set_cert_verify_callback: the chain, then psd's own conditions; fills the state. */
int ps_tls_verify_cb(struct x509_store_ctx_st *store, void *unused);

/* Would this context accept the verified peer of ssl? All conditions but the host name, which no
 * context has, and the dates of CRLs, which are for newcomers. PS_UNAUTHENTICATED or
 * PS_PERMISSION_DENIED with the reason; *revoked: that is that one of its certificates was revoked.
 * A context that differs in its CRLs only costs a look into them, and no signature. */
PS_MUST_CHECK ps_status ps_tls_verify_again(struct ssl_st *ssl, const ps_tls_context *context,
                                            bool *revoked);

#endif
