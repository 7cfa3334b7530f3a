/* certificate_build: an X.509 certificate out of plain facts, in memory (RFC 5280). For
 * certificate_issue.c, which checks the facts and writes the files.
 */
#ifndef PS_SECURITY_CERTIFICATE_BUILD_H
#define PS_SECURITY_CERTIFICATE_BUILD_H

#include "common/base/status.h"

#include <stddef.h>
#include <stdint.h>

struct x509_st;
struct evp_pkey_st;
struct evp_md_st;

typedef struct ps_certificate_facts {
    const char *cluster;      /* subject O */
    const char *unit;         /* subject OU; NULL: none */
    const char *common_name;  /* subject CN */
    const char *uri;          /* the URI SAN */
    const char *const *hosts; /* DNS and address SANs, checked before */
    size_t n_hosts;
    int64_t not_before, not_after;
    bool is_ca;
    bool for_server, for_client; /* extended key usage */
    const uint8_t *line; /* of the serial number (ps_certificate_line); NULL: one of its own */
    bool for_signing; /* likewise, of signers and of their CA, which for that is good for no other
                         (RFC 5280 section 4.2.1.12, as OpenSSL and others hold CAs to it) */
} ps_certificate_facts;

/* A new P-256 key; the caller's. */
PS_MUST_CHECK ps_status ps_certificate_new_key(struct evp_pkey_st **out);
/* A new one of the same type: curve, Ed25519, or bits of RSA. PS_FAILED_PRECONDITION: of another
 * algorithm. */
PS_MUST_CHECK ps_status ps_certificate_new_key_like(struct evp_pkey_st *key,
                                                    struct evp_pkey_st **out);
/* With what a key signs: SHA-256; NULL, as OpenSSL wants it, of Ed25519 and Ed448, which have
 * theirs in them (RFC 8410 section 3). */
const struct evp_md_st *ps_certificate_digest_for(const struct evp_pkey_st *key);
/* Signed by issuer_key in the name of issuer; issuer NULL: self-signed with key. The caller's. */
PS_MUST_CHECK ps_status ps_certificate_build(const ps_certificate_facts *facts,
                                             struct evp_pkey_st *key, struct x509_st *issuer,
                                             struct evp_pkey_st *issuer_key, struct x509_st **out);
/* An address in text, or a DNS name (RFC 1123, "*." allowed as the first label).
 * PS_INVALID_ARGUMENT otherwise. */
PS_MUST_CHECK ps_status ps_certificate_check_host(const char *host);

#endif
