#include "common/transport/tls/tls_conf.h"

#include "common/base/mem.h"
#include "common/transport/tls/tls_expiry.h"

#include <time.h>

ps_tls_options ps_tls_conf_options(const ps_conf_tls *conf, ps_tls_side side)
{
    return (ps_tls_options){.side = side,
                            .groups = conf->groups,
                            .ca_file = conf->ca,
                            .cert_file = conf->certificate,
                            .key_file = conf->key,
                            .crl_file = conf->crl,
                            .crl_stale = conf->crl_expired == PS_CONF_CRL_WARN};
}

void ps_tls_conf_allow(const ps_conf_tls *conf, bool renewed, ps_landlock *landlock)
{
    const unsigned own = renewed ? PS_LANDLOCK_WRITE : PS_LANDLOCK_READ;
    ps_landlock_allow_beside(landlock, PS_LANDLOCK_READ, conf->ca);
    ps_landlock_allow_beside(landlock, own, conf->certificate);
    ps_landlock_allow_beside(landlock, own, conf->key);
    if (*conf->crl)
        ps_landlock_allow_beside(landlock, PS_LANDLOCK_READ, conf->crl);
}

void ps_tls_conf_try(const ps_conf_tls *conf, ps_tls_side side, ps_trial *trial)
{
    const ps_tls_options options = ps_tls_conf_options(conf, side);
    ps_tls_context *context = NULL;
    ps_trial_add(trial, "tls", ps_tls_context_new(&options, &context));
    char *remark = context ? ps_tls_expiry_remark(context, (int64_t)time(NULL)) : NULL;
    if (remark)
        ps_trial_note(trial, "%s", remark);
    ps_free(&remark);
    ps_tls_context_unref(&context);
}
