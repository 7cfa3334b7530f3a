#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/reload.h"
#include "common/conf/changed.h"
#include "server/catalog/settings.h"
#include "server/daemon_internal.h"

/* ---- what is read again; other keys need a restart ---- */

void ps_daemon_use_tls(ps_daemon *d)
{
    ps_tls_context *tls = ps_tls_holder_get(d->tls);
    ps_rpc_server_set_tls(d->server, tls);
    ps_tls_context_unref(&tls);
}

typedef struct reloading {
    ps_daemon *daemon;
    ps_server_conf *fresh; /* psd.yaml and the flags, read once for all parts; NULL: */
    ps_error unread;       /* why they could not be */
} reloading;

static ps_status reload_certificates(void *state)
{
    ps_daemon *d = ((reloading *)state)->daemon;
    ps_status st = ps_tls_holder_reload(d->tls); /* one of its parts may have been taken */
    ps_daemon_use_tls(d);
    return st;
}

static ps_status reload_audit(void *state)
{
    return ps_audit_reopen(((reloading *)state)->daemon->audit);
}

static ps_status reload_log_level(void *state)
{
    const reloading *r = state;
    if (!r->fresh)
        return ps_error_raise(&r->unread);
    ps_log_set_level(ps_conf_log_level(&r->fresh->log));
    return PS_OK;
}

static ps_status reload_quotas(void *state)
{
    const reloading *r = state;
    if (!r->fresh)
        return ps_error_raise(&r->unread);
    ps_quotas_set(r->daemon->quotas, &r->fresh->quotas);
    return PS_OK;
}

/* At once, and not with the keys: an export after the answer is for who is named now. */
static ps_status reload_recipients(void *state)
{
    const reloading *r = state;
    if (!r->fresh)
        return ps_error_raise(&r->unread);
    ps_sealing_set_recipients(r->daemon->sealing, &r->fresh->sealing);
    return PS_OK;
}

/* What the file says now, and only a restart takes. */
static void find_untaken(const reloading *r, Psd__V1__ReloadResponse *out)
{
    static const char *const taken[] = {"log.level", "quotas", "sealing", NULL};
    if (!r->fresh)
        return;
    out->needs_restart =
        ps_conf_changed(&ps_server_schema, r->daemon->conf, r->fresh, taken, &out->n_needs_restart);
    ps_conf_changed_log("psd", out->needs_restart, out->n_needs_restart);
}

ps_status ps_daemon_reload(void *daemon, Psd__V1__ReloadResponse *out)
{
    static const ps_reload_part parts[] = {{"certificates", reload_certificates},
                                           {"audit log", reload_audit},
                                           {"log level", reload_log_level},
                                           {"quotas", reload_quotas},
                                           {"recipients of exports", reload_recipients}};
    ps_daemon *d = daemon;
    reloading r = {.daemon = d};
    atomic_store(&d->keys_asked, true);
    ps_status st = ps_server_options_reread(d->options, &r.fresh);
    if (st)
        ps_error_save(&r.unread, st);
    st = ps_reload_all(parts, sizeof parts / sizeof *parts, "psd", &r);
    find_untaken(&r, out);
    ps_server_conf_free(&r.fresh);
    ps_tls_context *tls = ps_tls_holder_get(d->tls);
    out->certificate_expires_ms = ps_tls_context_dates(tls).own_not_after * 1000;
    ps_tls_context_unref(&tls);
    return st;
}

void ps_daemon_set_draining(ps_daemon *d, bool on)
{
    atomic_store(&d->draining, on);
    ps_sched_drain(d->sched, on);
}

ps_status ps_daemon_drain(void *daemon, bool on)
{
    ps_daemon *d = daemon;
    ps_status st = ps_catalog_setting_put(d->catalog, PS_SETTING_DRAINING, on ? "on" : NULL);
    if (st)
        return st;
    ps_daemon_set_draining(d, on);
    ps_log_notice("psd", on ? "draining: no new tasks and jobs" : "no longer draining");
    return PS_OK;
}

ps_status ps_daemon_drain_as_before(ps_daemon *d)
{
    char *was = NULL;
    ps_status st = ps_catalog_setting_get(d->catalog, PS_SETTING_DRAINING, &was);
    if (was) {
        ps_daemon_set_draining(d, true);
        ps_log_notice("psd", "draining, as it was set before: no new tasks and jobs until psctl "
                             "drain --off");
    }
    ps_free(&was);
    return st;
}

uint64_t ps_daemon_parameter_bytes(ps_daemon *d)
{
    uint64_t bytes = 0;
    size_t n;
    uint64_t *jobs = ps_runs_list(d->runs, &n);
    for (size_t i = 0; i < n; i++) {
        ps_run *run = ps_runs_get(d->runs, jobs[i]);
        if (run)
            bytes += ps_param_store_bytes(ps_run_store(run));
        ps_run_unref(&run);
    }
    ps_free(&jobs);
    return bytes;
}

static uint32_t count_models(ps_catalog *catalog)
{
    uint64_t n = 0;
    return ps_catalog_model_count(catalog, &n) ? 0 : (uint32_t)n;
}

void ps_daemon_status(void *daemon, Psd__V1__StatusResponse *out)
{
    ps_daemon *d = daemon;
    ps_rpc_stats rpc;
    ps_sched_counts counts;
    ps_rpc_server_stats(d->server, &rpc);
    ps_sched_count(d->sched, &counts);
    ps_tls_context *tls = ps_tls_holder_get(d->tls);
    out->version = (char *)(uintptr_t)d->version;
    out->cluster = d->cluster;
    ps_tls_dates dates = ps_tls_context_dates(tls);
    out->certificate_expires_ms = dates.own_not_after * 1000;
    out->ca_certificate_expires_ms = dates.ca_not_after * 1000;
    out->certificate_serial = ps_strdup(dates.own_serial);
    out->crl_number = ps_strdup(dates.crl_number);
    out->crl_expires_ms = dates.crl_next_update * 1000;
    out->crl_entries = dates.crl_entries;
    out->started_ms = d->started_ms;
    out->connections = (uint32_t)rpc.connections;
    out->connections_total = rpc.connections_total;
    out->connections_pq = rpc.connections_pq;
    out->workers = counts.workers_idle + counts.workers_busy + counts.workers_draining;
    out->jobs_queued = counts.queued;
    out->jobs_running = counts.running + counts.cancelling;
    out->models = count_models(d->catalog);
    out->parameter_bytes = ps_daemon_parameter_bytes(d);
    out->memory_budget = d->memory_budget;
    out->memory_used = rpc.memory_used;
    out->draining = atomic_load(&d->draining);
    out->pushes = atomic_load(&d->services.pushes);
    out->pulls = atomic_load(&d->services.pulls);
    out->bytes_in = rpc.bytes_in;
    out->bytes_out = rpc.bytes_out;
    ps_sealing_state sealing = ps_sealing_last(d->sealing);
    char key[PS_KEK_TEXT] = "";
    if (sealing.key)
        ps_kek_text(sealing.key, key);
    out->sealing_key = ps_strdup(key);
    char head[PS_AUDIT_HEAD_TEXT];
    ps_audit_head last = ps_audit_get_head(d->audit);
    ps_audit_head_text(&last, head);
    out->audit_head = ps_strdup(last.seq ? head : "");
    out->files_sealed = sealing.sealed;
    out->files_plain = sealing.plain;
    ps_tls_context_unref(&tls);
}
