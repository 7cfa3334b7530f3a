/* issued: what a CA has issued, so that certificates can be revoked by the name of their holder.
 *
 * A file of JSON, an object a line, beside the CA's certificate (CA.issued). The first line is
 *
 *     {"issued":1,"ca":"SHA-256 of the CA's public key","begun":1767225600,"complete":true}
 *
 * complete: nothing was issued before; false: the CA is older than the list. Each other line
 *
 *     {"identity":"spiffe://lab/worker/w1","serial":"8f…","not_after":1769904000}
 *
 * is there before the certificate is: one that could not be written after all is a line too many,
 * which hurts nobody. Lines are added under a lock (flock(2)), and are on the disk when the call
 * returns; those of certificates that have ended are taken out now and then: when a CRL is made,
 * and 30 days after their end when another one is added, but for those that the CRL beside the CA
 * has. Calls block, for the lock five seconds at most: then PS_UNAVAILABLE. Any thread, any
 * process. */
#ifndef PS_SECURITY_ISSUED_H
#define PS_SECURITY_ISSUED_H

#include "common/base/status.h"
#include "common/security/certificate.h"

typedef struct ps_issued_row {
    char identity[PS_IDENTITY_TEXT_MAX];
    uint8_t serial[PS_CERTIFICATE_SERIAL];
    int64_t not_after; /* seconds since 1970 */
} ps_issued_row;

typedef struct ps_issued {
    int64_t begun;
    bool complete;
    ps_issued_row *rows; /* in the order of the file; owned */
    size_t n;
} ps_issued;

/* Of a new CA: the list begins, and one that is there under its name goes. */
PS_MUST_CHECK ps_status ps_issued_begin(const char *ca_cert_file, struct x509_st *ca);
/* cert is about to be given out. A list that is not there begins, not complete. */
PS_MUST_CHECK ps_status ps_issued_add(const char *ca_cert_file, struct x509_st *ca,
                                      struct x509_st *cert);
/* The same for one that takes the place of `before`: PS_UNAUTHENTICATED, and no line, when that is
 * in the CRL beside the CA (CA.crl), whether or not it is in force anywhere yet. Revoking by name
 * and renewing exclude each other: what was renewed before is revoked, too, and nothing is renewed
 * after. */
PS_MUST_CHECK ps_status ps_issued_add_renewed(const char *ca_cert_file, struct x509_st *ca,
                                              struct x509_st *before, struct x509_st *cert);
/* PS_NOT_FOUND: there is none; PS_CORRUPT with file and line; PS_FAILED_PRECONDITION: it is another
 * CA's. */
PS_MUST_CHECK ps_status ps_issued_read(const char *ca_cert_file, struct x509_st *ca,
                                       ps_issued *out);
void ps_issued_clear(ps_issued *issued);

/* Rows whose `keep` is false go, when they are half of the list and many: under the lock (*fd,
 * which is that of the list afterwards). A list that cannot be written anew stays as it is, with a
 * warning in the log. */
void ps_issued_shrink(const char *ca_cert_file, struct x509_st *ca, const ps_issued *issued,
                      const bool *keep, int *fd);

/* For who changes what is beside a CA: one at a time. *fd is closed to give it back. Makes the list
 * if there is none. */
PS_MUST_CHECK ps_status ps_issued_lock(const char *ca_cert_file, struct x509_st *ca, int *fd);

#endif
