/* The page /metrics. A metric without labels is a row of a table below, one of each running job a
 * row of JOB_ROWS. All of it reads counters that are safe from any thread, but for the jobs, which
 * are copied under the scheduler's mutex. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/seal/seal_memory.h"
#include "server/daemon_internal.h"
#include "server/metrics/exposition.h"
#include "server/metrics/process.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

/* ---- metrics without labels ---- */

static void rpc_metrics(ps_daemon *d, ps_buf *out)
{
    ps_rpc_stats s;
    ps_rpc_server_stats(d->server, &s);
    const ps_metric_row rows[] = {
        {"psd_open_connections", "gauge", "Open gRPC connections.", (double)s.connections},
        {"psd_connections_total", "counter", "gRPC connections accepted.",
         (double)s.connections_total},
        {"psd_connections_pq_total", "counter",
         "gRPC connections whose key was agreed on by X25519MLKEM768.", (double)s.connections_pq},
        {"psd_handshakes_refused_total", "counter", "TLS handshakes refused.",
         (double)s.handshakes_refused},
        {"psd_calls_total", "counter", "Calls begun.", (double)s.calls},
        {"psd_calls_refused_total", "counter", "Calls refused by the policy.",
         (double)s.calls_refused},
        {"psd_received_bytes_total", "counter", "Bytes of messages received.", (double)s.bytes_in},
        {"psd_sent_bytes_total", "counter", "Bytes of messages sent.", (double)s.bytes_out},
        {"psd_messages_received_total", "counter", "Messages received.", (double)s.messages_in},
        {"psd_messages_sent_total", "counter", "Messages sent.", (double)s.messages_out},
        {"psd_message_memory_bytes", "gauge", "Memory held for messages.", (double)s.memory_used},
        {"psd_message_memory_limit_bytes", "gauge", "Memory that messages may take.",
         (double)d->memory_budget},
        {"psd_pushes_total", "counter", "Pushes acknowledged.",
         (double)atomic_load(&d->services.pushes)},
        {"psd_pulls_total", "counter", "Pulls begun.", (double)atomic_load(&d->services.pulls)},
        {0},
    };
    ps_metric_put(out, rows);
}

static void sched_metrics(const ps_sched_counts *c, ps_buf *out)
{
    const ps_metric_row rows[] = {
        {"psd_queue_oldest_seconds", "gauge",
         "How long the oldest queued job has waited; 0: none waits.",
         (double)c->oldest_queued_ms * 1e-3},
        {"psd_leases", "gauge", "Leases of tasks.", c->leases},
        {"psd_tasks_sent_total", "counter", "Tasks given to workers.", (double)c->tasks_sent},
        {"psd_tasks_done_total", "counter", "Tasks done.", (double)c->tasks_done},
        {"psd_tasks_failed_total", "counter", "Tasks that failed.", (double)c->tasks_failed},
        {"psd_leases_lost_total", "counter", "Leases of workers that fell silent.",
         (double)c->leases_lost},
        {0},
    };
    ps_metric_put(out, rows);
}

