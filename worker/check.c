/* Happy path: certificates, folders of data and the device are looked at in turn, whatever the ones
 * before came to. */
#include "worker/check.h"

#include "common/base/mem.h"
#include "common/conf/trial.h"
#include "common/transport/tls/tls_expiry.h"
#include "gpu/backend.h"

#include <time.h>
#include <unistd.h>

static void try_certificates(const ps_worker_conf *conf, ps_trial *t)
{
    const ps_tls_options options = {.side = PS_TLS_CLIENT,
                                    .ca_file = conf->tls.ca,
                                    .cert_file = conf->tls.certificate,
                                    .key_file = conf->tls.key};
    ps_tls_context *context = NULL;
    ps_trial_add(t, "tls", ps_tls_context_new(&options, &context));
    char *remark = context ? ps_tls_expiry_remark(context, (int64_t)time(NULL)) : NULL;
    if (remark)
        ps_trial_note(t, "%s", remark);
    ps_free(&remark);
    ps_tls_context_unref(&context);
}

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
    try_certificates(conf, &t);
    for (size_t i = 0; i < conf->n_data_roots; i++)
        ps_trial_add(&t, "data_roots", ps_trial_folder(conf->data_roots[i], false));
    try_device(options, &t);
    if (geteuid() == 0)
        ps_trial_note(&t, "checked with the rights of root; psworker's user may have fewer");
    return ps_trial_end(&t, options->config_path);
}
