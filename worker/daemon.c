/* Happy path: certificates, device, loop, two channels (one for the agent's stream, one for data,
 * so that a heartbeat never waits behind a gradient), the core; then the loop runs. Being unable to
 * reach psd is not a failure: the channels try again for as long as the daemon runs. */
#include "worker/daemon.h"

#include "common/base/landlock.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/notify.h"
#include "common/base/reload.h"
#include "common/conf/changed.h"
#include "common/conf/trial.h"
#include "common/transport/channel/channel.h"
#include "common/transport/tls/tls_conf.h"
#include "common/transport/tls/tls_expiry.h"
#include "common/transport/tls/tls_watch.h"
#include "worker/core.h"
#include "worker/renewal.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

enum { SIGNALS = 3 };

struct ps_worker_daemon {
    ps_worker_start start;
    ps_tls_holder *tls;
    ps_tls_expiry expiry;
    ps_tls_watch *tls_watch;
    ps_backend *backend;
    char device[256];
    ps_loop *loop;
    ps_channel *control, *data;
    char *target;
    ps_worker_core *core;
    ps_renewal *renewal; /* NULL: tls.renew is false */
    int64_t not_after;   /* of the certificate that connections show */
    ps_timer *watchdog, *expiry_tick;
    ps_signal *signals[SIGNALS];
    ps_loop_task end_job;
    bool lost; /* the device */
};

/* ---- events ---- */

static void end_cb(ps_loop_task *job)
{
    ps_loop_stop(ps_container(job, ps_worker_daemon, end_job)->loop);
}

/* No task thread is left: what lives on the loop goes, and then the loop ends. */
static void stopped_cb(void *user)
{
    ps_worker_daemon *d = user;
    ps_worker_core_close(d->core);
    ps_renewal_free(&d->renewal);
    ps_channel_free(&d->data);
    ps_channel_free(&d->control);
    ps_timer_free(&d->watchdog);
    ps_timer_free(&d->expiry_tick);
    ps_tls_watch_free(&d->tls_watch);
    for (int i = 0; i < SIGNALS; i++)
        ps_signal_free(&d->signals[i]);
    ps_loop_task_init(&d->end_job, end_cb);
    ps_loop_defer(d->loop, &d->end_job);
}

static void watchdog_cb(void *user)
{
    (void)user;
    ps_notify_watchdog();
}

static void terminate_cb(void *user, int number)
{
    ps_worker_daemon *d = user;
    ps_log_notice("psworker", "stopping signal=%s tasks=%u", strsignal(number),
                  ps_worker_core_running(d->core));
    ps_notify_stopping();
    ps_worker_core_stop(d->core);
}

/* A GPU that has failed is lost to the process that used it, and another one may find it well. */
static void lost_cb(void *user, const char *why)
{
    ps_worker_daemon *d = user;
    ps_log_error("psworker", "the device is lost, stopping so that a new psworker opens it: %s",
                 why);
    d->lost = true;
    ps_notify_stopping();
    ps_worker_core_stop(d->core);
}

/* What the certificate that is in force says of its life. True: it is another one than before. */
static bool note_certificate(ps_worker_daemon *d, const ps_tls_context *context)
{
    ps_tls_dates dates = ps_tls_context_dates(context);
    bool other = d->not_after != dates.own_not_after;
    d->not_after = dates.own_not_after;
    if (d->renewal)
        ps_renewal_has(d->renewal, dates.own_not_before, dates.own_not_after);
    return other;
}

static void use_tls(ps_worker_daemon *d)
{
    ps_tls_context *context = ps_tls_holder_get(d->tls);
    ps_channel_set_tls(d->control, context);
    ps_channel_set_tls(d->data, context);
    bool other = note_certificate(d, context);
    ps_tls_context_unref(&context);
    if (!other)
        return;
    ps_channel_move_over(d->data);
    ps_channel_move_over(d->control);
}

/* Connections end with the certificate that they were made with: so they are made anew while it
 * holds, and nothing is cut. */
static void renewed_cb(void *user)
{
    ps_worker_daemon *d = user;
    if (ps_tls_holder_reload(d->tls))
        ps_log_error("renewal", "%s", ps_error_message());
    else
        use_tls(d);
}

static void clock_off_cb(void *user, int64_t ahead_s)
{
    ps_tls_holder_set_ahead(((ps_worker_daemon *)user)->tls, ahead_s);
}

