/* tls_holder: the TLS context in force, replaced while connections run (SIGHUP, new certificates).
 * Any thread.
 */
#ifndef PS_TRANSPORT_TLS_TLS_HOLDER_H
#define PS_TRANSPORT_TLS_TLS_HOLDER_H

#include "common/base/status.h"
#include "common/transport/tls/tls_context.h"

typedef struct ps_tls_holder ps_tls_holder;

/* Copies the options, file names included. */
PS_MUST_CHECK ps_status ps_tls_holder_new(const ps_tls_options *options, ps_tls_holder **out);
void ps_tls_holder_free(ps_tls_holder **holder);
ps_tls_context *ps_tls_holder_get(ps_tls_holder *holder); /* a reference of the caller's */
/* Reads the same files again. On failure the old context stays, and the message says why. A new
 * certificate must have the cluster of the old one. */
PS_MUST_CHECK ps_status ps_tls_holder_reload(ps_tls_holder *holder);

#endif