/* Of what is kept: parameters, checkpoints, the disk, the audit log, the log. */
static void kept_metrics(ps_daemon *d, ps_buf *out)
{
    ps_lifecycle_stats l;
    ps_audit_stats a;
    struct statvfs fs = {0};
    ps_lifecycle_count(d->lifecycle, &l);
    ps_audit_get_stats(d->audit, &a);
    double unit = statvfs(d->conf->data_dir, &fs) == 0 ? (double)fs.f_frsize : NAN;
    const ps_metric_row rows[] = {
        {"psd_checkpoints_total", "counter", "Checkpoints written.", (double)l.checkpoints},
        {"psd_checkpoint_failures_total", "counter", "Checkpoints that failed.",
         (double)l.checkpoint_failures},
        {"psd_checkpoint_bytes_total", "counter", "Bytes of checkpoints written.",
         (double)l.checkpoint_bytes},
        {"psd_checkpoint_pause_seconds", "gauge", "How long the last checkpoint held off updates.",
         (double)l.last_pause_ns * 1e-9},
        {"psd_parameter_bytes", "gauge", "Memory of running jobs' parameters.",
         (double)ps_daemon_parameter_bytes(d)},
        {"psd_sealed_files_bytes", "gauge", "Memory that open sealed files hold.",
         (double)ps_seal_memory_held()},
        {"psd_data_dir_free_bytes", "gauge", "Free space where data_dir is.",
         (double)fs.f_bavail * unit},
        {"psd_data_dir_size_bytes", "gauge", "Size of the file system where data_dir is.",
         (double)fs.f_blocks * unit},
        {"psd_audit_lines_total", "counter", "Lines of the audit log.", (double)a.written},
        {"psd_audit_seq", "gauge", "Number of the audit log's last line.",
         (double)ps_audit_get_head(d->audit).seq},
        {"psd_audit_anchored_seq", "gauge", "Number of the audit log's last signed line.",
         (double)a.anchored},
        {"psd_audit_forwarded_total", "counter", "Audit lines sent to syslog or the journal.",
         (double)a.forwarded},
        {"psd_audit_forward_lost_total", "counter", "Audit lines that did not get there.",
         (double)a.forward_lost},
        {"psd_audit_suppressed_total", "counter", "Audit lines counted, not written.",
         (double)a.suppressed},
        {"psd_audit_failed_total", "counter", "Audit lines that could not be written.",
         (double)a.failed},
        {"psd_log_lines_dropped_total", "counter", "Lines of the log dropped, not written.",
         (double)ps_log_dropped()},
        {0},
    };
    ps_metric_put(out, rows);
}

/* What is in force and how long it still is, by what tells it from the one before. */
static void tls_metrics(ps_daemon *d, const ps_tls_dates *dates, ps_buf *out)
{
    static const char name[] = "psd_tls_remaining_seconds";
    double now = (double)(ps_clock_wall_ms(&d->clock) / 1000);
    ps_metric_describe(out, name, "gauge",
                       "How long the certificate, its CA's, and the CRL (tls.crl) in force still "
                       "are, with serial or CRL number.");
    ps_metric_sample(out, name, PS_LABELS({"of", "certificate"}, {"serial", dates->own_serial}),
                     (double)dates->own_not_after - now);
    ps_metric_sample(out, name, PS_LABELS({"of", "ca"}, {"serial", dates->ca_serial}),
                     (double)dates->ca_not_after - now);
    if (!dates->crl_file)
        return;
    ps_metric_sample(out, name, PS_LABELS({"of", "crl"}, {"serial", dates->crl_number}),
                     (double)dates->crl_next_update - now);
    ps_metric_describe(out, "psd_crl_entries", "gauge",
                       "Revoked certificates in the CRL in force.");
    ps_metric_sample(out, "psd_crl_entries", NULL, (double)dates->crl_entries);
}

static void own_metrics(ps_daemon *d, ps_buf *out)
{
    ps_tls_context *tls = ps_tls_holder_get(d->tls);
    ps_tls_dates dates = ps_tls_context_dates(tls);
    const ps_metric_row rows[] = {
        {"psd_ready", "gauge", "1 when /readyz says ready.", ps_daemon_is_ready(d)},
        {"psd_certificate_start_timestamp_seconds", "gauge",
         "When psd's certificate began, seconds since 1970.", (double)dates.own_not_before},
        {"psd_certificate_expiry_timestamp_seconds", "gauge",
         "When psd's certificate ends, seconds since 1970.", (double)dates.own_not_after},
        {"psd_ca_certificate_expiry_timestamp_seconds", "gauge",
         "When the CA that signed it ends, seconds since 1970.", (double)dates.ca_not_after},
        {0},
    };
    ps_metric_put(out, rows);
    ps_metric_describe(out, "psd_build_info", "gauge", "1, with the version that runs.");
    ps_metric_sample(out, "psd_build_info",
                     PS_LABELS({"version", d->version}, {"cluster", d->cluster}), 1);
    tls_metrics(d, &dates, out);
    ps_tls_context_unref(&tls); /* the texts are its */
}

