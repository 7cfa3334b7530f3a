/* certificate_check: may the holder of this certificate be on the other side? The answer in words.
 *
 * Chain, dates, purpose and host name are verified by OpenSSL (RFC 5280); what is psd's own
 * (identity, cluster, role, the extended key usage that must be there) is checked here. Any thread.
 */
#ifndef PS_SECURITY_CERTIFICATE_CHECK_H
#define PS_SECURITY_CERTIFICATE_CHECK_H

#include "common/base/status.h"
#include "common/security/identity.h"

#include <stddef.h>

struct x509_st;
struct x509_store_ctx_st;

typedef enum ps_certificate_use {
    PS_CERTIFICATE_FOR_SERVER,
    PS_CERTIFICATE_FOR_CLIENT
} ps_certificate_use;

/* PS_UNAUTHENTICATED: no identity, another cluster, or without the extended key usage for `use`;
 * PS_PERMISSION_DENIED: a role that is not in `roles`. cluster NULL: any. */
PS_MUST_CHECK ps_status ps_certificate_check(struct x509_st *cert, ps_certificate_use use,
                                             const char *cluster, ps_role_set roles,
                                             ps_identity *out);

/* Why X509_verify_cert() failed, for people: "certificate expired on 2026-01-01 12:00:00 UTC",
 * "certificate is signed by an unknown CA (issuer CN = …)". host is what was dialled, or NULL. */
void ps_certificate_explain(struct x509_store_ctx_st *store, ps_certificate_use use,
                            const char *host, char *out, size_t size);

#endif
