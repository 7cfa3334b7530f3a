/* Field names in JSON are those of proto/psd/v1/jobs.proto: they do not change. A metric is a field
 * of its name. Cannot fail. */
#include "client/show/job_view.h"

#include "client/show/human.h"
#include "client/show/metrics.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {
    [PSD__V1__JOB_STATE__JOB_STATE_UNSPECIFIED] = "unknown",
    [PSD__V1__JOB_STATE__JOB_STATE_QUEUED] = "queued",
    [PSD__V1__JOB_STATE__JOB_STATE_RUNNING] = "running",
    [PSD__V1__JOB_STATE__JOB_STATE_CANCELLING] = "cancelling",
    [PSD__V1__JOB_STATE__JOB_STATE_DONE] = "done",
    [PSD__V1__JOB_STATE__JOB_STATE_FAILED] = "failed",
    [PSD__V1__JOB_STATE__JOB_STATE_CANCELLED] = "cancelled",
};

const char *ps_job_state_name(int state)
{
    size_t n = sizeof state_names / sizeof *state_names;
    return state >= 0 && (size_t)state < n ? state_names[state] : "unknown";
}

ps_color ps_job_state_color(int state)
{
    switch (state) {
    case PSD__V1__JOB_STATE__JOB_STATE_RUNNING:
        return PS_COLOR_CYAN;
    case PSD__V1__JOB_STATE__JOB_STATE_DONE:
        return PS_COLOR_GREEN;
    case PSD__V1__JOB_STATE__JOB_STATE_FAILED:
        return PS_COLOR_RED;
    case PSD__V1__JOB_STATE__JOB_STATE_CANCELLING:
    case PSD__V1__JOB_STATE__JOB_STATE_CANCELLED:
        return PS_COLOR_YELLOW;
    default:
        return PS_COLOR_NONE;
    }
}

bool ps_job_has_ended(int state)
{
    return state == PSD__V1__JOB_STATE__JOB_STATE_DONE ||
           state == PSD__V1__JOB_STATE__JOB_STATE_FAILED ||
           state == PSD__V1__JOB_STATE__JOB_STATE_CANCELLED;
}

double ps_job_seconds(const Psd__V1__Job *job, int64_t now_ms)
{
    if (job->started_ms == 0)
        return -1;
    int64_t end = job->ended_ms ? job->ended_ms : now_ms;
    return ps_seconds_between(job->started_ms, end);
}

double ps_job_share(const Psd__V1__Job *job)
{
    const Psd__V1__Progress *p = job->progress;
    if (!p || (p->samples_total == 0 && p->tensors_total == 0))
        return -1;
    double rows = p->samples_total ? (double)p->samples / (double)p->samples_total : 1;
    double tensors = p->tensors_total ? (double)p->tensors / (double)p->tensors_total : 1;
    rows = rows > 1 ? 1 : rows;
    tensors = tensors > 1 ? 1 : tensors;
    if (p->samples_total && p->tensors_total)
        return (rows + tensors) / 2;
    return p->tensors_total ? tensors : rows;
}

/* A phase is psd's word, and may be any. */
const char *ps_job_stage(const Psd__V1__Progress *p, char out[PS_JOB_STAGE])
{
    out[0] = '\0';
    if (!*p->phase && p->epochs)
        (void)snprintf(out, PS_JOB_STAGE, "epoch %u/%u", p->epoch, p->epochs);
    else if (strcmp(p->phase, "calibrating") == 0)
        (void)snprintf(out, PS_JOB_STAGE, "calibrating %u/%u", p->epoch, p->epochs);
    else if (strcmp(p->phase, "solving") == 0)
        (void)snprintf(out, PS_JOB_STAGE, "solving %u/%u", p->tensors, p->tensors_total);
    else
        (void)snprintf(out, PS_JOB_STAGE, "%.20s", p->phase);
    ps_text_clean(out);
    return out;
}

