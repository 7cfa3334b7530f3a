/* authority: a CA with its key, as who signs needs it: read from its two files, and checked.
 *
 * Beside CA.pem are the list of what it issued, CA.issued (issued.h), and its CRL, CA.crl
 * (crl_issue.h). Plain data of whoever reads it; calls block. Any thread. */
#ifndef PS_SECURITY_AUTHORITY_H
#define PS_SECURITY_AUTHORITY_H

#include "common/base/status.h"
#include "common/security/identity.h"

struct x509_st;
struct evp_pkey_st;

typedef struct ps_authority {
    struct x509_st *cert;
    struct evp_pkey_st *key;
    char cluster[PS_IDENTITY_PART_MAX + 1];
} ps_authority; /* zeroes at first; ps_authority_clear in any case */

/* The certificate is that of a CA, in force, and the key's own. One line names the file otherwise.
 */
PS_MUST_CHECK ps_status ps_authority_read(const char *cert_file, const char *key_file,
                                          ps_authority *out);
void ps_authority_clear(ps_authority *ca);
/* "dir/ca.pem" and "crl" make "dir/ca.crl"; the caller's. */
char *ps_authority_beside(const char *cert_file, const char *extension);

#endif
