/* pem_file: certificates and keys out of PEM files, each failure as one line that names the file
 * and what to do. Files are at most 1 MiB. Any thread.
 */
#ifndef PS_SECURITY_PEM_FILE_H
#define PS_SECURITY_PEM_FILE_H

#include "common/base/status.h"

struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;

/* All certificates of the file, at least one, in order; the caller's (sk_X509_pop_free). `what` is
 * for messages: "CA certificate", "certificate". */
PS_MUST_CHECK ps_status ps_pem_read_certificates(const char *path, const char *what,
                                                 struct stack_st_X509 **out);
/* The first certificate; the caller's (X509_free). */
PS_MUST_CHECK ps_status ps_pem_read_certificate(const char *path, const char *what,
                                                struct x509_st **out);
/* The private key; the caller's (EVP_PKEY_free). One with a pass phrase is refused. A file that
 * group or others can read is a warning in the log. */
PS_MUST_CHECK ps_status ps_pem_read_key(const char *path, struct evp_pkey_st **out);

#endif
