/* Start: configuration, certificates, data folder (catalog, checkpoints), scheduler with the jobs
 * that had not ended, services, listeners; then READY. What fails on the way undoes what was done.
 *
 * Stop: no new tasks, GOAWAY and grace, close; then, when nothing can be pushed any more,
 * checkpoints of what runs: so what was acknowledged is in them. Jobs stay as they are in the
 * catalog: the next psd goes on with them. SIGTERM before READY ends psd at once, which the state
 * on disk allows at any time. */
#include "server/daemon.h"

#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/notify.h"
#include "common/conf/changed.h"
#include "common/transport/tls/tls_conf.h"
#include "server/daemon_internal.h"
#include "server/data_lock.h"
#include "server/guard/policy.h"
#include "server/sched/kinds/kinds.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { TICK_MS = 200, AUDIT_TICK_MS = 5000, HEALTH_TICK_MS = 1000, UPKEEP_MS = 5000 };

/* ---- what the server asks on every call ---- */

static ps_status authorise(void *user, const ps_identity *peer, const char *path)
{
    return ps_policy_check(peer, path);
}

static void refused(void *user, const char *address, const ps_identity *peer, const char *path,
                    const char *reason)
{
    ps_daemon *d = user;
    ps_audit_event event = {.event = path   ? "call"
                                     : peer ? "session"
                                            : "handshake",
                            .address = address,
                            .identity = peer,
                            .call = path,
                            .outcome = PS_AUDIT_REFUSED,
                            .reason = reason};
    ps_audit_write(d->audit, &event);
}

static ps_account *account_of(void *user, const ps_identity *peer)
{
    ps_daemon *d = user;
    return ps_quotas_account(d->quotas, peer);
}

/* ---- create ---- */

static ps_status open_security(ps_daemon *d)
{
    const ps_tls_options options = ps_tls_conf_options(&d->conf->tls, PS_TLS_SERVER);
    ps_status st = ps_tls_holder_new(&options, &d->tls);
    if (!st)
        st = ps_daemon_open_issuer(d);
    if (st)
        return st;
    char *path = *d->conf->audit_log ? ps_strdup(d->conf->audit_log)
                                     : ps_asprintf("%s/audit.log", d->conf->data_dir);
    const ps_audit_conf audit = {.path = path,
                                 .clock = &d->clock,
                                 .size = d->conf->audit.size,
                                 .keep = (unsigned)d->conf->audit.keep,
                                 .refuse = d->conf->audit.on_failure == 0,
                                 .tls = d->tls,
                                 .forward = d->conf->audit.forward,
                                 .anchor_ms = d->conf->audit.anchor_ms};
    st = ps_audit_open(&audit, &d->audit);
    ps_free(&path);
    if (st)
        return st;
    ps_tls_context *tls = ps_tls_holder_get(d->tls);
    memcpy(d->cluster, ps_tls_context_identity(tls)->cluster, sizeof d->cluster);
    ps_identity_format(ps_tls_context_identity(tls), d->identity);
    ps_tls_context_unref(&tls);
    return ps_sealing_open(&d->conf->sealing, d->conf->data_dir, d->cluster, &d->sealing);
}

