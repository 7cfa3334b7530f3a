/* certificate_request: a request for a certificate (PKCS #10, RFC 2986) that is like one its sender
 * has already, but for another key. What is read is hostile: it is bounded, and nothing of it but
 * the key gets into a certificate. Any thread. */
#ifndef PS_SECURITY_CERTIFICATE_REQUEST_H
#define PS_SECURITY_CERTIFICATE_REQUEST_H

#include "common/base/buf.h"
#include "common/base/slice.h"
#include "common/base/status.h"

struct x509_st;
struct evp_pkey_st;
struct X509_req_st; /* X509_REQ */

enum { PS_CERTIFICATE_REQUEST_MOST = 16 << 10 }; /* bytes of one that is read */

/* As DER, appended to out: the subject's CN and the names of cert, for key, which signs it. */
PS_MUST_CHECK ps_status ps_certificate_request_make(struct x509_st *cert, struct evp_pkey_st *key,
                                                    ps_buf *out);

/* From DER; the caller's (ps_certificate_request_free). PS_INVALID_ARGUMENT: too long, no request
 * or with something behind it, a weak key (of less than 112 bits of security), not signed by it. */
PS_MUST_CHECK ps_status ps_certificate_request_read(ps_slice der, struct X509_req_st **out);
void ps_certificate_request_free(struct X509_req_st **request);              /* NULL is nothing */
struct evp_pkey_st *ps_certificate_request_key(struct X509_req_st *request); /* its own */
/* As PEM, appended. */
void ps_certificate_request_pem(struct X509_req_st *request, ps_buf *out);

/* May who has cert be given what is asked for? PS_PERMISSION_DENIED with what differs: the identity
 * (exactly that of cert), other names, the CN (when there is one), the type of the key. */
PS_MUST_CHECK ps_status ps_certificate_request_check(struct X509_req_st *request,
                                                     struct x509_st *cert);

#endif
