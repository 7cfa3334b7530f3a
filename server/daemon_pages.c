/* The pages of the second listener. All of them read counters that are safe from any thread. */
#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/daemon_internal.h"
#include "server/metrics/exposition.h"

#include <stdio.h>

static void rpc_metrics(ps_daemon *d, ps_buf *out)
{
    ps_rpc_stats s;
    ps_rpc_server_stats(d->server, &s);
    ps_metric_gauge(out, "psd_connections", "Open gRPC connections.", (double)s.connections);
    ps_metric_counter(out, "psd_connections_total", "gRPC connections accepted.",
                      (double)s.connections_total);
    ps_metric_counter(out, "psd_handshakes_refused_total", "TLS handshakes refused.",
                      (double)s.handshakes_refused);
    ps_metric_counter(out, "psd_calls_total", "Calls begun.", (double)s.calls);
    ps_metric_counter(out, "psd_calls_refused_total", "Calls refused by the policy.",
                      (double)s.calls_refused);
    ps_metric_counter(out, "psd_received_bytes_total", "Bytes of messages received.",
                      (double)s.bytes_in);
    ps_metric_counter(out, "psd_sent_bytes_total", "Bytes of messages sent.", (double)s.bytes_out);
    ps_metric_counter(out, "psd_messages_received_total", "Messages received.",
                      (double)s.messages_in);
    ps_metric_counter(out, "psd_messages_sent_total", "Messages sent.", (double)s.messages_out);
    ps_metric_gauge(out, "psd_message_memory_bytes", "Memory held for messages.",
                    (double)s.memory_used);
    ps_metric_counter(out, "psd_pushes_total", "Pushes acknowledged.",
                      (double)atomic_load(&d->services.pushes));
    ps_metric_counter(out, "psd_pulls_total", "Pulls begun.",
                      (double)atomic_load(&d->services.pulls));
}

static void sched_metrics(ps_daemon *d, ps_buf *out)
{
    ps_sched_counts c;
    ps_sched_count(d->sched, &c);
    ps_metric_describe(out, "psd_jobs", "gauge", "Jobs that have not ended, by state.");
    ps_metric_sample(out, "psd_jobs", "state", "queued", c.queued);
    ps_metric_sample(out, "psd_jobs", "state", "running", c.running);
    ps_metric_sample(out, "psd_jobs", "state", "cancelling", c.cancelling);
    ps_metric_describe(out, "psd_workers", "gauge", "Workers by state.");
    ps_metric_sample(out, "psd_workers", "state", "idle", c.workers_idle);
    ps_metric_sample(out, "psd_workers", "state", "busy", c.workers_busy);
    ps_metric_sample(out, "psd_workers", "state", "silent", c.workers_silent);
    ps_metric_gauge(out, "psd_leases", "Leases of tasks.", c.leases);
    ps_metric_counter(out, "psd_tasks_sent_total", "Tasks given to workers.", (double)c.tasks_sent);
    ps_metric_counter(out, "psd_tasks_done_total", "Tasks done.", (double)c.tasks_done);
    ps_metric_counter(out, "psd_tasks_failed_total", "Tasks that failed.", (double)c.tasks_failed);
    ps_metric_counter(out, "psd_leases_lost_total", "Leases of workers that fell silent.",
                      (double)c.leases_lost);
}

static void state_metrics(ps_daemon *d, ps_buf *out)
{
    ps_lifecycle_stats l;
    ps_lifecycle_count(d->lifecycle, &l);
    ps_metric_counter(out, "psd_checkpoints_total", "Checkpoints written.", (double)l.checkpoints);
    ps_metric_counter(out, "psd_checkpoint_failures_total", "Checkpoints that failed.",
                      (double)l.checkpoint_failures);
    ps_metric_counter(out, "psd_checkpoint_bytes_total", "Bytes of checkpoints written.",
                      (double)l.checkpoint_bytes);
    ps_metric_gauge(out, "psd_checkpoint_pause_seconds",
                    "How long the last checkpoint held off updates.",
                    (double)l.last_pause_ns * 1e-9);
    ps_metric_gauge(out, "psd_parameter_bytes", "Memory of running jobs' parameters.",
                    (double)ps_daemon_parameter_bytes(d));
    ps_audit_stats a;
    ps_audit_get_stats(d->audit, &a);
    ps_metric_counter(out, "psd_audit_lines_total", "Lines of the audit log.", (double)a.written);
    ps_metric_counter(out, "psd_audit_suppressed_total", "Audit lines counted, not written.",
                      (double)a.suppressed);
    ps_metric_counter(out, "psd_log_lines_dropped_total", "Lines of the log dropped, not written.",
                      (double)ps_log_dropped());
    ps_tls_context *tls = ps_tls_holder_get(d->tls);
    ps_metric_gauge(out, "psd_certificate_expires_seconds",
                    "When the certificate ends, seconds since 1970.",
                    (double)ps_tls_context_not_after(tls));
    ps_tls_context_unref(&tls);
    ps_metric_gauge(out, "psd_start_time_seconds", "When psd started, seconds since 1970.",
                    (double)d->started_ms * 1e-3);
}

static void job_metrics(ps_daemon *d, ps_buf *out)
{
    size_t n;
    uint64_t *jobs = ps_runs_list(d->runs, &n);
    ps_metric_describe(out, "psd_job_updates", "gauge", "Updates applied, by running job.");
    for (size_t i = 0; i < n; i++) {
        ps_run *run = ps_runs_get(d->runs, jobs[i]);
        char label[24];
        (void)snprintf(label, sizeof label, "%llu", (unsigned long long)jobs[i]);
        if (run)
            ps_metric_sample(out, "psd_job_updates", "job", label,
                             (double)ps_param_store_version(ps_run_store(run)));
        ps_run_unref(&run);
    }
    ps_free(&jobs);
}

static unsigned metrics_page(void *user, ps_buf *out)
{
    rpc_metrics(user, out);
    sched_metrics(user, out);
    state_metrics(user, out);
    job_metrics(user, out);
    return 200;
}

static unsigned health_page(void *user, ps_buf *out)
{
    ps_daemon *d = user;
    if (!ps_health_check(&d->health, out))
        return 503;
    ps_buf_puts(out, "ok\n");
    return 200;
}

static unsigned ready_page(void *user, ps_buf *out)
{
    ps_daemon *d = user;
    bool ready = atomic_load(&d->ready) && !atomic_load(&d->draining);
    ps_buf_puts(out, ready ? "ready\n" : atomic_load(&d->draining) ? "draining\n" : "starting\n");
    return ready ? 200 : 503;
}

const ps_http_page ps_daemon_pages[] = {
    {.path = "/metrics", .content_type = "text/plain; version=0.0.4", .render = metrics_page},
    {.path = "/healthz", .content_type = "text/plain; charset=utf-8", .render = health_page},
    {.path = "/readyz", .content_type = "text/plain; charset=utf-8", .render = ready_page},
    {0},
};
