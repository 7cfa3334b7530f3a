/* The tables of psd's keys and flags; common/conf/options reads them. */
#include "server/options.h"

#include "common/age/age_keys.h"
#include "common/base/mem.h"
#include "common/base/new_file.h"
#include "common/base/ranked.h"
#include "common/conf/options.h"
#include "common/seal/key_source.h"
#include "common/seal/keyring.h"
#include "common/security/certificate_issue.h"
#include "server/guard/audit_forward.h"
#include "server/guard/issuer.h"

#include <stdio.h>
#include <string.h>

#ifndef PSD_SYSCONFDIR
#error "PSD_SYSCONFDIR is set by the build"
#endif
#define DEFAULT_CONFIG PSD_SYSCONFDIR "/psd/psd.yaml"

#define MIB (INT64_C(1) << 20)
#define TIB (INT64_C(1) << 40)

static const ps_conf_key listen_keys[] = {
    PS_CONF_TEXT("address", ps_conf_listen, address, "127.0.0.1", 1, 255),
    PS_CONF_INT("port", ps_conf_listen, port, "7600", 0, 65535),
    PS_CONF_END,
};

static const ps_conf_key metrics_keys[] = {
    PS_CONF_BOOL("enabled", ps_server_metrics, enabled, "true"),
    PS_CONF_TEXT("address", ps_server_metrics, at.address, "127.0.0.1", 1, 255),
    PS_CONF_INT("port", ps_server_metrics, at.port, "7601", 0, 65535),
    PS_CONF_END,
};

static const ps_conf_key limits_keys[] = {
    PS_CONF_BYTES("message_bytes", ps_server_limits, message_bytes, "4MiB", 64 << 10, 1 << 30),
    PS_CONF_BYTES("memory_bytes", ps_server_limits, memory_bytes, "0", 0, 1024 * TIB),
    PS_CONF_BYTES("connection_bytes", ps_server_limits, connection_bytes, "64MiB", MIB, TIB),
    PS_CONF_BYTES("call_bytes", ps_server_limits, call_bytes, "16MiB", MIB, TIB),
    PS_CONF_BYTES("push_bytes", ps_server_limits, push_bytes, "64MiB", MIB, TIB),
    PS_CONF_INT("streams", ps_server_limits, streams, "128", 1, 10000),
    PS_CONF_INT("connections", ps_server_limits, connections, "1024", 1, 1000000),
    PS_CONF_END,
};

static const ps_conf_key jobs_keys[] = {
    PS_CONF_INT("max_running", ps_server_jobs, max_running, "16", 1, 1024),
    PS_CONF_INT("max_unfinished", ps_server_jobs, max_unfinished, "16384", 1, 1000000),
    PS_CONF_DURATION("lease_timeout", ps_server_jobs, lease_timeout_ms, "15s", 500, 3600000),
    PS_CONF_DURATION("heartbeat", ps_server_jobs, heartbeat_ms, "2s", 50, 600000),
    PS_CONF_END,
};

static const ps_conf_key checkpoint_keys[] = {
    PS_CONF_DURATION("interval", ps_server_checkpoint, interval_ms, "30s", 0, 604800000),
    PS_CONF_INT("keep", ps_server_checkpoint, keep, "2", 1, 1000),
    PS_CONF_END,
};

#define YEARS_MS (INT64_C(100) * 365 * 86400000)

static const ps_conf_key retention_keys[] = {
    PS_CONF_DURATION("jobs", ps_retention, jobs_ms, "365d", 0, YEARS_MS),
    PS_CONF_DURATION("logs", ps_retention, logs_ms, "90d", 0, YEARS_MS),
    PS_CONF_DURATION("artifacts", ps_retention, artifacts_ms, "30d", 0, YEARS_MS),
    PS_CONF_END,
};

static const char *const failure_words[] = {"refuse", "continue", NULL};

static const ps_conf_key audit_keys[] = {
    PS_CONF_BYTES("size", ps_server_audit, size, "64MiB", 0, TIB),
    PS_CONF_INT("keep", ps_server_audit, keep, "0", 0, 1000000),
    PS_CONF_DURATION("anchor", ps_server_audit, anchor_ms, "60s", 0, 86400000),
    PS_CONF_TEXT("forward", ps_server_audit, forward, "", 0, 255),
    PS_CONF_WORD("on_failure", ps_server_audit, on_failure, "refuse", failure_words),
    PS_CONF_END,
};

static const ps_conf_key sealing_keys[] = {
    PS_CONF_TEXT("kek", ps_server_sealing, kek, "", 0, 4095),
    PS_CONF_TEXTS("previous", ps_server_sealing, previous, "[]", 0, PS_KEYRING_MOST - 1, 1, 4095),
    PS_CONF_BOOL("require", ps_server_sealing, require, "false"),
    PS_CONF_TEXTS("export_recipients", ps_server_sealing, export_recipients, "[]", 0,
                  PS_AGE_ESCROW_MOST, 1, 4095),
    PS_CONF_END,
};

