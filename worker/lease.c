/* A log line goes out with the numbers that have been added up before it. Of too many lines the
 * oldest go; numbers are never dropped. */
#include "worker/lease.h"

#include "common/base/mem.h"

ps_task_lease *ps_task_lease_new(const Psd__V1__Task *task)
{
    ps_task_lease *l = ps_new(ps_task_lease);
    ps_list_init(&l->link);
    l->id = task->lease_id;
    psd__v1__task_progress__init(&l->progress);
    l->progress.lease_id = l->id;
    l->progress.position = task->row_begin;
    return l;
}

void ps_task_lease_free(ps_task_lease *l)
{
    ps_list_remove(&l->link);
    for (size_t i = 0; i < l->log_count; i++)
        psd__v1__log_event__free_unpacked(l->logs[i], NULL);
    if (l->result)
        psd__v1__task_result__free_unpacked(l->result, NULL);
    ps_free(&l);
}

static void keep_log(ps_task_lease *l, const Psd__V1__LogEvent *log)
{
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
    if (report->position > l->progress.position)
        l->progress.position = report->position;
    l->progress.samples += report->samples;
    l->progress.steps += report->steps;
    l->progress.loss_sum += report->loss_sum;
    ps_metric_list_add_messages(&l->metric_sums, report->metric_sums, report->n_metric_sums);
    l->has_progress = true;
    if (report->log)
        keep_log(l, report->log);
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
    if (!l->result || l->sent)
        return;
    Psd__V1__WorkerMessage message = PSD__V1__WORKER_MESSAGE__INIT;
    message.body_case = PSD__V1__WORKER_MESSAGE__BODY_RESULT;
    message.result = l->result;
    send(user, &message);
    l->sent = true;
    l->sent_ms = now_ms;
}
