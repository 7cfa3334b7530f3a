/* pem_swap: a certificate and its key, two files, are replaced by new ones, so that there is a pair
 * at any moment, and one writer at a time.
 *
 *     lock KEY_FILE.lock ─▶ KEY_FILE.next is written ─▶ CERT_FILE is replaced
 *                                         ─▶ KEY_FILE is replaced ─▶ KEY_FILE.next goes
 *
 * Each file is there whole at any moment, and so is a pair: who reads CERT_FILE and a KEY_FILE that
 * does not belong to it finds the key in KEY_FILE.next (ps_pem_read_key_of), whether a swap is
 * under way or its process was killed. The next one puts that right. The lock ends with its
 * process; its file goes with the swap. Files are written by new_file.h, so that their names, their
 * owners and links to them stay what they are. Blocks. Not thread-safe (not asserted: it is its
 * maker's alone).
 *
 * KEY_FILE here is the file itself, where the links lead that somebody named it by: whoever names
 * it otherwise finds the same lock, and the same key that is coming. */
#ifndef PS_SECURITY_PEM_SWAP_H
#define PS_SECURITY_PEM_SWAP_H

#include "common/base/disk.h"
#include "common/base/slice.h"

struct evp_pkey_st;

enum { PS_PEM_SWAP_WAIT_MS = 5000 }; /* for who holds the lock: a Renew takes a fraction of it */

typedef struct ps_pem_swap ps_pem_swap;

/* Waits for the lock, and puts right what was cut off before. PS_UNAVAILABLE: another process, and
 * which, has held it for wait_ms. disk, NULL: ps_disk_system, is borrowed; names are copied. */
PS_MUST_CHECK ps_status ps_pem_swap_begin(const char *cert_file, const char *key_file,
                                          const ps_disk *disk, unsigned wait_ms, ps_pem_swap **out);
/* KEY_FILE.next; the key is copied. */
PS_MUST_CHECK ps_status ps_pem_swap_stage(ps_pem_swap *swap, struct evp_pkey_st *key);
/* Of the key that was staged: PEM. After a failure (the disk's) the pair is one of the two, and
 * its two files are where the disk allows that. */
PS_MUST_CHECK ps_status ps_pem_swap_finish(ps_pem_swap *swap, ps_slice chain);
/* What was staged and not finished goes. NULL is nothing. */
void ps_pem_swap_free(ps_pem_swap **swap);

#endif