/* ---- calls ---- */

#define METHOD_LABELS(service, method) \
    {"grpc_service", service},         \
    {                                  \
        "grpc_method", method          \
    }

static void started_cb(void *out, const char *service, const char *method,
                       const ps_call_stats *stats)
{
    ps_metric_sample(out, "grpc_server_started_total", PS_LABELS(METHOD_LABELS(service, method)),
                     (double)stats->started);
}

static const char *status_name(unsigned grpc)
{
    static const char *const names[PS_CALL_STATUSES] = {
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    };
    return names[grpc];
}

/* OK always, so that a rate has a beginning; the others once they have happened. */
static void handled_cb(void *out, const char *service, const char *method,
                       const ps_call_stats *stats)
{
    for (unsigned i = 0; i < PS_CALL_STATUSES; i++)
        if (i == 0 || stats->ended[i])
            ps_metric_sample(
                out, "grpc_server_handled_total",
                PS_LABELS(METHOD_LABELS(service, method), {"grpc_code", status_name(i)}),
                (double)stats->ended[i]);
}

static void handling_cb(void *out, const char *service, const char *method,
                        const ps_call_stats *stats)
{
    uint64_t counts[PS_CALL_BOUNDS + 1];
    if (stats->started == 0)
        return;
    for (size_t i = 0; i <= PS_CALL_BOUNDS; i++)
        counts[i] = stats->took[i];
    ps_metric_histogram h = {.bounds = ps_call_bounds,
                             .counts = counts,
                             .n_bounds = PS_CALL_BOUNDS,
                             .sum = (double)stats->took_ns * 1e-9};
    ps_metric_distribution(out, "grpc_server_handling_seconds",
                           PS_LABELS(METHOD_LABELS(service, method)), &h);
}

/* By the names of the interceptors that people know from Go, so that their dashboards fit. */
static void call_metrics(ps_daemon *d, ps_buf *out)
{
    ps_metric_describe(out, "grpc_server_started_total", "counter", "Calls begun, by method.");
    ps_rpc_server_each_method(d->server, started_cb, out);
    ps_metric_describe(out, "grpc_server_handled_total", "counter",
                       "Calls ended, by method and status.");
    ps_rpc_server_each_method(d->server, handled_cb, out);
    ps_metric_describe(out, "grpc_server_handling_seconds", "histogram",
                       "How long calls took from their headers to their end, by method.");
    ps_rpc_server_each_method(d->server, handling_cb, out);
}

/* ---- quotas: labels of the table's rows and the roles, never of identities ---- */

static void full_metrics(ps_daemon *d, ps_buf *out)
{
    static const char name[] = "psd_quota_full_identities";
    size_t n, full[PS_QUOTAS] = {0};
    ps_quota_account_use *all = ps_quotas_look_all(d->quotas, &n);
    for (size_t i = 0; i < n; i++)
        for (ps_quota q = 0; q < PS_QUOTAS; q++)
            full[q] += all[i].of[q].limit && all[i].of[q].used >= all[i].of[q].limit;
    ps_free(&all);
    ps_metric_describe(out, name, "gauge", "Identities that use all of a quota, by quota.");
    for (ps_quota q = 0; q < PS_QUOTAS; q++)
        ps_metric_sample(out, name, PS_LABELS({"quota", ps_quota_key(q)}), (double)full[q]);
}

static void quota_metrics(ps_daemon *d, ps_buf *out)
{
    static const char name[] = "psd_quota_refused_total";
    full_metrics(d, out);
    ps_metric_describe(out, name, "counter",
                       "What was refused because a quota was used up, by quota and role.");
    for (ps_quota q = 0; q < PS_QUOTAS; q++)
        for (ps_role role = PS_ROLE_NONE; role < PS_ROLE_COUNT; role++)
            if (PS_ROLES_CLIENTS & PS_ROLE_BIT(role))
                ps_metric_sample(
                    out, name, PS_LABELS({"quota", ps_quota_key(q)}, {"role", ps_role_name(role)}),
                    (double)ps_quotas_refused(d->quotas, q, role));
}