static const ps_conf_key identity_keys[] = {
    PS_CONF_BOOL("renew", ps_server_identity, renew, "false"),
    PS_CONF_DURATION("leaf", ps_server_identity, leaf_ms, "24h", 5000,
                     PS_LEAF_DAYS_MAX * 86400000LL),
    PS_CONF_TEXT("signer", ps_server_identity, signer, "", 0, 4095),
    PS_CONF_END,
};

static const ps_conf_key server_keys[] = {
    PS_CONF_MAP("listen", ps_server_conf, listen, listen_keys),
    PS_CONF_MAP("metrics", ps_server_conf, metrics, metrics_keys),
    PS_CONF_TEXT("data_dir", ps_server_conf, data_dir, "/var/lib/psd", 1, 4000),
    PS_CONF_MAP("tls", ps_server_conf, tls, ps_conf_tls_keys),
    PS_CONF_MAP("log", ps_server_conf, log, ps_conf_log_keys),
    PS_CONF_TEXT("audit_log", ps_server_conf, audit_log, "", 0, 4095),
    PS_CONF_MAP("audit", ps_server_conf, audit, audit_keys),
    PS_CONF_INT("loops", ps_server_conf, loops, "0", 0, 256),
    PS_CONF_INT("threads", ps_server_conf, threads, "0", 0, 1024),
    PS_CONF_BOOL("busy_poll", ps_server_conf, busy_poll, "true"),
    PS_CONF_MAP("limits", ps_server_conf, limits, limits_keys),
    PS_CONF_MAP("quotas", ps_server_conf, quotas, ps_quota_keys),
    PS_CONF_MAP("jobs", ps_server_conf, jobs, jobs_keys),
    PS_CONF_MAP("checkpoint", ps_server_conf, checkpoint, checkpoint_keys),
    PS_CONF_MAP("retention", ps_server_conf, retention, retention_keys),
    PS_CONF_MAP("sealing", ps_server_conf, sealing, sealing_keys),
    PS_CONF_MAP("identity", ps_server_conf, identity, identity_keys),
    PS_CONF_WORD("landlock", ps_server_conf, landlock, "auto", ps_conf_landlock_words),
    PS_CONF_DURATION("shutdown_grace", ps_server_conf, shutdown_grace_ms, "10s", 0, 3600000),
    PS_CONF_MAP("keepalive", ps_server_conf, keepalive, ps_conf_keepalive_keys),
    PS_CONF_END,
};

const ps_conf_schema ps_server_schema = {.keys = server_keys, .size = sizeof(ps_server_conf)};

const char ps_server_usage[] =
    "usage: psd [OPTION]...\n"
    "the parameter server daemon\n"
    "\n"
    "  -c, --config FILE        configuration (default " DEFAULT_CONFIG ")\n"
    "  -l, --listen HOST:PORT   where gRPC is served; port 0: any free one\n"
    "      --metrics HOST:PORT  where /metrics, /healthz and /readyz are served\n"
    "  -d, --data-dir DIR       state: jobs, models, checkpoints\n"
    "      --log-level LEVEL    error, warning, notice, info, debug or trace\n"
    "      --port-file FILE     write the ports in use there, once they are open\n"
    "      --check              try configuration, certificates, folders and ports, and leave\n"
    "  -h, --help               this text\n"
    "      --version            the version\n"
    "\n"
    "Signals: SIGTERM stops in order, SIGHUP reads certificates, audit log, log level, quotas and\n"
    "recipients of exports anew.\n"
    "Exit status: 0 stopped in order, 1 failed, 2 wrong options or configuration.\n";

/* Most of them wait for the disk most of the time. */
unsigned ps_server_threads(const ps_server_conf *conf, unsigned cores)
{
    enum { A_CORE = 2, LEAST = 8, MOST = 128 };
    unsigned n = cores < MOST ? A_CORE * cores : MOST;
    if (conf->threads)
        return (unsigned)conf->threads;
    return n < LEAST ? LEAST : n > MOST ? MOST : n;
}

static ps_status listen_at(void *conf, const char *text, const char *origin)
{
    ps_conf_listen *at = &((ps_server_conf *)conf)->listen;
    return ps_conf_parse_endpoint(text, origin, &at->address, &at->port);
}

static ps_status metrics_at(void *conf, const char *text, const char *origin)
{
    ps_conf_listen *at = &((ps_server_conf *)conf)->metrics.at;
    return ps_conf_parse_endpoint(text, origin, &at->address, &at->port);
}

enum { LISTEN, METRICS, DATA_DIR, LOG_LEVEL, PORT_FILE, CHECK, N_FLAGS };
static const ps_conf_flag flags[N_FLAGS + 1] = {
    [LISTEN] = {"listen", .letter = 'l', .apply = listen_at},
    [METRICS] = {"metrics", .apply = metrics_at},
    [DATA_DIR] = {"data-dir", .letter = 'd', .path = "data_dir"},
    [LOG_LEVEL] = {"log-level", .path = "log.level"},
    [PORT_FILE] = {"port-file"},
    [CHECK] = {"check", .plain = true},
};