static ps_status open_state(ps_daemon *d)
{
    char *path = ps_asprintf("%s/psd.db", d->conf->data_dir);
    ps_status st = ps_catalog_open(path, &d->catalog);
    ps_free(&path);
    if (!st)
        st = ps_sealing_catalog(d->sealing, d->catalog);
    if (st)
        return st;
    d->host = (ps_stored_host){
        .psd = d->version, .cluster = d->cluster, .server = d->identity, .audit = d->audit};
    d->runs = ps_runs_create(d->clock);
    d->sessions = ps_sessions_create();
    const ps_lifecycle_conf conf = {
        .files = {.disk = ps_sealing_disk(d->sealing),
                  .data_dir = d->conf->data_dir,
                  .catalog = d->catalog,
                  .clock = d->clock,
                  .host = &d->host},
        .runs = d->runs,
        .loop = d->loop,
        .host.push_bytes = d->conf->limits.push_bytes,
        .keep_checkpoints = (unsigned)d->conf->checkpoint.keep,
    };
    st = ps_lifecycle_create(&conf, &d->lifecycle);
    if (!st)
        st = ps_room_create(conf.files.disk, d->conf->data_dir, &d->room);
    if (st)
        return st;
    ps_catalog_set_make_room(d->catalog, ps_room_give_up, d->room);
    ps_audit_set_make_room(d->audit, ps_room_give_up, d->room);
    const ps_sched_conf sched = {.max_running = (uint32_t)d->conf->jobs.max_running,
                                 .max_unfinished = (uint32_t)d->conf->jobs.max_unfinished,
                                 .quotas = d->quotas,
                                 .lease_timeout_ms = d->conf->jobs.lease_timeout_ms,
                                 .checkpoint_ms = d->conf->checkpoint.interval_ms,
                                 .clock = d->clock,
                                 .kinds = ps_job_kinds};
    const ps_sched_out out = {.workers = &ps_sessions_to_workers,
                              .workers_user = d->sessions,
                              .store = &ps_lifecycle_to_store,
                              .store_user = d->lifecycle};
    d->sched = ps_sched_create(&sched, d->catalog, &out);
    ps_lifecycle_set_sched(d->lifecycle, d->sched);
    d->services.files = conf.files;
    st = ps_daemon_drain_as_before(d); /* before a worker comes */
    if (!st)
        st = ps_sched_recover(d->sched, ps_lifecycle_restore);
    if (!st)
        ps_lifecycle_sweep(d->lifecycle);
    return st;
}

static size_t half_of_memory(void)
{
    ps_limits limits;
    ps_limits_read(&limits);
    return limits.memory / 2;
}

/* A connection is a file; some are kept for psd itself: its loops, the catalog, checkpoints, models
 * on their way, the metrics page. Connections beyond are refused, where files that cannot be opened
 * would cost what is being trained. */
static unsigned connections_for(const ps_server_conf *conf, unsigned files)
{
    enum { OWN = 128 };
    unsigned asked = (unsigned)conf->limits.connections;
    unsigned room = files > 2 * OWN ? files - OWN : files / 2;
    if (asked <= room)
        return asked;
    ps_log_warning("psd",
                   "limits.connections is %u, but psd may open only %u files: at most %u "
                   "connections; allow more (LimitNOFILE in its unit, or ulimit -n)",
                   asked, files, room);
    return room;
}

static void fill_limits(const ps_server_conf *conf, unsigned files, ps_rpc_limits *out)
{
    *out = PS_RPC_LIMITS_DEFAULT;
    out->message_bytes = conf->limits.message_bytes;
    out->memory_bytes = conf->limits.memory_bytes;
    if (!out->memory_bytes)
        out->memory_bytes = half_of_memory();
    out->connection_bytes = conf->limits.connection_bytes;
    out->call_bytes = conf->limits.call_bytes;
    out->streams = (unsigned)conf->limits.streams;
    out->connections = connections_for(conf, files);
    out->keepalive_ms = (unsigned)conf->keepalive.interval_ms;
    out->keepalive_timeout_ms = (unsigned)conf->keepalive.timeout_ms;
}

static void fill_services(ps_daemon *d)
{
    d->services.sched = d->sched;
    d->services.runs = d->runs;
    d->services.lifecycle = d->lifecycle;
    d->services.sessions = d->sessions;
    d->services.audit = d->audit;
    d->services.quotas = d->quotas;
    d->services.issuer = d->issuer;
    /* the message that is one too many comes before it is refused */
    d->services.push_bytes = d->conf->limits.push_bytes + d->conf->limits.message_bytes;
    d->services.heartbeat_ms = (unsigned)d->conf->jobs.heartbeat_ms;
    d->services.lease_timeout_ms = (unsigned)d->conf->jobs.lease_timeout_ms;
    d->services.version = d->version;
    d->services.daemon = (ps_services_daemon){.reload = ps_daemon_reload,
                                              .status = ps_daemon_status,
                                              .drain = ps_daemon_drain,
                                              .keys = ps_daemon_keys,
                                              .retire_key = ps_daemon_retire_key,
                                              .export_recipients = ps_daemon_export_recipients,
                                              .user = d};
}

