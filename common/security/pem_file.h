/* pem_file: certificates and keys out of PEM files, each failure as one line that names the file
 * and what to do. Files are at most 1 MiB. Any thread.
 */
#ifndef PS_SECURITY_PEM_FILE_H
#define PS_SECURITY_PEM_FILE_H

#include "common/base/slice.h"
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
/* The same of PEM in memory; `what` names it. */
PS_MUST_CHECK ps_status ps_pem_parse_certificates(ps_slice pem, const char *what,
                                                  struct stack_st_X509 **out);
/* The public key; the caller's (EVP_PKEY_free). */
PS_MUST_CHECK ps_status ps_pem_read_public_key(const char *path, struct evp_pkey_st **out);
/* The private key; the caller's (EVP_PKEY_free). One with a pass phrase is refused. A file that
 * group or others can read is a warning in the log. */
PS_MUST_CHECK ps_status ps_pem_read_key(const char *path, struct evp_pkey_st **out);
/* The same of the key that belongs to cert: where that in the file does not, the one in FILE.next
 * (of the file that links lead to), which is there while a renewal is under way or was cut off
 * (pem_renewal.h). When neither does, it is the file's: see X509_check_private_key. */
#define PS_PEM_NEXT ".next"
PS_MUST_CHECK ps_status ps_pem_read_key_of(struct x509_st *cert, const char *path,
                                           struct evp_pkey_st **out);

#endif
