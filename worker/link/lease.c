/* A log line goes out with the numbers that have been added up before it. Of too many lines the
 * oldest go; numbers are never dropped. */
#include "worker/link/lease.h"

#include "common/base/mem.h"
#include "common/base/require.h"

#include <string.h>

ps_task_lease *ps_task_lease_new(const Psd__V1__Task *task)
{
    ps_task_lease *l = ps_new(ps_task_lease);
    ps_list_init(&l->link);
    l->id = task->lease_id;
    psd__v1__task_progress__init(&l->progress);
    l->progress.lease_id = l->id;
    l->progress.position = task->row_begin;
    psd__v1__output__init(&l->output);
    l->output.first = task->n_said;
    return l;
}

void ps_task_lease_free(ps_task_lease *l)
{
    ps_list_remove(&l->link);
    for (size_t i = 0; i < l->log_count; i++)
        psd__v1__log_event__free_unpacked(l->logs[i], NULL);
    if (l->result)
        psd__v1__task_result__free_unpacked(l->result, NULL);
    ps_free(&l->output.tokens);
    ps_free(&l);
}

static void keep_log(ps_task_lease *l, const Psd__V1__LogEvent *log)
{
    PS_REQUIRE(l->log_count <= PS_LEASE_LOGS);
    if (l->log_count == PS_LEASE_LOGS) {
        psd__v1__log_event__free_unpacked(l->logs[0], NULL);
        for (size_t i = 1; i < l->log_count; i++)
            l->logs[i - 1] = l->logs[i];
        l->log_count--;
    }
    Psd__V1__LogEvent *copy = ps_new(Psd__V1__LogEvent);
    psd__v1__log_event__init(copy);
    copy->time_ms = log->time_ms;
    copy->level = log->level;
    copy->source = ps_strdup(log->source);
    copy->text = ps_strdup(log->text);
    l->logs[l->log_count++] = copy;
}

void ps_task_lease_add(ps_task_lease *l, const Psd__V1__TaskProgress *report)
{
    PS_REQUIRE(report->lease_id == l->id);
    if (report->position > l->progress.position)
        l->progress.position = report->position;
    l->progress.samples += report->samples;
    l->progress.steps += report->steps;
    l->progress.rows_total = report->rows_total;
    l->progress.loss_sum += report->loss_sum;
    ps_metric_list_add_messages(&l->metric_sums, report->metric_sums, report->n_metric_sums);
    l->has_progress = true;
    if (report->log)
        keep_log(l, report->log);
}

void ps_task_lease_generated(ps_task_lease *l, const Psd__V1__Output *more)
{
    size_t n = l->output.n_tokens + more->n_tokens;
    if (n > l->output_capacity) {
        l->output_capacity = 2 * n;
        l->output.tokens =
            ps_realloc(l->output.tokens, l->output_capacity * sizeof *l->output.tokens);
    }
    memcpy(l->output.tokens + l->output.n_tokens, more->tokens,
           more->n_tokens * sizeof *more->tokens);
    l->output.n_tokens = n;
}

void ps_task_lease_unsend(ps_task_lease *l)
{
    l->sent = false;
    l->output_sent = 0;
}

typedef struct outlet {
    void (*send)(void *user, const Psd__V1__WorkerMessage *message);
    void *user;
} outlet;

static void send_progress(ps_task_lease *l, const outlet *out, Psd__V1__LogEvent *log)
{
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_PROGRESS;
    ps_metric_view metrics;
    l->progress.n_metric_sums = ps_metric_list_view(&l->metric_sums, &metrics);
    l->progress.metric_sums = metrics.list;
    l->progress.log = log;
    message.progress = &l->progress;
    out->send(out->user, &message);
    uint64_t position = l->progress.position;
    psd__v1__task_progress__init(&l->progress);
    l->progress.lease_id = l->id;
    l->progress.position = position;
    l->metric_sums.count = 0;
    l->has_progress = false;
}

static void send_output(ps_task_lease *l, const outlet *out)
{
    PS_REQUIRE(l->output_sent <= l->output.n_tokens);
    if (l->output_sent == l->output.n_tokens)
        return;
    Psd__V1__Output rest = l->output;
    rest.first += l->output_sent;
    rest.tokens += l->output_sent;
    rest.n_tokens -= l->output_sent;
    Psd__V1__TaskOutput output = PSD__V1__TASK_OUTPUT__INIT;
    output.lease_id = l->id;
    output.output = &rest;
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_OUTPUT;
    message.output = &output;
    out->send(out->user, &message);
    l->output_sent = l->output.n_tokens;
}

void ps_task_lease_flush(ps_task_lease *l,
                         void (*send)(void *user, const Psd__V1__WorkerMessage *message),
                         void *user, uint64_t now_ms)
{
    const outlet out = {.send = send, .user = user};
    for (size_t i = 0; i < l->log_count; i++) {
        send_progress(l, &out, l->logs[i]);
        psd__v1__log_event__free_unpacked(l->logs[i], NULL);
    }
    l->log_count = 0;
    if (l->has_progress)
        send_progress(l, &out, NULL);
    send_output(l, &out);
    if (!l->result || l->sent)
        return;
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_RESULT;
    message.result = l->result;
    send(user, &message);
    l->sent = true;
    l->sent_ms = now_ms;
}

void ps_task_refuse(const Psd__V1__Task *task, ps_status code, const char *why,
                    void (*send)(void *user, const Psd__V1__WorkerMessage *message), void *user)
{
    Psd__V1__TaskResult result;
    psd__v1__task_result__init(&result);
    result.lease_id = task->lease_id;
    result.code = ps_status_grpc(code);
    result.message = (char *)(uintptr_t)why; /* only read */
    result.retry = true;
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_RESULT;
    message.result = &result;
    send(user, &message);
}
