/* Who gives new certificates (Identity.Renew). */
#include "server/daemon_internal.h"

ps_status ps_daemon_open_issuer(ps_daemon *d)
{
    if (!d->conf->identity.renew)
        return PS_OK;
    return ps_issuer_open(&(ps_issuer_conf){.source = d->conf->identity.signer,
                                            .ca_file = d->conf->tls.ca,
                                            .leaf_ms = d->conf->identity.leaf_ms,
                                            .tls = d->tls},
                          &d->clock, &d->issuer);
}
