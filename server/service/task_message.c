#include "server/service/task_message.h"

/* protobuf-c has no const; what is borrowed is only read */
static char *text(const char *of)
{
    return (char *)(uintptr_t)of;
}

void ps_task_message_borrow(const ps_task *task, Psd__V1__Task *out)
{
    psd__v1__task__init(out);
    out->lease_id = task->lease_id;
    out->job_id = task->job_id;
    out->kind = text(ps_task_kind_name(task->kind));
    out->inference = task->inference;
    out->spec = text(task->spec);
    out->settled_model = text(task->settled);
    out->model_version = text(task->model_version);
    out->model_config = text(task->model_config);
    out->epoch = task->epoch;
    out->row_begin = task->row_begin;
    out->row_end = task->row_end;
    out->seed = task->seed;
    out->first_clock = task->first_clock;
    out->said = (uint32_t *)(uintptr_t)task->said;
    out->n_said = task->n_said;
}

void ps_task_report_read(const Psd__V1__TaskProgress *message, ps_task_report *out)
{
    *out = (ps_task_report){.lease_id = message->lease_id,
                            .position = message->position,
                            .samples = message->samples,
                            .loss_sum = message->loss_sum,
                            .rows_total = message->rows_total};
    ps_metric_list_add_messages(&out->metric_sums, message->metric_sums, message->n_metric_sums);
    if (message->log) {
        out->log_level = message->log->level;
        out->log_text = message->log->text;
    }
}

ps_tokens ps_tokens_read(const Psd__V1__Output *message)
{
    if (!message)
        return (ps_tokens){0};
    return (ps_tokens){
        .first = message->first, .n_tokens = message->n_tokens, .tokens = message->tokens};
}
