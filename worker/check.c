/* Happy path: certificates, folders of data and the device are looked at in turn, whatever the ones
 * before came to. */
#include "worker/check.h"

#include "common/conf/trial.h"
#include "common/transport/tls/tls_conf.h"
#include "gpu/backend.h"

#include <unistd.h>

static void try_device(const ps_worker_options *o, ps_trial *t)
{
    ps_backend_options options = {
        .threads = (int)o->conf->threads, .device = o->device.number, .tf32 = o->conf->tf32};
    ps_backend *backend = NULL;
    char text[256];
    ps_status st = ps_backend_open(o->device.backend, &options, &backend);
    ps_trial_add(t, "device", st);
    if (st)
        return;
    ps_backend_describe(backend, text, sizeof text);
    ps_trial_note(t, "device: %s", text);
    ps_backend_close(&backend);
}

int ps_worker_check(const ps_worker_options *options)
{
    const ps_worker_conf *conf = options->conf;
    ps_trial t = {.program = "psworker"};
    ps_tls_conf_try(&conf->tls, PS_TLS_CLIENT, &t);
    for (size_t i = 0; i < conf->n_data_roots; i++)
        ps_trial_add(&t, "data_roots", ps_trial_folder(conf->data_roots[i], false));
    try_device(options, &t);
    if (geteuid() == 0)
        ps_trial_note(&t, "checked with the rights of root; psworker's user may have fewer");
    return ps_trial_end(&t, options->config_path);
}
