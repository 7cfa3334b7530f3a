/* signer: may the holder of this certificate sign models? One of the role signer, for signing code,
 * by a CA whose certificates are for nothing else (`psctl cert create-signer`): none of them is
 * good for TLS, and none that is good for TLS is one. Chain and dates are verified by OpenSSL (RFC
 * 5280), as of now: a signature outlives neither its certificate nor its revocation. Any thread. */
#ifndef PS_SECURITY_SIGNER_H
#define PS_SECURITY_SIGNER_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;
struct x509_st;

typedef struct ps_signer_trust {
    const char *ca;       /* PEM file of the signers' CA */
    const char *crl;      /* PEM file of what it has revoked; NULL: nothing is looked at */
    const char *identity; /* spiffe://CLUSTER/signer/NAME that it must be; NULL: any of the CA's */
} ps_signer_trust;

typedef struct ps_signer {
    ps_identity identity;
    int64_t not_after;
    struct evp_pkey_st *key; /* public; ps_signer_free */
} ps_signer;

void ps_signer_free(ps_signer *signer);

/* certificates: DER, the leaf first, hostile. PS_UNAUTHENTICATED: why it may not. */
PS_MUST_CHECK ps_status ps_signer_check(const ps_signer_trust *trust, const ps_buf *certificates,
                                        size_t n, ps_signer *out);
/* Of a leaf alone: its role, use and dates; before something is signed with it. */
PS_MUST_CHECK ps_status ps_signer_check_leaf(struct x509_st *leaf, ps_identity *out);
/* Is it, a leaf or the signers' CA, for signing code and for nothing else? */
bool ps_signer_is_for_code(struct x509_st *cert);

#endif
