/* pem_renewal: a certificate and its key, two files in use, make way for new ones.
 *
 *     lock, KEY_FILE.next ─▶ the request goes to a signer ─▶ both files are replaced (pem_swap.h)
 *
 * There is a pair at any moment, for who reads it as pem_file.h does, and a renewal at a time, from
 * its begin on, whichever processes want one. Blocks. Not thread-safe (not asserted: it is its
 * maker's alone). */
#ifndef PS_SECURITY_PEM_RENEWAL_H
#define PS_SECURITY_PEM_RENEWAL_H

#include "common/base/disk.h"
#include "common/base/slice.h"
#include "common/security/pem_swap.h"

struct x509_st;

typedef struct ps_pem_renewal_files {
    const char *cert, *key, *ca; /* ca: who may have signed the new one */
    const ps_disk *disk;         /* that is written to; NULL: ps_disk_system */
    unsigned wait_ms;            /* for one that is under way: PS_PEM_SWAP_WAIT_MS, say */
} ps_pem_renewal_files;

typedef struct ps_pem_renewal ps_pem_renewal;

/* Reads the pair, makes a key of the same type and writes it down. Names are copied. Fails before
 * anything is asked for when the folders cannot be written; PS_UNAVAILABLE: another process is at
 * it, and has been for wait_ms. */
PS_MUST_CHECK ps_status ps_pem_renewal_begin(const ps_pem_renewal_files *files,
                                             ps_pem_renewal **out);
/* DER, for ps_certificate_request_read; and the certificate that is to be replaced. Both are its
 * own. */
ps_slice ps_pem_renewal_request(const ps_pem_renewal *renewal);
struct x509_st *ps_pem_renewal_before(const ps_pem_renewal *renewal);

/* The signer's answer, PEM, which must be in force then (seconds since 1970, by the clock of who
 * judges it later; 0: now, by ours). PS_FAILED_PRECONDITION and the like: it is not what was asked
 * for, and nothing has changed. After another failure (the disk's) the pair is one of the two,
 * whole. */
PS_MUST_CHECK ps_status ps_pem_renewal_finish(ps_pem_renewal *renewal, ps_slice chain, int64_t at);
/* What was not finished is forgotten, its key too. NULL is nothing. */
void ps_pem_renewal_free(ps_pem_renewal **renewal);

#endif
