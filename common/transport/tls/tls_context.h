/* tls_context: the certificates and the rules with which this process speaks TLS.
 *
 * A ps_tls_context is made of a CA file, a certificate and its key, and maybe a file of CRLs; it
 * never changes, and is counted. tls_holder.h has the current one and swaps it when the files are
 * read again (SIGHUP, tls_watch.h); connections keep the context they began with, and their peer is
 * verified by the new one as well.
 *
 * Every context: TLS 1.3 only (RFC 8446), AES-256-GCM first, groups as in tls_groups.h, ALPN h2
 * mandatory (RFC 9113 section 3.2), no tickets and no resumption (that would skip the
 * verification), no compression, no renegotiation. Both sides show a certificate. A peer is
 * accepted when its chain ends in our CA, is in force today, has the extended key usage of its
 * side (clientAuth or serverAuth), and exactly one URI SAN spiffe://CLUSTER/ROLE/NAME with our own
 * cluster and a role that may be there; a client also checks the server's host name or address.
 * With CRLs, no certificate of the chain may be in that of its CA.
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
struct ps_crl_list;
struct stack_st_X509;

typedef enum ps_tls_side { PS_TLS_SERVER, PS_TLS_CLIENT } ps_tls_side;

/* How the key of a session is agreed on, in the order of the words of tls.groups. */
typedef enum ps_tls_groups {
    PS_TLS_GROUPS_AUTO,    /* X25519MLKEM768 first, where OpenSSL has it */
    PS_TLS_GROUPS_PQ,      /* it alone */
    PS_TLS_GROUPS_CLASSIC, /* X25519 and P-256 */
} ps_tls_groups;

typedef struct ps_tls_options {
    ps_tls_side side;
    ps_tls_groups groups;
    const char *ca_file;   /* PEM, one or more CA certificates */
    const char *cert_file; /* PEM, our certificate, then intermediates if there are any */
    const char *key_file;  /* PEM, its private key, without a pass phrase */
    const char *crl_file; /* PEM, the CRLs of the CAs (crl_list.h); NULL or "": none is looked at */
    bool crl_stale;       /* a CRL that has expired goes on counting (tls.crl_expired: warn) */
    ps_role_set peer_roles; /* who may be on the other side; 0: a server admits PS_ROLES_CLIENTS,
                               a client only PS_ROLE_SERVER */
    int64_t ahead_s; /* our clock is so far ahead of peers', who judge our certificate: for its own
                        check */
    bool release_buffers; /* SSL_MODE_RELEASE_BUFFERS: less memory an idle connection */
    bool unchecked;       /* tests only: show a certificate of our own that peers must refuse */
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

/* When what we show and go by ends: our certificate, the first of those it hangs on, and the first
 * CRL. Texts are the context's; times are seconds since 1970, UTC. */
typedef struct ps_tls_dates {
    const char *own_file, *ca_file, *crl_file; /* crl_file NULL: there is none */
    int64_t own_not_before, ca_not_before;     /* when they began */
    int64_t own_not_after, ca_not_after;
    const char *own_serial, *ca_serial; /* hexadecimal; ca_serial of the one that ends first */
    int64_t crl_this_update, crl_next_update; /* 0 without one */
    const char *crl_number;                   /* "" without one */
    uint64_t crl_entries;
} ps_tls_dates;
ps_tls_dates ps_tls_context_dates(const ps_tls_context *context);

/* What it shows, for whoever signs by it, too: borrowed, as long as the context is. *above: the
 * certificates that follow it in its file. */
struct evp_pkey_st *ps_tls_context_own(const ps_tls_context *context, struct x509_st **certificate,
                                       struct stack_st_X509 **above);
/* The CRLs that it looks peers up in, the context's; NULL: none. */
struct ps_crl_list *ps_tls_context_crl(const ps_tls_context *context);
/* The CRLs in a file, of the CAs that it trusts; dates are not looked at (crl_list.h). */
PS_MUST_CHECK ps_status ps_tls_context_read_crl(const ps_tls_context *context, const char *file,
                                                struct ps_crl_list **out);
/* The same certificates with other CRLs (a reference is taken; NULL: none): *out is one reference.
 * Dates are not looked at. */
void ps_tls_context_with_crl(const ps_tls_context *context, struct ps_crl_list *crl,
                             ps_tls_context **out);
/* Of the CRLs, or without any: may the peer with this verified chain be on the other side?
 * PS_UNAUTHENTICATED: one of its certificates was revoked; PS_FAILED_PRECONDITION: a CRL has
 * expired and that is not said to be fine. */
PS_MUST_CHECK ps_status ps_tls_context_check_chain(const ps_tls_context *context,
                                                   const struct stack_st_X509 *chain);
/* Do its own CRLs name its own certificate? PS_FAILED_PRECONDITION then, with the file. */
PS_MUST_CHECK ps_status ps_tls_context_check_own(const ps_tls_context *context);
/* A number of the certificates that it trusts and shows: contexts that have the same one differ in
 * their CRLs only. */
uint64_t ps_tls_context_trust(const ps_tls_context *context);

struct ssl_ctx_st *ps_tls_context_ssl(const ps_tls_context *context); /* for tls_session.c */

#endif