static ps_metrics metrics_of(const Psd__V1__Progress *p)
{
    return (ps_metrics){.list = p->metrics, .n = p->n_metrics};
}

static ps_metrics test_metrics_of(const Psd__V1__Progress *p)
{
    return (ps_metrics){.list = p->test_metrics, .n = p->n_test_metrics};
}

/* Lists ---------------------------------------------------------------------------------------- */

const char *const ps_job_headers[] = {">ID",   "NAME", "KIND", "STATE",  ">DONE", ">LOSS",
                                      ">TEST", "AGE",  "BY",   "REASON", NULL};

void ps_job_row(ps_table *table, const Psd__V1__Job *job, int64_t now_ms)
{
    const Psd__V1__Progress *p = job->progress;
    double share = ps_job_share(job);
    ps_table_printf(table, "%" PRIu64, job->id);
    ps_table_text(table, job->name);
    ps_table_text(table, job->kind);
    ps_table_color(table, ps_job_state_color(job->state), ps_job_state_name(job->state));
    if (share >= 0)
        ps_table_printf(table, "%.0f%%", share * 100);
    else
        ps_table_text(table, "");
    if (p && p->has_loss)
        ps_table_text(table, ps_human_value(p->loss).text);
    else
        ps_table_text(table, "");
    if (p && p->has_test)
        ps_metrics_test_cell(table, test_metrics_of(p), p->test_loss);
    else
        ps_table_text(table, "");
    double age = floor(ps_seconds_between(job->submitted_ms, now_ms));
    ps_table_text(table, ps_human_duration(age).text);
    ps_table_text(table, ps_human_holder(job->submitter));
    ps_table_text(table, job->reason);
}

/* One job -------------------------------------------------------------------------------------- */

static void progress_fields(ps_table *t, const Psd__V1__Progress *p, double share)
{
    if (*p->phase)
        ps_table_field(t, "phase", "%.20s", p->phase);
    if (p->epochs)
        ps_table_field(t, p->tensors_total ? "window" : "epoch", "%u of %u", p->epoch, p->epochs);
    if (p->tensors_total)
        ps_table_field(t, "tensors", "%u of %u", p->tensors, p->tensors_total);
    if (share >= 0 && p->samples_total)
        ps_table_field(t, "samples", "%" PRIu64 " of %" PRIu64 " (%.0f%%)", p->samples,
                       p->samples_total, share * 100);
    if (p->steps) {
        ps_table_field(t, "steps", "%" PRIu64, p->steps);
        if (p->has_loss)
            ps_table_field(t, "loss", "%s", ps_human_value(p->loss).text);
        ps_metrics_fields(t, "", metrics_of(p));
        ps_table_field(t, "staleness", "%.1f on average, %" PRIu64 " at most", p->staleness_mean,
                       p->staleness_max);
    }
    if (p->has_test) {
        ps_table_field(t, "test loss", "%s", ps_human_value(p->test_loss).text);
        ps_metrics_fields(t, "test ", test_metrics_of(p));
    }
}

static void rate_fields(ps_table *t, const Psd__V1__Progress *p)
{
    ps_table_field(t, "speed", "%s samples/s", ps_human_count(p->samples_per_second).text);
    ps_table_field(t, "network", "%s/s in, %s/s out", ps_human_bytes(p->bytes_in_per_second).text,
                   ps_human_bytes(p->bytes_out_per_second).text);
    ps_table_field(t, "workers", "%u", p->workers);
    if (p->eta_seconds >= 0)
        ps_table_field(t, "time left", "%s", ps_human_duration(p->eta_seconds).text);
}

