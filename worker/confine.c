/* Happy path: a rule for each path of the configuration. Fails as landlock does. */
#include "worker/confine.h"

#include "common/base/disk.h"
#include "common/base/landlock.h"
#include "common/base/mem.h"
#include "common/transport/tls/tls_conf.h"
#include "gpu/backend.h"
#include "worker/tasks/spool.h"

#include <string.h>
#include <unistd.h>

/* One that comes later (a disk that is mounted) is found in the folder that is there. */
static void allow_data(ps_landlock *l, const char *root)
{
    char *path = ps_strdup(root);
    while (access(path, F_OK) != 0 && strcmp(path, "/") != 0) {
        char *above = ps_disk_folder_of(path);
        ps_free(&path);
        path = above;
    }
    ps_landlock_allow(l, PS_LANDLOCK_READ, path);
    ps_free(&path);
}

ps_status ps_worker_confine(const ps_worker_options *options)
{
    const ps_worker_conf *conf = options->conf;
    ps_landlock *l = ps_landlock_new();
    ps_landlock_allow_system(l);
    ps_landlock_allow_beside(l, PS_LANDLOCK_READ, options->config_path);
    ps_tls_conf_allow(&conf->tls, conf->tls.renew, l);
    for (size_t i = 0; i < conf->n_data_roots; i++)
        allow_data(l, conf->data_roots[i]);
    const char *folder;
    for (size_t i = 0; i < PS_SPOOL_FOLDERS; i++)
        if ((folder = ps_spool_folder(i)))
            ps_landlock_allow(l, PS_LANDLOCK_WRITE, folder);
    ps_backend_allow(options->device.backend, l);
    ps_status st = ps_landlock_enforce(l, conf->landlock);
    ps_landlock_free(&l);
    return st;
}