static ps_status open_listeners(ps_daemon *d)
{
    ps_tls_context *tls = ps_tls_holder_get(d->tls);
    ps_rpc_server_options options = {.loops = d->loops,
                                     .address = d->conf->listen.address,
                                     .port = (uint16_t)d->conf->listen.port,
                                     .tls = tls,
                                     .authorise = authorise,
                                     .refused = refused,
                                     .account = account_of,
                                     .user = d};
    fill_limits(d->conf, d->files, &options.limits);
    d->memory_budget = options.limits.memory_bytes;
    ps_status st = ps_rpc_server_create(&options, &d->server);
    ps_tls_context_unref(&tls);
    if (st)
        return st;
    fill_services(d);
    ps_services_add(&d->services, d->server);
    if (d->conf->metrics.enabled) {
        st = ps_http_start(d->conf->metrics.at.address, (uint16_t)d->conf->metrics.at.port,
                           ps_daemon_pages, d, &d->http);
        if (st)
            return ps_wrap(st, "%s", d->options->metrics_origin);
    }
    st = ps_rpc_server_start(d->server);
    return st ? ps_wrap(st, "%s", d->options->listen_origin) : PS_OK;
}

static ps_status write_port_file(ps_daemon *d)
{
    if (!d->options->port_file)
        return PS_OK;
    return ps_server_port_file_write(d->options->port_file, ps_rpc_server_port(d->server),
                                     d->http ? ps_http_port(d->http) : 0);
}

static void expiry_tick_cb(void *user)
{
    ps_daemon *d = user;
    ps_tls_expiry_look(&d->expiry, d->tls, ps_clock_wall_ms(&d->clock) / 1000);
}

static void tls_changed_cb(void *user)
{
    ps_daemon *d = user;
    if (!atomic_load(&d->ready)) /* stopping: there is no server any more */
        return;
    ps_daemon_use_tls(d);
    expiry_tick_cb(d);
}

static void hangup_cb(void *user, int number)
{
    ps_daemon *d = user;
    Psd__V1__ReloadResponse unread = PSD__V1__RELOAD_RESPONSE__INIT;
    if (!atomic_load(&d->ready)) /* stopping: there is no server any more */
        return;
    ps_notify_reloading();
    (void)!ps_daemon_reload(d, &unread); /* the log has it */
    ps_conf_changed_free(&unread.needs_restart, unread.n_needs_restart);
    expiry_tick_cb(d);
    ps_notify_ready(NULL);
}

static ps_status open_all(ps_daemon *d)
{
    ps_log_set_level(ps_conf_log_level(&d->conf->log));
    d->files = ps_limits_raise_files();
    ps_limits_log("psd", d->files);
    ps_work_set_threads(ps_server_threads(d->conf, ps_cores()));
    ps_status st = ps_disk_mkdir_if_missing(&ps_disk_system, d->conf->data_dir);
    if (!st)
        st = ps_data_lock_take(d->conf->data_dir, &d->data_lock);
    if (!st)
        st = ps_loop_create(&d->loop);
    if (!st) /* early: until then it would end psd; handled when psd runs */
        st = ps_signal_watch(d->loop, SIGHUP, hangup_cb, d, &d->on_hup);
    if (!st)
        st = ps_loops_create((unsigned)d->conf->loops, d->conf->busy_poll, &d->loops);
    ps_quotas_create(&d->conf->quotas, &d->clock, &d->quotas);
    d->health = (ps_health){.limit_ms = PS_HEALTH_LIMIT_MS, .main = d->loop, .loops = d->loops};
    if (!st)
        st = open_security(d);
    if (!st)
        st = open_state(d);
    if (!st)
        st = open_listeners(d);
    return st;
}