static ps_status reload_certificates(void *user)
{
    ps_worker_daemon *d = user;
    ps_status st = ps_tls_holder_reload(d->tls); /* one of its parts may have been taken */
    use_tls(d);
    return st;
}

static ps_status reload_log_level(void *user)
{
    static const char *const taken[] = {"log.level", NULL};
    const ps_worker_daemon *d = user;
    ps_worker_options *options;
    size_t n = 0;
    ps_status st = ps_worker_options_parse(d->start.argc, d->start.argv, &options);
    if (st)
        return st;
    ps_log_set_level(ps_conf_log_level(&options->conf->log));
    char **others =
        ps_conf_changed(&ps_worker_schema, d->start.options->conf, options->conf, taken, &n);
    ps_conf_changed_log("psworker", others, n);
    ps_conf_changed_free(&others, n);
    ps_worker_options_free(&options);
    return PS_OK;
}

static void expiry_cb(void *user)
{
    ps_worker_daemon *d = user;
    ps_tls_expiry_look(&d->expiry, d->tls, ps_clock_wall_ms(&ps_clock_system) / 1000);
}

static void tls_changed_cb(void *user)
{
    use_tls(user);
    expiry_cb(user);
}

static void reload_cb(void *user, int number)
{
    (void)number;
    static const ps_reload_part parts[] = {{"certificates", reload_certificates},
                                           {"log level", reload_log_level}};
    ps_notify_reloading();
    (void)!ps_reload_all(parts, sizeof parts / sizeof *parts, "psworker",
                         user); /* the log has it */
    expiry_cb(user);
    ps_notify_ready(NULL);
}

static void state_cb(void *user, bool up, const char *reason)
{
    ps_worker_daemon *d = user;
    if (up)
        ps_log_info("psworker", "connected server=%s group=%s", d->target, reason);
    else
        ps_log_warning("psworker", "not connected server=%s: %s", d->target, reason);
    if (d->core)
        (up ? ps_worker_core_connected : ps_worker_core_not_connected)(d->core);
    ps_notify_status("%s; %s %s", d->device, up ? "connected to" : "waiting for", d->target);
}

/* ---- making ---- */

static ps_status open_device(ps_worker_daemon *d)
{
    const ps_worker_options *asked = d->start.options;
    ps_backend_options options = {.threads = (int)asked->conf->threads,
                                  .device = asked->device.number,
                                  .tf32 = asked->conf->tf32};
    ps_status st = ps_backend_open(asked->device.backend, &options, &d->backend);
    if (st)
        return st;
    const ps_backend_info *info = &d->backend->info;
    ps_backend_describe(d->backend, d->device, sizeof(d->device));
    ps_log_notice("psworker", "device: %s %s memory=%.1fGiB tf32=%s", d->device, info->device,
                  (double)info->memory / (double)(1 << 30), info->tf32 ? "on" : "off");
    return PS_OK;
}

/* They may come later (a disk that is mounted): only jobs that read there need them. */
static void look_at_data_roots(const ps_worker_conf *conf)
{
    for (size_t i = 0; i < conf->n_data_roots; i++)
        if (ps_trial_folder(conf->data_roots[i], false))
            ps_log_warning("psworker",
                           "data_roots: %s; jobs with data there fail until that is right",
                           ps_error_message());
}

static ps_status open_channel(ps_worker_daemon *d, bool first, ps_channel **out)
{
    const ps_worker_conf *conf = d->start.options->conf;
    ps_tls_context *context = ps_tls_holder_get(d->tls);
    ps_channel_options options = {.target = d->target,
                                  .tls = context,
                                  .message_bytes = conf->message_bytes,
                                  .backoff_min_ms = (unsigned)conf->reconnect.min_ms,
                                  .backoff_max_ms = (unsigned)conf->reconnect.max_ms,
                                  .keepalive_ms = (unsigned)conf->keepalive.interval_ms,
                                  .keepalive_timeout_ms = (unsigned)conf->keepalive.timeout_ms,
                                  .on_state = first ? state_cb : NULL,
                                  .user = d};
    ps_status st = ps_channel_create(d->loop, &options, out);
    ps_tls_context_unref(&context);
    return st;
}

