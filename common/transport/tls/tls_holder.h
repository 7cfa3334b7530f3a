/* tls_holder: the TLS context in force, replaced while connections run (SIGHUP, tls_watch.h).
 *
 * Certificates and CRLs are two parts, each taken whole or not at all: what is wrong with one keeps
 * what was in force of it, and does not hold up the other. Calls read files: not on a loop that has
 * connections (not asserted: SIGHUP does, and is rare). Any thread. */
#ifndef PS_TRANSPORT_TLS_TLS_HOLDER_H
#define PS_TRANSPORT_TLS_TLS_HOLDER_H

#include "common/base/status.h"
#include "common/transport/tls/tls_context.h"

typedef struct ps_tls_holder ps_tls_holder;

/* Copies the options, file names included. */
PS_MUST_CHECK ps_status ps_tls_holder_new(const ps_tls_options *options, ps_tls_holder **out);
void ps_tls_holder_free(ps_tls_holder **holder);
ps_tls_context *ps_tls_holder_get(ps_tls_holder *holder); /* a reference of the caller's */
/* Reads all files again: both of the following. The failure of the first that failed. */
PS_MUST_CHECK ps_status ps_tls_holder_reload(ps_tls_holder *holder);
/* Our clock is off (ps_tls_options.ahead_s), which reloads from now on know. */
void ps_tls_holder_set_ahead(ps_tls_holder *holder, int64_t ahead_s);
/* CA, certificate and key. On failure the old ones stay, and the message says why. A new
 * certificate must have the cluster of the old one, and not be revoked. */
PS_MUST_CHECK ps_status ps_tls_holder_reload_certificates(ps_tls_holder *holder);
/* The CRLs. On failure the old ones stay, and the message says why: one that cannot be read, is not
 * of a CA that is in force, has expired (unless crl_stale), or is older than what is in force. That
 * our own certificate is in one is an error in the log. Nothing to do without a CRL file. */
PS_MUST_CHECK ps_status ps_tls_holder_reload_crl(ps_tls_holder *holder);

/* Its files, the holder's: for who watches them. crl_file may be NULL. */
const ps_tls_options *ps_tls_holder_options(const ps_tls_holder *holder);

#endif
