/* tls_context: the certificates and the rules with which this process speaks TLS.
 *
 * A ps_tls_context is made of a CA file, a certificate and its key, never changes, and is counted.
 * tls_holder.h has the current one and swaps it when the files are reloaded (SIGHUP); connections
 * keep the context they began with, and their peer is verified by the new one as well.
 *
 * Every context: TLS 1.3 only (RFC 8446), AES-256-GCM first, groups X25519 and P-256, ALPN h2
 * mandatory (RFC 9113 section 3.2), no tickets and no resumption (that would skip the
 * verification), no compression, no renegotiation. Both sides show a certificate. A peer is
 * accepted when its chain ends in our CA, is in force today, has the extended key usage of its
 * side (clientAuth or serverAuth), and exactly one URI SAN spiffe://CLUSTER/ROLE/NAME with our own
 * cluster and a role that may be there; a client also checks the server's host name or address.
 *
 * The connections made of a context are in tls_session.h. Any thread.
 */
#ifndef PS_TRANSPORT_TLS_TLS_CONTEXT_H
#define PS_TRANSPORT_TLS_TLS_CONTEXT_H

#include "common/base/status.h"
#include "common/security/identity.h"

#include <stddef.h>
#include <stdint.h>

struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;

typedef enum ps_tls_side { PS_TLS_SERVER, PS_TLS_CLIENT } ps_tls_side;

typedef struct ps_tls_options {
    ps_tls_side side;
    const char *ca_file;    /* PEM, one or more CA certificates */
    const char *cert_file;  /* PEM, our certificate, then intermediates if there are any */
    const char *key_file;   /* PEM, its private key, without a pass phrase */
    ps_role_set peer_roles; /* who may be on the other side; 0: a server admits PS_ROLES_CLIENTS,
                               a client only PS_ROLE_SERVER */
    bool release_buffers;   /* SSL_MODE_RELEASE_BUFFERS: less memory an idle connection */
    bool unchecked;         /* tests only: show a certificate of our own that peers must refuse */
} ps_tls_options;

typedef struct ps_tls_context ps_tls_context;

/* Reads and checks the files: readable, the key belongs to the certificate, the certificate is
 * signed by the CA, in force, and usable for `side`. On failure one line says which file, what is
 * wrong with it and what to do. A key that others can read is a warning in the log. *out is one
 * reference. */
PS_MUST_CHECK ps_status ps_tls_context_new(const ps_tls_options *options, ps_tls_context **out);
ps_tls_context *ps_tls_context_ref(ps_tls_context *context);
void ps_tls_context_unref(ps_tls_context **context); /* clears *context; NULL is fine */

ps_tls_side ps_tls_context_side(const ps_tls_context *context);
ps_role_set ps_tls_context_peer_roles(const ps_tls_context *context);
const ps_identity *ps_tls_context_identity(const ps_tls_context *context); /* our own */

/* When what we show ends: our certificate, and the first of those it hangs on. */
typedef struct ps_tls_dates {
    const char *own_file, *ca_file;      /* the context's */
    int64_t own_not_after, ca_not_after; /* seconds since 1970, UTC */
} ps_tls_dates;
ps_tls_dates ps_tls_context_dates(const ps_tls_context *context);

/* What it shows, for whoever signs by it, too: borrowed, as long as the context is. *above: the
 * certificates that follow it in its file. */
struct evp_pkey_st *ps_tls_context_own(const ps_tls_context *context, struct x509_st **certificate,
                                       struct stack_st_X509 **above);

struct ssl_ctx_st *ps_tls_context_ssl(const ps_tls_context *context); /* for tls_session.c */

#endif