static ps_status open_network(ps_worker_daemon *d)
{
    const ps_worker_options *options = d->start.options;
    bool v6 = strchr(options->server_host, ':') != NULL;
    d->target = ps_asprintf(v6 ? "[%s]:%" PRId64 : "%s:%" PRId64, options->server_host,
                            options->server_port);
    ps_status st = ps_loop_create(&d->loop);
    if (!st)
        ps_loop_set_busy_poll(d->loop, options->conf->busy_poll);
    if (!st)
        st = open_channel(d, true, &d->control);
    if (!st)
        st = open_channel(d, false, &d->data);
    return st;
}

static ps_status watch_signals(ps_worker_daemon *d)
{
    ps_status st = ps_signal_watch(d->loop, SIGTERM, terminate_cb, d, &d->signals[0]);
    if (!st)
        st = ps_signal_watch(d->loop, SIGINT, terminate_cb, d, &d->signals[1]);
    if (!st)
        st = ps_signal_watch(d->loop, SIGHUP, reload_cb, d, &d->signals[2]);
    return st;
}

ps_status ps_worker_daemon_create(const ps_worker_start *start, ps_worker_daemon **out)
{
    const ps_worker_conf *conf = start->options->conf;
    ps_worker_daemon *d = ps_new(ps_worker_daemon);
    d->start = *start;
    ps_log_set_level(ps_conf_log_level(&conf->log));
    ps_limits_log("psworker", ps_limits_raise_files());
    ps_landlock_log("psworker");
    const ps_tls_options tls = ps_tls_conf_options(&conf->tls, PS_TLS_CLIENT);
    ps_status st = ps_tls_holder_new(&tls, &d->tls);
    if (!st)
        st = open_device(d);
    if (!st)
        look_at_data_roots(conf);
    if (!st)
        st = open_network(d);
    if (!st)
        st = watch_signals(d);
    if (st) {
        ps_worker_daemon_free(&d);
        return st;
    }
    ps_timer_create(d->loop, watchdog_cb, d, &d->watchdog);
    ps_timer_create(d->loop, expiry_cb, d, &d->expiry_tick);
    ps_worker_core_create(&(ps_worker_core_options){.conf = conf,
                                                    .backend = d->backend,
                                                    .loop = d->loop,
                                                    .control = d->control,
                                                    .data = d->data,
                                                    .version = start->version,
                                                    .lost = lost_cb,
                                                    .stopped = stopped_cb,
                                                    .user = d},
                          &d->core);
    if (conf->tls.renew)
        ps_renewal_create(&(ps_renewal_options){.loop = d->loop,
                                                .channel = d->control,
                                                .files = &conf->tls,
                                                .renewed = renewed_cb,
                                                .clock_off = clock_off_cb,
                                                .user = d},
                          &d->renewal);
    ps_tls_context *context = ps_tls_holder_get(d->tls);
    (void)note_certificate(d, context);
    ps_tls_context_unref(&context);
    *out = d;
    return PS_OK;
}

ps_worker_end ps_worker_daemon_run(ps_worker_daemon *d)
{
    uint64_t every_ms = ps_notify_watchdog_ms();
    if (every_ms)
        ps_timer_start(d->watchdog, every_ms, every_ms);
    ps_timer_start(d->expiry_tick, 0, PS_TLS_EXPIRY_LOOK_MS);
    ps_tls_watch_start(d->loop, d->tls, d->start.options->conf->tls.watch_ms, tls_changed_cb, d,
                       &d->tls_watch);
    ps_worker_core_start(d->core);
    ps_notify_ready(d->device);
    ps_loop_run(d->loop);
    if (ps_worker_core_superseded(d->core) && !d->lost)
        return PS_WORKER_SUPERSEDED;
    ps_log_notice("psworker", "stopped");
    return d->lost ? PS_WORKER_LOST : PS_WORKER_STOPPED;
}

void ps_worker_daemon_free(ps_worker_daemon **daemon)
{
    ps_worker_daemon *d = *daemon;
    if (!d)
        return;
    ps_renewal_free(&d->renewal);
    if (d->data)
        ps_channel_free(&d->data);
    if (d->control)
        ps_channel_free(&d->control);
    for (int i = 0; i < SIGNALS; i++)
        if (d->signals[i])
            ps_signal_free(&d->signals[i]);
    ps_tls_watch_free(&d->tls_watch);
    ps_loop_free(&d->loop);
    ps_worker_core_free(&d->core);
    ps_backend_close(&d->backend);
    ps_tls_holder_free(&d->tls);
    ps_free(&d->target);
    ps_free(daemon);
}
