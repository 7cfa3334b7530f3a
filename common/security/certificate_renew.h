/* certificate_renew: a certificate like one that is there, for another key and from now on: signed
 * with a CA's key, and looked at, whoever has signed it. Any thread. */
#ifndef PS_SECURITY_CERTIFICATE_RENEW_H
#define PS_SECURITY_CERTIFICATE_RENEW_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

#include <stdint.h>

struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;

enum { PS_CERTIFICATE_CHAIN_MOST = 64 << 10 }; /* bytes of a chain's PEM that is read */

/* The certificate of `cas` that key signs for; PS_FAILED_PRECONDITION: none, or not of a CA. It is
 * the stack's. */
PS_MUST_CHECK ps_status ps_certificate_authority(struct stack_st_X509 *cas, struct evp_pkey_st *key,
                                                 struct x509_st **out);

/* For key, with identity, CN, hosts and use of `before`; in force for life_s seconds from now, and
 * no longer than its CA. A tenth of that, at most five minutes, lies before now: others' clocks may
 * be behind. Its serial number is of the line of `before`. The caller's. */
PS_MUST_CHECK ps_status ps_certificate_renew(struct x509_st *before, struct evp_pkey_st *key,
                                             struct x509_st *ca, struct evp_pkey_st *ca_key,
                                             int64_t life_s, struct x509_st **out);

/* As PEM, appended. */
void ps_certificate_pem(struct x509_st *cert, ps_buf *out);
/* A chain out of PEM, the certificate first; the caller's (sk_X509_pop_free). PS_INVALID_ARGUMENT:
 * too long, or none; PS_CORRUPT. */
PS_MUST_CHECK ps_status ps_certificate_chain_read(ps_slice pem, struct stack_st_X509 **out);
void ps_certificate_chain_free(struct stack_st_X509 **chain); /* NULL is nothing */
struct x509_st *ps_certificate_chain_first(const struct stack_st_X509 *chain);

/* Is the chain's first certificate one that may take the place of `before`: for key, of exactly its
 * identity and use, no CA, in force and signed by one of `cas` at that time (seconds since 1970; 0:
 * now)? PS_FAILED_PRECONDITION with what it is not. */
PS_MUST_CHECK ps_status ps_certificate_chain_check(struct stack_st_X509 *chain,
                                                   struct stack_st_X509 *cas,
                                                   struct x509_st *before, struct evp_pkey_st *key,
                                                   int64_t at);

#endif