ps_status ps_daemon_create(const ps_server_options *options, const char *version, ps_daemon **out)
{
    ps_daemon *d = ps_new(ps_daemon);
    d->options = options;
    d->conf = options->conf;
    d->version = version;
    d->data_lock = -1;
    d->clock = ps_clock_system;
    d->started_ms = ps_clock_wall_ms(&d->clock);
    ps_status st = open_all(d);
    if (st) {
        ps_error error;
        ps_error_save(&error, st);
        ps_daemon_free(&d);
        return ps_error_raise(&error);
    }
    *out = d;
    return PS_OK;
}

/* ---- run ---- */

static void audit_run(void *daemon)
{
    ps_audit_tick(((ps_daemon *)daemon)->audit);
}

static void audit_tick_cb(void *user)
{
    ps_daemon *d = user;
    (void)ps_off_loop_turn_submit(d->loop, &d->audit_turn, audit_run, d);
}

/* So that the log names a loop that stands, whether or not somebody asks. */
static void health_tick_cb(void *user)
{
    ps_daemon *d = user;
    ps_buf text = PS_BUF_EMPTY;
    (void)ps_health_check(&d->health, &text);
    ps_buf_free(&text);
}

static void watchdog_cb(void *user)
{
    ps_daemon *d = user;
    ps_buf text = PS_BUF_EMPTY;
    if (ps_health_check(&d->health, &text))
        ps_notify_watchdog();
    ps_buf_free(&text);
}

static void stop_cb(void *user, int number)
{
    ps_daemon *d = user;
    ps_log_notice("psd", "stopping signal=%s", number == SIGINT ? "SIGINT" : "SIGTERM");
    ps_loop_stop(d->loop);
}

static ps_status watch_signals(ps_daemon *d)
{
    ps_status st = ps_signal_watch(d->loop, SIGTERM, stop_cb, d, &d->on_term);
    if (!st)
        st = ps_signal_watch(d->loop, SIGINT, stop_cb, d, &d->on_int);
    return st;
}

static void start_timers(ps_daemon *d)
{
    ps_timer_create(d->loop, ps_daemon_tick_cb, d, &d->tick);
    ps_timer_start(d->tick, TICK_MS, TICK_MS);
    ps_timer_create(d->loop, audit_tick_cb, d, &d->audit_tick);
    ps_timer_start(d->audit_tick, AUDIT_TICK_MS, AUDIT_TICK_MS);
    ps_timer_create(d->loop, health_tick_cb, d, &d->health_tick);
    ps_timer_start(d->health_tick, HEALTH_TICK_MS, HEALTH_TICK_MS);
    ps_timer_create(d->loop, ps_daemon_upkeep_cb, d, &d->upkeep_tick);
    ps_timer_start(d->upkeep_tick, UPKEEP_MS, UPKEEP_MS);
    ps_timer_create(d->loop, expiry_tick_cb, d, &d->expiry_tick);
    ps_timer_start(d->expiry_tick, 0, PS_TLS_EXPIRY_LOOK_MS);
    ps_tls_watch_start(d->loop, d->tls, d->conf->tls.watch_ms, tls_changed_cb, d, &d->tls_watch);
    uint64_t watchdog_ms = ps_notify_watchdog_ms();
    if (watchdog_ms) {
        ps_timer_create(d->loop, watchdog_cb, d, &d->watchdog);
        ps_timer_start(d->watchdog, watchdog_ms, watchdog_ms);
    }
}

/* What was handed to the pool still needs the loop to come back to. */
static void finish_pending_cb(void *user)
{
    ps_daemon *d = user;
    if (!ps_off_loop_pending())
        ps_loop_stop(d->loop);
}

static void run_until_idle(ps_daemon *d)
{
    ps_timer *poll = NULL;
    ps_timer_create(d->loop, finish_pending_cb, d, &poll);
    ps_timer_start(poll, 1, 10);
    do /* a second SIGTERM stops the loop, too */
        ps_loop_run(d->loop);
    while (ps_off_loop_pending());
    ps_timer_free(&poll);
}

