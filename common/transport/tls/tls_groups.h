/* tls_groups: how two sides agree on the key of a session (RFC 8446 section 4.2.7): X25519MLKEM768
 * (draft-ietf-tls-ecdhe-mlkem), which somebody with a quantum computer cannot work out later from
 * what he has recorded, where OpenSSL has it (3.5); X25519 and P-256. For tls*.c only. */
#ifndef PS_TRANSPORT_TLS_TLS_GROUPS_H
#define PS_TRANSPORT_TLS_TLS_GROUPS_H

#include "common/base/status.h"
#include "common/transport/tls/tls_context.h"

struct ssl_st;
struct ssl_ctx_st;

/* Fails with PS_TLS_GROUPS_PQ where OpenSSL does not have the group: PS_FAILED_PRECONDITION. */
PS_MUST_CHECK ps_status ps_tls_groups_set(struct ssl_ctx_st *context, ps_tls_groups groups);

#endif
