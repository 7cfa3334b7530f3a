/* Happy path: certificates, folders and ports are looked at in turn, whatever the ones before came
 * to. Ports are opened and closed again, unless a psd runs with this data_dir: then they are its.
 */
#include "server/check.h"

#include "common/base/disk.h"
#include "common/base/mem.h"
#include "common/conf/trial.h"
#include "common/transport/tcp/listen.h"
#include "common/transport/tls/tls_conf.h"
#include "server/data_lock.h"
#include "server/guard/issuer.h"
#include "server/sealing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool leads_nowhere(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0 && S_ISLNK(about.st_mode) && access(path, F_OK) != 0;
}

/* A folder that is not there yet is made at the start, if the one above it may be written. */
static void try_folder(const char *what, const char *path, ps_trial *t)
{
    if (leads_nowhere(path)) {
        ps_trial_add(t, what, ps_fail(PS_NOT_FOUND, "%s is a link that leads nowhere", path));
        return;
    }
    bool there = access(path, F_OK) == 0 || errno != ENOENT;
    char *above = there ? ps_strdup(path) : ps_disk_folder_of(path);
    ps_trial_add(t, what, ps_trial_folder(above, true));
    ps_free(&above);
}

static void try_audit_log(const ps_server_conf *conf, ps_trial *t)
{
    if (!*conf->audit_log)
        return; /* in data_dir */
    struct stat about;
    if (stat(conf->audit_log, &about) == 0) {
        if (S_ISDIR(about.st_mode))
            ps_trial_add(t, "audit_log",
                         ps_fail(PS_INVALID_ARGUMENT, "%s is a folder", conf->audit_log));
        else if (access(conf->audit_log, W_OK) != 0)
            ps_trial_add(t, "audit_log", ps_fail_errno(errno, "%s", conf->audit_log));
        return;
    }
    char *folder = ps_disk_folder_of(conf->audit_log);
    ps_trial_add(t, "audit_log", ps_trial_folder(folder, true));
    ps_free(&folder);
}

/* Not opened, as that would make files beside it; whether it is one at all is in its first bytes
 * (SQLite's "Database File Format", 1.3). An empty one becomes one. */
static void try_catalog(const ps_server_conf *conf, ps_trial *t)
{
    static const char magic[16] = "SQLite format 3";
    char *path = ps_asprintf("%s/psd.db", conf->data_dir), first[sizeof magic];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd >= 0 ? pread(fd, first, sizeof first, 0) : 0;
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR)
        ps_trial_add(t, "catalog", ps_fail_errno(errno, "%s", path));
    else if (n < 0)
        ps_trial_add(t, "catalog", ps_fail_errno(errno, "%s", path));
    else if (n && (n < (ssize_t)sizeof first || memcmp(first, magic, sizeof magic) != 0))
        ps_trial_add(t, "catalog",
                     ps_fail(PS_CORRUPT,
                             "%s: is damaged (it is no database); restore it from a "
                             "backup",
                             path));
    if (fd >= 0)
        (void)close(fd);
    ps_free(&path);
}

static void try_keys(const ps_server_conf *conf, ps_trial *t)
{
    ps_keyring *ring = NULL;
    ps_trial_add(t, "keys", ps_sealing_keys(&conf->sealing, &ring));
    ps_keyring_free(&ring);
}

static void try_signer(const ps_server_conf *conf, ps_trial *t)
{
    if (conf->identity.renew)
        ps_trial_add(t, "identity",
                     ps_issuer_try(&(ps_issuer_conf){.source = conf->identity.signer,
                                                     .ca_file = conf->tls.ca,
                                                     .leaf_ms = conf->identity.leaf_ms}));
}

/* Both are open at once, as psd has them: one port for two is a fault. */
static void try_ports(const ps_server_options *options, ps_trial *t)
{
    const ps_server_conf *conf = options->conf;
    const struct {
        const char *origin;
        const ps_conf_listen *at;
    } doors[] = {{options->listen_origin, &conf->listen},
                 {options->metrics_origin, &conf->metrics.at}};
    size_t n = conf->metrics.enabled ? 2 : 1;
    ps_listen_sockets open[2] = {0};
    for (size_t i = 0; i < n; i++)
        ps_trial_add(
            t, doors[i].origin,
            ps_listen_open(doors[i].at->address, (uint16_t)doors[i].at->port, 1, &open[i]));
    for (size_t i = 0; i < n; i++)
        ps_listen_close(&open[i]);
}

/* What can be said of the ports while they are in use. */
static void compare_ports(const ps_server_options *options, ps_trial *t)
{
    const ps_conf_listen *one = &options->conf->listen, *other = &options->conf->metrics.at;
    if (options->conf->metrics.enabled && one->port && one->port == other->port &&
        !strcmp(one->address, other->address))
        ps_trial_add(t, options->metrics_origin,
                     ps_fail(PS_INVALID_ARGUMENT, "port %lld of %s is that of listen, too",
                             (long long)one->port, one->address));
}

int ps_server_check(const ps_server_options *options)
{
    const ps_server_conf *conf = options->conf;
    ps_trial t = {.program = "psd"};
    ps_tls_conf_try(&conf->tls, PS_TLS_SERVER, &t);
    try_folder("data_dir", conf->data_dir, &t);
    try_audit_log(conf, &t);
    try_catalog(conf, &t);
    try_keys(conf, &t);
    try_signer(conf, &t);
    if (ps_data_lock_is_taken(conf->data_dir)) {
        ps_trial_note(&t, "a psd works in %s: its ports are not tried", conf->data_dir);
        compare_ports(options, &t);
    } else {
        try_ports(options, &t);
    }
    if (geteuid() == 0)
        ps_trial_note(&t, "checked with the rights of root; psd's user may have fewer");
    return ps_trial_end(&t, options->config_path);
}