/* ---- jobs, workers ---- */

static void state_metrics(const ps_sched_counts *c, ps_buf *out)
{
    ps_metric_describe(out, "psd_jobs", "gauge", "Jobs that have not ended, by state.");
    ps_metric_sample(out, "psd_jobs", PS_LABELS({"state", "queued"}), c->queued);
    ps_metric_sample(out, "psd_jobs", PS_LABELS({"state", "running"}), c->running);
    ps_metric_sample(out, "psd_jobs", PS_LABELS({"state", "cancelling"}), c->cancelling);
    ps_metric_describe(out, "psd_workers", "gauge",
                       "Workers by state; one that was stopped in order is in none.");
    ps_metric_sample(out, "psd_workers", PS_LABELS({"state", "idle"}), c->workers_idle);
    ps_metric_sample(out, "psd_workers", PS_LABELS({"state", "busy"}), c->workers_busy);
    ps_metric_sample(out, "psd_workers", PS_LABELS({"state", "draining"}), c->workers_draining);
    ps_metric_sample(out, "psd_workers", PS_LABELS({"state", "silent"}), c->workers_silent);
}

/* type, name, is there one?, value, help: of the job's record r and, where there is one, its run */
#define JOB_ROWS(X)                                                                               \
    X(counter, psd_job_updates_total, run, ps_param_store_version(ps_run_store(run)),             \
      "Updates applied to the parameters.")                                                       \
    X(gauge, psd_job_parameter_bytes, run, ps_param_store_bytes(ps_run_store(run)),               \
      "Memory of parameters and optimizer state.")                                                \
    X(counter, psd_job_samples_total, true, r->progress.samples, "Rows trained, of all epochs.")  \
    X(gauge, psd_job_planned_samples, r->progress.samples_total, r->progress.samples_total,       \
      "Rows to train, of all epochs.")                                                            \
    X(gauge, psd_job_epoch, r->progress.epoch, r->progress.epoch, "The epoch under way, from 1.") \
    X(gauge, psd_job_loss, r->progress.has_loss, r->progress.loss,                                \
      "Mean training loss of the last seconds.")                                                  \
    X(gauge, psd_job_test_loss, r->progress.has_test, r->progress.test_loss,                      \
      "Loss on the test data, of the last evaluation.")                                           \
    X(gauge, psd_job_workers, true, r->progress.workers, "Workers that hold tasks of the job.")   \
    X(gauge, psd_job_staleness_mean_updates, run, r->progress.staleness_mean,                     \
      "Updates between a gradient's pull and its push, mean.")                                    \
    X(gauge, psd_job_staleness_max_updates, run, r->progress.staleness_max,                       \
      "Updates between a gradient's pull and its push, the most.")                                \
    X(gauge, psd_job_checkpoint_timestamp_seconds, run &&ps_run_saved_ms(run),                    \
      (double)ps_run_saved_ms(run) * 1e-3,                                                        \
      "When the last checkpoint was written, seconds since 1970.")

/* False: it has none. */
#define JOB_VALUE(type, name, has, expression, help)                           \
    static bool name(const ps_job_record *r, const ps_run *run, double *value) \
    {                                                                          \
        if (!(has))                                                            \
            return false;                                                      \
        *value = (double)(expression);                                         \
        return true;                                                           \
    }
JOB_ROWS(JOB_VALUE)

typedef struct job_metric {
    const char *name, *type, *help;
    bool (*value)(const ps_job_record *r, const ps_run *run, double *value);
} job_metric;

#define JOB_METRIC(type, name, has, expression, help) {#name, #type, help, name},
static const job_metric job_metrics_table[] = {JOB_ROWS(JOB_METRIC)};

typedef struct labelled_job {
    ps_job_record *record;
    ps_run *run; /* NULL: it has no parameters */
    char id[24];
} labelled_job;

#define JOB_LABELS(job)                 \
    {"job_id", (job)->id},              \
    {                                   \
        "job_name", (job)->record->name \
    }

