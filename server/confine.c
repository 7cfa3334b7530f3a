/* Happy path: a rule for each path of the configuration. What is replaced by a rename
 * (certificates, psd.yaml itself) is allowed by its folder. Fails as landlock does. */
#include "server/confine.h"

#include "common/base/disk.h"
#include "common/base/landlock.h"
#include "common/seal/key_source.h"
#include "common/transport/tls/tls_conf.h"
#include "server/guard/issuer.h"

static void allow_keys(const ps_server_sealing *conf, ps_landlock *l)
{
    if (*conf->kek)
        ps_key_source_allow(conf->kek, l);
    for (size_t i = 0; i < conf->n_previous; i++)
        ps_key_source_allow(conf->previous[i], l);
}

ps_status ps_server_confine(const ps_server_options *options)
{
    const ps_server_conf *conf = options->conf;
    ps_status st = ps_disk_mkdir_if_missing(&ps_disk_system, conf->data_dir);
    if (st)
        return st;
    ps_landlock *l = ps_landlock_new();
    ps_landlock_allow_system(l);
    ps_landlock_allow_beside(l, PS_LANDLOCK_READ, options->config_path);
    ps_tls_conf_allow(&conf->tls, conf->identity.renew && conf->tls.renew, l);
    allow_keys(&conf->sealing, l);
    if (conf->identity.renew)
        ps_issuer_allow(conf->identity.signer, l);
    ps_landlock_allow(l, PS_LANDLOCK_WRITE, conf->data_dir);
    if (*conf->audit_log)
        ps_landlock_allow_beside(l, PS_LANDLOCK_WRITE, conf->audit_log);
    if (options->port_file)
        ps_landlock_allow_beside(l, PS_LANDLOCK_WRITE, options->port_file);
    st = ps_landlock_enforce(l, conf->landlock);
    ps_landlock_free(&l);
    return st;
}
