/* Happy path: certificates, device, loop, two channels (one for the agent's stream, one for data,
 * so that a heartbeat never waits behind a gradient), runner, agent; then the loop runs. Being
 * unable to reach psd is not a failure: the channels try again for as long as the daemon runs. */
#include "worker/daemon.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/notify.h"
#include "common/transport/tls_context.h"
#include "common/transport/tls_holder.h"
#include "worker/agent.h"
#include "worker/attach.h"
#include "worker/job_kind.h"
#include "worker/task.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

enum { SLOTS = 1, SIGNALS = 3 };

struct ps_worker_daemon {
    ps_worker_start start;
    ps_tls_holder *tls;
    ps_backend *backend;
    char device[256];
    ps_loop *loop;
    ps_channel *control, *data;
    char *target;
    bool up; /* the control channel */
    ps_runner *runner;
    ps_attach *attach;
    ps_agent *agent;
    Psd__V1__Hello hello;
    ps_timer *wake, *watchdog;
    ps_signal *signals[SIGNALS];
    ps_job end_job;
};

/* ---- the agent's port ---- */

static void port_open(void *user)
{
    ps_attach_open(((ps_worker_daemon *)user)->attach);
}

static void port_send(void *user, const Psd__V1__WorkerMessage *message)
{
    ps_attach_send(((ps_worker_daemon *)user)->attach, message);
}

static void port_close(void *user)
{
    ps_attach_close(((ps_worker_daemon *)user)->attach);
}

static void port_start(void *user, Psd__V1__Task *task)
{
    ps_runner_start(((ps_worker_daemon *)user)->runner, task);
}

static void port_cancel(void *user, uint64_t lease_id, const char *reason)
{
    ps_runner_cancel(((ps_worker_daemon *)user)->runner, lease_id, reason);
}

static void port_stop_tasks(void *user)
{
    ps_runner_stop(((ps_worker_daemon *)user)->runner);
}

static void port_wake(void *user, uint64_t delay_ms)
{
    ps_timer_start(((ps_worker_daemon *)user)->wake, delay_ms, 0);
}

static void port_gone(void *user)
{
    ps_runner_quit(((ps_worker_daemon *)user)->runner);
}

static const ps_agent_port agent_port = {.open = port_open,
                                         .send = port_send,
                                         .close = port_close,
                                         .start = port_start,
                                         .cancel = port_cancel,
                                         .stop_tasks = port_stop_tasks,
                                         .wake = port_wake,
                                         .gone = port_gone};

/* ---- events ---- */

static void attach_message_cb(void *user, Psd__V1__ServerMessage *message)
{
    ps_agent_message(((ps_worker_daemon *)user)->agent, message);
}

static void attach_ended_cb(void *user, ps_status status, const char *text)
{
    ps_agent_ended(((ps_worker_daemon *)user)->agent, status, text);
}

static void progress_cb(void *user, const Psd__V1__TaskProgress *progress)
{
    ps_agent_progress(((ps_worker_daemon *)user)->agent, progress);
}

static void result_cb(void *user, Psd__V1__TaskResult *result)
{
    ps_agent_result(((ps_worker_daemon *)user)->agent, result);
}

static void end_cb(ps_job *job)
{
    ps_loop_stop(ps_container(job, ps_worker_daemon, end_job)->loop);
}

/* No task thread is left: what lives on the loop goes, and then the loop ends. */
static void stopped_cb(void *user)
{
    ps_worker_daemon *d = user;
    ps_attach_free(&d->attach);
    ps_channel_free(&d->data);
    ps_channel_free(&d->control);
    ps_timer_free(&d->wake);
    ps_timer_free(&d->watchdog);
    for (int i = 0; i < SIGNALS; i++)
        ps_signal_free(&d->signals[i]);
    ps_job_init(&d->end_job, end_cb);
    ps_loop_defer(d->loop, &d->end_job);
}

static void wake_cb(void *user)
{
    ps_agent_tick(((ps_worker_daemon *)user)->agent);
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
                  ps_agent_running(d->agent));
    ps_notify_stopping();
    ps_agent_stop(d->agent);
}

static void use_tls(ps_worker_daemon *d)
{
    ps_tls_context *context = ps_tls_holder_get(d->tls);
    ps_channel_set_tls(d->control, context);
    ps_channel_set_tls(d->data, context);
    ps_tls_context_unref(&context);
}

static void reload_cb(void *user, int number)
{
    (void)number;
    ps_worker_daemon *d = user;
    ps_worker_options *options;
    ps_notify_reloading();
    if (ps_worker_options_parse(d->start.argc, d->start.argv, &options)) {
        ps_log_error("psworker", "nothing reloaded: %s", ps_error_message());
    } else {
        ps_log_set_level(ps_conf_log_level(&options->conf->log));
        ps_worker_options_free(&options);
        if (ps_tls_holder_reload(d->tls)) {
            ps_log_error("psworker", "certificates not reloaded: %s", ps_error_message());
        } else {
            use_tls(d);
            ps_log_notice("psworker", "reloaded certificates and log level");
        }
    }
    ps_notify_ready(NULL);
}

static void state_cb(void *user, bool up, const char *reason)
{
    ps_worker_daemon *d = user;
    if (up)
        ps_log_info("psworker", "connected server=%s", d->target);
    else
        ps_log_warning("psworker", "not connected server=%s: %s", d->target, reason);
    ps_notify_status("%s; %s %s", d->device, up ? "connected to" : "waiting for", d->target);
}