static ps_status check_sealing(const ps_server_sealing *s, const ps_conf_doc *doc)
{
    if (*s->kek && ps_key_source_check(s->kek))
        return ps_conf_fail(doc, "sealing.kek", "%s", ps_error_message());
    for (size_t i = 0; i < s->n_previous; i++)
        if (ps_key_source_check(s->previous[i]))
            return ps_conf_fail(doc, "sealing.previous", "%s", ps_error_message());
    ps_age_recipients recipients = {.n = 0};
    for (size_t i = 0; i < s->n_export_recipients; i++)
        if (ps_age_recipients_add(&recipients, s->export_recipients[i]))
            return ps_conf_fail(doc, "sealing.export_recipients", "%s", ps_error_message());
    if (!*s->kek && (s->n_previous || s->require))
        return ps_conf_fail(doc, "sealing.kek", "is needed with sealing.previous and .require");
    return PS_OK;
}

static ps_status check_identity(const ps_server_identity *i, const ps_conf_doc *doc)
{
    if (i->renew && !*i->signer)
        return ps_conf_fail(doc, "identity.signer", "is needed with identity.renew");
    if (*i->signer && ps_issuer_check(i->signer))
        return ps_conf_fail(doc, "identity.signer", "%s", ps_error_message());
    return PS_OK;
}

static ps_status check(const void *conf, const ps_conf_doc *doc)
{
    const ps_server_conf *c = conf;
    if (c->jobs.lease_timeout_ms < 2 * c->jobs.heartbeat_ms)
        return ps_conf_fail(doc, "jobs.lease_timeout",
                            "must be at least twice jobs.heartbeat, or a single late heartbeat "
                            "loses the lease");
    if (c->limits.call_bytes > c->limits.connection_bytes)
        return ps_conf_fail(doc, "limits.call_bytes", "is more than limits.connection_bytes");
    if (c->limits.call_bytes < c->limits.message_bytes)
        return ps_conf_fail(doc, "limits.call_bytes", "is less than limits.message_bytes");
    if (c->audit.size && c->audit.size < 4096)
        return ps_conf_fail(doc, "audit.size", "is 0 (one file for ever) or at least 4KiB");
    size_t least = 2 * ps_most(c->limits.push_bytes, c->limits.message_bytes);
    ps_status st = ps_quota_conf_check(&c->quotas, least, doc);
    if (st)
        return st;
    if (*c->audit.forward && ps_audit_forward_check(c->audit.forward))
        return ps_conf_fail(doc, "audit.forward", "%s", ps_error_message());
    st = check_sealing(&c->sealing, doc);
    return st ? st : check_identity(&c->identity, doc);
}

static const ps_conf_program program = {
    .name = "psd",
    .default_config = DEFAULT_CONFIG,
    .schema = &ps_server_schema,
    .flags = flags,
    .check = check,
};

ps_status ps_server_options_parse(int argc, char **argv, ps_server_options **out)
{
    ps_conf_options said;
    ps_status st = ps_conf_options_parse(&program, argc, argv, &said);
    if (st)
        return st;
    ps_server_options *o = *out = ps_new(ps_server_options);
    o->conf = said.conf;
    o->config_path = said.config_path;
    o->port_file = ps_strdup(said.given[PORT_FILE]);
    if (said.doc) {
        o->listen_origin = ps_conf_options_where(&program, &said, LISTEN, "listen");
        o->metrics_origin = ps_conf_options_where(&program, &said, METRICS, "metrics");
        ps_conf_doc_free(&said.doc);
    }
    o->check = said.given[CHECK] != NULL;
    o->help = said.help;
    o->version = said.version;
    o->argc = argc;
    o->argv = argv;
    return PS_OK;
}

ps_status ps_server_options_reread(const ps_server_options *options, ps_server_conf **out)
{
    ps_conf_options said;
    ps_status st = ps_conf_options_parse(&program, options->argc, options->argv, &said);
    if (st)
        return st;
    *out = said.conf;
    ps_free(&said.config_path);
    ps_conf_doc_free(&said.doc);
    return PS_OK;
}

void ps_server_conf_free(ps_server_conf **conf)
{
    ps_conf_free(&ps_server_schema, *conf);
    *conf = NULL;
}

void ps_server_options_free(ps_server_options **options)
{
    ps_server_options *o = *options;
    if (!o)
        return;
    ps_server_conf_free(&o->conf);
    ps_free(&o->config_path);
    ps_free(&o->listen_origin);
    ps_free(&o->metrics_origin);
    ps_free(&o->port_file);
    ps_free(options);
}

ps_status ps_server_port_file_write(const char *path, int listen_port, int metrics_port)
{
    char text[64];
    int len = snprintf(text, sizeof text, "listen %d\nmetrics %d\n", listen_port, metrics_port);
    ps_status st = ps_new_file_save(path, ps_slice_of(text, (size_t)len),
                                    &(ps_new_file_options){.force = true, .mode = 0644});
    return st ? ps_wrap(st, "port file") : PS_OK;
}
