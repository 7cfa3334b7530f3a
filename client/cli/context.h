/* context: which server psctl talks to and as whom: flags, then the environment, then the context
 * file ($PSCTL_CONFIG, or psctl/config.yaml below $XDG_CONFIG_HOME or ~/.config):
 *
 *     current: lab
 *     contexts:
 *       lab: {server: "psd.example:7600", ca: …/ca.pem, certificate: …/you.pem, key: …/you.key}
 *
 * and, if it likes, crl: and crl_expired: as psd.yaml has them.
 *
 * Paths that are not absolute are relative to the file's folder. One thread (not asserted: psctl
 * has no other). */
#ifndef PS_CLI_CONTEXT_H
#define PS_CLI_CONTEXT_H

#include "client/cli/command.h"

enum { PS_CONTEXT_PORT = 7600 }; /* psd's, unless it was told another */

typedef struct ps_context {
    char *name;
    char *server, *ca, *certificate, *key; /* "" or NULL: not set */
    char *signer_certificate, *signer_key; /* likewise: with which models are signed */
    char *crl, *crl_expired;               /* likewise: no list is looked at; "refuse" */
} ps_context;

typedef struct ps_contexts {
    char *current; /* "": none */
    ps_context *contexts;
    size_t n_contexts;
} ps_contexts;

char *ps_context_path(void); /* of the file; the caller's. NULL when there is no home */

/* What is to be used: all four parts, or PS_INVALID_ARGUMENT (and *out untouched) that says what is
 * missing and how to give it. PS_NOT_FOUND: no context of that name. */
PS_MUST_CHECK ps_status ps_context_resolve(const ps_globals *globals, ps_context *out);
void ps_context_clear(ps_context *context);
/* The signer's key and certificate of the context alone, the caller's: NULL where it has none.
 * certificate NULL: it is not wanted. Fails as ps_context_resolve does where the file is wrong. */
PS_MUST_CHECK ps_status ps_context_signer(const ps_globals *globals, char **key,
                                          char **certificate);
/* HOST as HOST:7600, psd's own port; what has a port stays. The caller's. */
char *ps_context_with_port(const char *server);

/* The whole file; an empty list when there is none. ps_contexts_free afterwards. */
PS_MUST_CHECK ps_status ps_contexts_load(const char *path, ps_contexts **out);
void ps_contexts_free(ps_contexts **contexts);
ps_context *ps_contexts_find(const ps_contexts *contexts, const char *name);
/* false: there is none of that name. The current one leaves none current. */
bool ps_contexts_remove(ps_contexts *contexts, const char *name);
ps_context *ps_contexts_add(ps_contexts *contexts, const char *name);
/* As new_file.h does; the folder is made. Comments of a file that is there come first in the new
 * one. */
PS_MUST_CHECK ps_status ps_contexts_save(const char *path, const ps_contexts *contexts);

#endif
