/* signer_files: with which key and certificate somebody signs: the flags of the command, then
 * PSCTL_SIGNER_KEY and PSCTL_SIGNER_CERT, then the context's. One thread (not asserted: psctl has
 * no other). */
#ifndef PS_CALL_SIGNER_FILES_H
#define PS_CALL_SIGNER_FILES_H

#include "client/cli/command.h"

typedef struct ps_signer_files {
    char *key;
    char *certificate; /* NULL: none: he signs by key */
} ps_signer_files;

/* The certificate belongs to the key: of a key that a flag or the environment names only one that
 * these name, too. PS_INVALID_ARGUMENT: no key is named; how to. */
PS_MUST_CHECK ps_status ps_signer_files_find(const ps_globals *globals, const char *key,
                                             const char *certificate, ps_signer_files *out);
void ps_signer_files_clear(ps_signer_files *files);

#endif