static void put_job_metric(ps_buf *out, const job_metric *metric, const labelled_job *jobs,
                           size_t n)
{
    ps_metric_describe(out, metric->name, metric->type, metric->help);
    for (size_t i = 0; i < n; i++) {
        double value;
        if (metric->value(jobs[i].record, jobs[i].run, &value))
            ps_metric_sample(out, metric->name, PS_LABELS(JOB_LABELS(&jobs[i])), value);
    }
}

/* Those that a model has beside its loss: accuracy, perplexity. */
static void put_model_metrics(ps_buf *out, const char *name, const char *help, bool of_test,
                              const labelled_job *jobs, size_t n)
{
    ps_metric_describe(out, name, "gauge", help);
    for (size_t i = 0; i < n; i++) {
        const ps_job_record *r = jobs[i].record;
        const ps_metric_list *list = of_test ? &r->test_metrics : &r->metrics;
        for (size_t m = 0; m < list->count; m++)
            ps_metric_sample(out, name,
                             PS_LABELS(JOB_LABELS(&jobs[i]), {"metric", list->at[m].name}),
                             list->at[m].value);
    }
}

static void job_metrics(ps_daemon *d, ps_buf *out)
{
    size_t n;
    ps_job_record **records = ps_sched_running(d->sched, &n);
    labelled_job *jobs = ps_alloc_array(n + 1, sizeof *jobs);
    for (size_t i = 0; i < n; i++) {
        jobs[i].record = records[i];
        jobs[i].run = ps_runs_get(d->runs, records[i]->id);
        (void)snprintf(jobs[i].id, sizeof jobs[i].id, "%" PRIu64, records[i]->id);
    }
    for (size_t i = 0; i < sizeof job_metrics_table / sizeof *job_metrics_table; i++)
        put_job_metric(out, &job_metrics_table[i], jobs, n);
    put_model_metrics(out, "psd_job_metric", "What else is measured in training, by name.", false,
                      jobs, n);
    put_model_metrics(out, "psd_job_test_metric",
                      "What else is measured on the test data, by name.", true, jobs, n);
    for (size_t i = 0; i < n; i++)
        ps_run_unref(&jobs[i].run);
    ps_free(&jobs);
    ps_job_records_free(&records);
}

/* Workers have no page of their own. */
static void certificate_metric(const ps_worker_info *all, size_t n, bool ends, ps_buf *out)
{
    const char *name = ends ? "psd_worker_certificate_expiry_timestamp_seconds"
                            : "psd_worker_certificate_start_timestamp_seconds";
    ps_metric_describe(out, name, "gauge",
                       ends ? "When the certificate that a worker is attached with, or its CA, "
                              "ends, seconds since 1970."
                            : "When the certificate that a worker is attached with began, seconds "
                              "since 1970.");
    for (size_t i = 0; i < n; i++) {
        const ps_worker_info *w = &all[i];
        int64_t ms = ends ? w->certificate_expires_ms : w->certificate_starts_ms;
        if (strcmp(w->state, "silent") != 0 && strcmp(w->state, "left") != 0)
            ps_metric_sample(out, name, PS_LABELS({"worker", w->name}), (double)ms * 1e-3);
    }
}

static void certificate_metrics(ps_daemon *d, ps_buf *out)
{
    size_t n;
    ps_worker_info *all = ps_sched_workers(d->sched, "", 0, &n);
    certificate_metric(all, n, false, out);
    certificate_metric(all, n, true, out);
    ps_worker_infos_free(&all, n);
}

unsigned ps_daemon_metrics_page(void *user, ps_buf *out)
{
    ps_daemon *d = user;
    ps_sched_counts counts;
    ps_sched_count(d->sched, &counts);
    own_metrics(d, out);
    rpc_metrics(d, out);
    call_metrics(d, out);
    quota_metrics(d, out);
    sched_metrics(&counts, out);
    state_metrics(&counts, out);
    job_metrics(d, out);
    certificate_metrics(d, out);
    kept_metrics(d, out);
    ps_metric_process(out);
    return 200;
}
