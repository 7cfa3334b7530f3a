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

/* Both files, or neither: when one cannot be written the other is as it was. No signal that can be
 * blocked ends the process in between; when it is killed there, what was there before is
 * KEY_FILE.old and CERT_FILE.old (.old.2 and so on where there are such files already: they stay).
 * Nothing else may write these files meanwhile. */
PS_MUST_CHECK ps_status ps_pem_pair_write(const ps_pem_pair *pair);

#endif
