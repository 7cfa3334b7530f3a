/* tls: the layer that encrypts: TLS 1.3 by OpenSSL over whatever layer is below.
 *
 * recv decrypts straight into the caller's memory. send encrypts large slices straight from theirs;
 * small ones (frame headers) are gathered with what follows, so that records are full. Records are
 * gathered into one buffer before the layer below is asked to send. All on the connection's loop.
 */
#ifndef PS_TRANSPORT_TLS_TLS_H
#define PS_TRANSPORT_TLS_TLS_H

#include "common/security/identity.h"
#include "common/transport/tcp/layer.h"
#include "common/transport/tls/tls_context.h"

/* Takes the layer below (closed on failure, too). host: see ps_tls_session_new. */
PS_MUST_CHECK ps_status ps_tls_layer_create(ps_layer *below, ps_tls_context *context,
                                            const char *host, ps_layer **out);
/* The verified peer, after the handshake. */
const ps_identity *ps_tls_layer_peer(const ps_layer *layer);
/* Its certificate (X509), the layer's own; NULL before the handshake. */
struct x509_st *ps_tls_layer_certificate(const ps_layer *layer);
/* Until when the peer's certificate and those it depends on are in force; seconds since 1970. */
int64_t ps_tls_layer_peer_not_after(const ps_layer *layer);
/* By which group the key was agreed on, after the handshake; valid as long as OpenSSL is. "": the
 * layer is another one, of a test that has no TLS. */
const char *ps_tls_layer_group(ps_layer *layer);
/* Would this context, made of files that were read again, accept the peer as well? After the
 * handshake; PS_UNAUTHENTICATED or PS_PERMISSION_DENIED with the reason; *revoked: it was revoked,
 * and is to be cut at once. */
PS_MUST_CHECK ps_status ps_tls_layer_verify_again(ps_layer *layer, const ps_tls_context *context,
                                                  bool *revoked);
/* What the peer's certificate claims, also when it was refused; for logs only. */
const char *ps_tls_layer_claim(const ps_layer *layer);
/* The sending key is replaced after this many bytes; 0: 64 GiB. */
void ps_tls_layer_set_rekey(ps_layer *layer, uint64_t bytes);

#endif
