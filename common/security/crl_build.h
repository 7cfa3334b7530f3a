/* crl_build: a CRL (RFC 5280 section 5) out of plain facts, in memory. For crl_issue.c, and for
 * tests that want one of any kind. Any thread. */
#ifndef PS_SECURITY_CRL_BUILD_H
#define PS_SECURITY_CRL_BUILD_H

#include "common/base/buf.h"
#include "common/security/authority.h"
#include "common/security/crl.h"

typedef struct ps_crl_plan {
    int64_t this_update, next_update; /* seconds since 1970 */
    const uint8_t *number;            /* PS_CRL_SERIAL bytes */
    const ps_crl_entry *entries;
    size_t n_entries;
} ps_crl_plan;

/* Signed by the CA; PEM is appended to out. */
PS_MUST_CHECK ps_status ps_crl_build(const ps_crl_plan *plan, const ps_authority *ca, ps_buf *out);

#endif
