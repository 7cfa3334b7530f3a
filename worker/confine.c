/* Happy path: a rule for each path of the configuration. Fails as landlock does. */
#include "worker/confine.h"

#include "common/base/landlock.h"
#include "common/transport/tls/tls_conf.h"
#include "gpu/backend.h"
#include "worker/tasks/spool.h"

ps_status ps_worker_confine(const ps_worker_options *options)
{
    const ps_worker_conf *conf = options->conf;
    ps_landlock *l = ps_landlock_new();
    ps_landlock_allow_system(l);
    ps_landlock_allow_beside(l, PS_LANDLOCK_READ, options->config_path);
    ps_tls_conf_allow(&conf->tls, conf->tls.renew, l);
    for (size_t i = 0; i < conf->n_data_roots; i++)
        ps_landlock_allow_coming(l, PS_LANDLOCK_READ, conf->data_roots[i]);
    const char *folder;
    for (size_t i = 0; i < PS_SPOOL_FOLDERS; i++)
        if ((folder = ps_spool_folder(i)))
            ps_landlock_allow(l, PS_LANDLOCK_WRITE, folder);
    ps_backend_allow(options->device.backend, l);
    ps_status st = ps_landlock_enforce(l, conf->landlock);
    ps_landlock_free(&l);
    return st;
}