/* ---- making ---- */

static ps_status open_device(ps_worker_daemon *d)
{
    static const char *const names[] = {
        [PS_WORKER_AUTO] = "auto", [PS_WORKER_CPU] = "cpu", [PS_WORKER_CUDA] = "cuda"};
    const ps_worker_conf *conf = d->start.options->conf;
    ps_backend_options options = {.threads = (int)conf->threads};
    ps_status st = ps_backend_open(names[conf->device], &options, &d->backend);
    if (st)
        return ps_wrap(st, "device %s", names[conf->device]);
    ps_backend_describe(d->backend, d->device, sizeof(d->device));
    ps_log_notice("psworker", "device: %s model=\"%s\" memory=%" PRIu64 " threads=%d", d->device,
                  d->backend->info.device, d->backend->info.memory, d->backend->info.threads);
    return PS_OK;
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

static void say_hello(ps_worker_daemon *d, uint64_t incarnation)
{
    psd__v1__hello__init(&d->hello);
    d->hello.version = ps_strdup(d->start.version);
    d->hello.device = ps_asprintf("%s %s", d->backend->info.name, d->backend->info.device);
    d->hello.device_reason = ps_strdup(d->backend->info.reason);
    d->hello.memory_bytes = d->backend->info.memory;
    d->hello.slots = SLOTS;
    d->hello.incarnation = incarnation;
    size_t kinds = 0;
    while (ps_worker_kinds[kinds].name)
        kinds++;
    d->hello.kinds = ps_alloc_array(kinds, sizeof(char *));
    for (; d->hello.n_kinds < kinds; d->hello.n_kinds++)
        d->hello.kinds[d->hello.n_kinds] = ps_strdup(ps_worker_kinds[d->hello.n_kinds].name);
}

static void make_agent(ps_worker_daemon *d)
{
    const ps_worker_conf *conf = d->start.options->conf;
    /* greater at each start as long as the machine's clock does not go back by more than it was
     * down; psd refuses an older one and says so */
    uint64_t incarnation = (uint64_t)ps_clock_wall_ms(&ps_clock_system);
    say_hello(d, incarnation);
    ps_worker_env env = {.conf = conf,
                         .backend = d->backend,
                         .loop = d->loop,
                         .channel = d->data,
                         .clock = &ps_clock_system,
                         .incarnation = incarnation};
    ps_runner_create(
        &env, SLOTS,
        &(ps_runner_events){
            .progress = progress_cb, .result = result_cb, .stopped = stopped_cb, .user = d},
        &d->runner);
    ps_attach_create(
        d->control,
        &(ps_attach_events){.message = attach_message_cb, .ended = attach_ended_cb, .user = d},
        &d->attach);
    ps_agent_create(&(ps_agent_options){.port = &agent_port,
                                        .user = d,
                                        .clock = &ps_clock_system,
                                        .hello = &d->hello,
                                        .stop_ms = conf->shutdown_grace_ms},
                    &d->agent);
}

ps_status ps_worker_daemon_create(const ps_worker_start *start, ps_worker_daemon **out)
{
    const ps_worker_conf *conf = start->options->conf;
    ps_worker_daemon *d = ps_new(ps_worker_daemon);
    d->start = *start;
    ps_log_set_level(ps_conf_log_level(&conf->log));
    ps_tls_options tls = {.side = PS_TLS_CLIENT,
                          .ca_file = conf->tls.ca,
                          .cert_file = conf->tls.certificate,
                          .key_file = conf->tls.key};
    ps_status st = ps_tls_holder_new(&tls, &d->tls);
    if (!st)
        st = open_device(d);
    if (!st)
        st = open_network(d);
    if (!st)
        st = watch_signals(d);
    if (st) {
        ps_worker_daemon_free(&d);
        return st;
    }
    ps_timer_create(d->loop, wake_cb, d, &d->wake);
    ps_timer_create(d->loop, watchdog_cb, d, &d->watchdog);
    make_agent(d);
    *out = d;
    return PS_OK;
}

void ps_worker_daemon_run(ps_worker_daemon *d)
{
    uint64_t every_ms = ps_notify_watchdog_ms();
    if (every_ms)
        ps_timer_start(d->watchdog, every_ms, every_ms);
    ps_agent_start(d->agent);
    ps_notify_ready(d->device);
    ps_loop_run(d->loop);
    ps_log_notice("psworker", "stopped");
}

static void free_hello(Psd__V1__Hello *hello)
{
    if (!hello->kinds)
        return;
    for (size_t i = 0; i < hello->n_kinds; i++)
        ps_free(&hello->kinds[i]);
    ps_free(&hello->kinds);
    ps_free(&hello->version);
    ps_free(&hello->device);
    ps_free(&hello->device_reason);
}

void ps_worker_daemon_free(ps_worker_daemon **daemon)
{
    ps_worker_daemon *d = *daemon;
    if (!d)
        return;
    ps_runner_free(&d->runner);
    ps_agent_free(&d->agent);
    if (d->data)
        ps_channel_free(&d->data);
    if (d->control)
        ps_channel_free(&d->control);
    for (int i = 0; i < SIGNALS; i++)
        if (d->signals[i])
            ps_signal_free(&d->signals[i]);
    ps_loop_free(&d->loop);
    ps_backend_close(&d->backend);
    ps_tls_holder_free(&d->tls);
    free_hello(&d->hello);
    ps_free(&d->target);
    ps_free(daemon);
}
