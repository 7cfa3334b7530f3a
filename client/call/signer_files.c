#include "client/call/signer_files.h"

#include "client/cli/context.h"
#include "common/base/mem.h"

#include <stdlib.h>

static const char *or_env(const char *flag, const char *name)
{
    const char *value = flag ? flag : getenv(name);
    return value && *value ? value : NULL;
}

ps_status ps_signer_files_find(const ps_globals *globals, const char *key, const char *certificate,
                               ps_signer_files *out)
{
    key = or_env(key, "PSCTL_SIGNER_KEY");
    certificate = or_env(certificate, "PSCTL_SIGNER_CERT");
    *out = (ps_signer_files){.key = key ? ps_strdup(key) : NULL,
                             .certificate = certificate ? ps_strdup(certificate) : NULL};
    ps_status st =
        key ? PS_OK : ps_context_signer(globals, &out->key, certificate ? NULL : &out->certificate);
    if (!st && !out->key)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "no signer's key: give --signer-key FILE with --signer-cert FILE, or "
                     "PSCTL_SIGNER_KEY and PSCTL_SIGNER_CERT in the environment, or a context that "
                     "has them ('psctl help context set')");
    if (st)
        ps_signer_files_clear(out);
    return st;
}

void ps_signer_files_clear(ps_signer_files *files)
{
    ps_free(&files->key);
    ps_free(&files->certificate);
}