void ps_job_fields(ps_table *table, const Psd__V1__Job *job, int64_t now_ms)
{
    ps_table *t = table;
    ps_table_field(t, "job", "%" PRIu64, job->id);
    ps_table_field(t, "name", "%s", job->name);
    ps_table_field(t, "kind", "%s", job->kind);
    ps_table_color(t, PS_COLOR_DIM, "state");
    ps_table_color(t, ps_job_state_color(job->state), ps_job_state_name(job->state));
    ps_table_field(t, "reason", "%s", job->reason);
    ps_table_field(t, "submitter", "%s", job->submitter);
    ps_table_field(t, "submitted", "%s", ps_human_time(job->submitted_ms).text);
    if (job->started_ms)
        ps_table_field(t, "started", "%s", ps_human_time(job->started_ms).text);
    if (job->ended_ms)
        ps_table_field(t, "ended", "%s", ps_human_time(job->ended_ms).text);
    double seconds = ps_job_seconds(job, now_ms);
    if (seconds >= 0)
        ps_table_field(t, job->ended_ms ? "took" : "running for", "%s",
                       ps_human_duration(seconds).text);
    if (job->progress)
        progress_fields(t, job->progress, ps_job_share(job));
    if (job->progress && job->state == PSD__V1__JOB_STATE__JOB_STATE_RUNNING)
        rate_fields(t, job->progress);
    ps_table_field(t, "result", "%s", job->result);
}

/* JSON ----------------------------------------------------------------------------------------- */

static void progress_json(ps_json_writer *w, const Psd__V1__Progress *p)
{
    ps_json_object(w);
    if (*p->phase) {
        ps_json_put_string(w, "phase", p->phase);
        ps_json_put_uint(w, "tensors", p->tensors);
        ps_json_put_uint(w, "tensors_total", p->tensors_total);
    }
    ps_json_put_uint(w, "epoch", p->epoch);
    ps_json_put_uint(w, "epochs", p->epochs);
    ps_json_put_uint(w, "samples", p->samples);
    ps_json_put_uint(w, "samples_total", p->samples_total);
    ps_json_put_uint(w, "steps", p->steps);
    ps_json_put_double(w, "samples_per_second", p->samples_per_second);
    ps_json_key(w, "loss");
    if (p->has_loss)
        ps_json_double(w, p->loss);
    else
        ps_json_null(w);
    ps_metrics_json(w, "", metrics_of(p));
    if (p->has_test) {
        ps_json_put_double(w, "test_loss", p->test_loss);
        ps_metrics_json(w, "test_", test_metrics_of(p));
    }
    ps_json_put_double(w, "bytes_in_per_second", p->bytes_in_per_second);
    ps_json_put_double(w, "bytes_out_per_second", p->bytes_out_per_second);
    ps_json_put_double(w, "staleness_mean", p->staleness_mean);
    ps_json_put_uint(w, "staleness_max", p->staleness_max);
    ps_json_put_uint(w, "workers", p->workers);
    ps_json_key(w, "eta_seconds");
    if (p->eta_seconds >= 0)
        ps_json_double(w, p->eta_seconds);
    else
        ps_json_null(w);
    ps_json_object_end(w);
}

void ps_job_json(ps_json_writer *w, const Psd__V1__Job *job)
{
    ps_json_object(w);
    ps_json_put_uint(w, "id", job->id);
    ps_json_put_string(w, "name", job->name);
    ps_json_put_string(w, "kind", job->kind);
    ps_json_put_string(w, "state", ps_job_state_name(job->state));
    ps_json_put_string(w, "reason", job->reason);
    ps_json_put_string(w, "submitter", job->submitter);
    ps_json_put_int(w, "submitted_ms", job->submitted_ms);
    ps_json_put_int(w, "started_ms", job->started_ms);
    ps_json_put_int(w, "ended_ms", job->ended_ms);
    if (*job->spec)
        ps_json_put_string(w, "spec", job->spec);
    if (job->progress) {
        ps_json_key(w, "progress");
        progress_json(w, job->progress);
    }
    ps_json_key(w, "result");
    ps_json_embed(w, job->result);
    ps_json_object_end(w);
}
