/* pem_pair: a private key and its certificate, written as two files that belong together. */
#ifndef PS_SECURITY_PEM_PAIR_H
#define PS_SECURITY_PEM_PAIR_H

#include "common/base/disk.h"

struct x509_st;
struct evp_pkey_st;

typedef struct ps_pem_pair {
    struct x509_st *cert;
    struct evp_pkey_st *key;
    const char *cert_file, *key_file;
    bool force;          /* files of these names are replaced */
    const ps_disk *disk; /* NULL: ps_disk_system */
} ps_pem_pair;

/* Both files, or neither. A pair that is there is replaced as pem_swap.h says, one writer at a
 * time: killed at any point, or after a failure, it is the one or the other, whole. Of a new one no
 * signal that can be blocked leaves half. PS_UNAVAILABLE: another process is at it. */
PS_MUST_CHECK ps_status ps_pem_pair_write(const ps_pem_pair *pair);

#endif
