/* pem_renewal: a certificate and its key, two files in use, make way for new ones.
 *
 *     KEY_FILE.next is written ─▶ the request goes to a signer ─▶ CERT_FILE is replaced
 *                                         ─▶ KEY_FILE is replaced ─▶ KEY_FILE.next goes
 *
 * Each file is there whole at any moment, and so is a pair: who reads CERT_FILE and a KEY_FILE that
 * does not belong to it finds the key in KEY_FILE.next (ps_pem_read_key_of), whether a renewal is
 * under way or its process was killed. The next renewal puts that right. Blocks. One renewal of a
 * pair at a time; not thread-safe (not asserted: it is its maker's alone). */
#ifndef PS_SECURITY_PEM_RENEWAL_H
#define PS_SECURITY_PEM_RENEWAL_H

#include "common/base/disk.h"
#include "common/base/slice.h"

struct x509_st;

typedef struct ps_pem_renewal_files {
    const char *cert, *key, *ca; /* ca: who may have signed the new one */
    const ps_disk *disk;         /* that is written to; NULL: ps_disk_system */
} ps_pem_renewal_files;

typedef struct ps_pem_renewal ps_pem_renewal;

/* Reads the pair, makes a key of the same type and writes it down. Names are copied. Fails before
 * anything is asked for when the folders cannot be written. */
PS_MUST_CHECK ps_status ps_pem_renewal_begin(const ps_pem_renewal_files *files,
                                             ps_pem_renewal **out);
/* DER, for ps_certificate_request_read; and the certificate that is to be replaced. Both are its
 * own. */
ps_slice ps_pem_renewal_request(const ps_pem_renewal *renewal);
struct x509_st *ps_pem_renewal_before(const ps_pem_renewal *renewal);

/* The signer's answer, PEM. PS_FAILED_PRECONDITION and the like: it is not what was asked for, and
 * nothing has changed. After another failure (the disk's) the pair is one of the two, whole. */
PS_MUST_CHECK ps_status ps_pem_renewal_finish(ps_pem_renewal *renewal, ps_slice chain);
/* What was not finished is forgotten, its key too. NULL is nothing. */
void ps_pem_renewal_free(ps_pem_renewal **renewal);

#endif
