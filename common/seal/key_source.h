/* key_source: where an operator keeps a key-encryption key:
 *
 *     file:PATH        32 bytes, as `psctl key create` writes them; nobody else may read it
 *     credential:NAME  of systemd: that file in $CREDENTIALS_DIRECTORY
 *     exec:PROGRAM     what it prints (of a key service, a TPM), 32 bytes; no argument, no input
 *
 * Blocks. Any thread. */
#ifndef PS_SEAL_KEY_SOURCE_H
#define PS_SEAL_KEY_SOURCE_H

#include "common/base/landlock.h"
#include "common/base/slice.h"
#include "common/base/status.h"
#include "common/security/secret.h"

/* PS_INVALID_ARGUMENT: no such kind of source, with those that there are. */
PS_MUST_CHECK ps_status ps_key_source_check(const char *source);
/* The key, the caller's. patience_ms: what a program may take. Messages begin with the source. */
PS_MUST_CHECK ps_status ps_key_source_read(const char *source, unsigned patience_ms,
                                           ps_secret **key);
enum { PS_KEY_SOURCE_PATIENCE_MS = 10000 };
/* What reading it again takes. */
void ps_key_source_allow(const char *source, ps_landlock *landlock);
/* A new key, into a file of mode 0600 that is not there yet. */
PS_MUST_CHECK ps_status ps_key_source_create(const char *path, ps_secret **key);

#endif