static void checkpoint_all(ps_daemon *d)
{
    uint32_t jobs = 0;
    uint64_t bytes = 0;
    if (ps_lifecycle_checkpoint_all(d->lifecycle, &jobs, &bytes))
        ps_log_warning("checkpoint", "%s", ps_error_message());
}

/* Everything through which somebody may still ask for something, and what was asked for. */
static void close_doors(ps_daemon *d)
{
    ps_runs_close(d->runs); /* whoever waits for others has waited for them in vain */
    ps_sessions_drop_all(d->sessions, "psd is stopping");
    ps_rpc_server_stop(d->server, (unsigned)d->conf->shutdown_grace_ms);
    ps_http_stop(&d->http); /* it shows the server's numbers */
    ps_rpc_server_free(&d->server);
    d->health.loops = NULL;
    ps_loops_free(&d->loops); /* waits for the connections' work in the pool */
    run_until_idle(d);
}

static void shut_down(ps_daemon *d)
{
    ps_notify_stopping();
    ps_daemon_set_draining(d, true);
    ps_rpc_server_set_serving(d->server, false);
    ps_timer_free(&d->tick);
    ps_timer_free(&d->upkeep_tick);
    ps_tls_watch_free(&d->tls_watch);
    close_doors(d);
    checkpoint_all(d);
}

ps_status ps_daemon_run(ps_daemon *d)
{
    ps_status st = watch_signals(d);
    if (st)
        return st;
    ps_rpc_server_set_serving(d->server, true);
    atomic_store(&d->ready, true);
    st = write_port_file(d); /* whoever waits for it finds psd ready */
    if (st)
        return st;
    start_timers(d);
    char metrics[16] = "off";
    if (d->http)
        (void)snprintf(metrics, sizeof metrics, "%u", ps_http_port(d->http));
    const char *address = d->conf->listen.address;
    bool v6 = strchr(address, ':') != NULL;
    ps_log_notice("psd", "ready version=%s listen=%s%s%s:%u metrics=%s", d->version, v6 ? "[" : "",
                  address, v6 ? "]" : "", ps_rpc_server_port(d->server), metrics);
    ps_notify_ready("serving");
    ps_audit_write(d->audit, &(ps_audit_event){.event = "start", .reason = d->version});
    ps_audit_anchor(d->audit);
    ps_loop_run(d->loop);
    atomic_store(&d->ready, false);
    shut_down(d);
    ps_audit_write(d->audit, &(ps_audit_event){.event = "stop"});
    ps_audit_anchor(d->audit);
    ps_log_notice("psd", "stopped");
    return PS_OK;
}

void ps_daemon_free(ps_daemon **daemon)
{
    ps_daemon *d = *daemon;
    if (!d)
        return;
    ps_signal_free(&d->on_term);
    ps_signal_free(&d->on_int);
    ps_signal_free(&d->on_hup);
    ps_http_stop(&d->http);
    ps_rpc_server_free(&d->server);
    ps_loops_free(&d->loops);
    if (d->loop)
        run_until_idle(d); /* of a start that failed: what recovery began */
    ps_timer_free(&d->tick);
    ps_timer_free(&d->audit_tick);
    ps_timer_free(&d->expiry_tick);
    ps_timer_free(&d->health_tick);
    ps_timer_free(&d->upkeep_tick);
    ps_timer_free(&d->watchdog);
    ps_tls_watch_free(&d->tls_watch);
    ps_loop_free(&d->loop);
    ps_sched_free(&d->sched);
    ps_quotas_free(&d->quotas);
    ps_sessions_free(&d->sessions);
    ps_lifecycle_free(&d->lifecycle);
    ps_runs_free(&d->runs);
    ps_catalog_close(&d->catalog);
    ps_sealing_close(&d->sealing);
    ps_room_free(&d->room);
    ps_audit_close(&d->audit);
    ps_issuer_close(&d->issuer);
    ps_tls_holder_free(&d->tls);
    ps_data_lock_release(&d->data_lock); /* last: all that is in there is closed */
    ps_free(daemon);
}
