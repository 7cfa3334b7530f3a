#include "server/service/task_message.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* protobuf-c has no const; what is borrowed is only read */
static char *text(const char *of)
{
    return (char *)(uintptr_t)of;
}

static Psd__V1__StoredModel **models(const ps_job_model *of, size_t n)
{
    Psd__V1__StoredModel **out = ps_alloc_array(n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        out[i] = ps_new(Psd__V1__StoredModel);
        psd__v1__stored_model__init(out[i]);
        out[i]->name = of[i].name;
        out[i]->version = of[i].version;
    }
    return out;
}

void ps_task_message_end(Psd__V1__Task *message)
{
    for (size_t i = 0; i < message->n_others; i++)
        free(message->others[i]);
    free(message->others);
    message->others = NULL;
    message->n_others = 0;
}

void ps_task_message_borrow(const ps_task *task, Psd__V1__Task *out)
{
    psd__v1__task__init(out);
    out->lease_id = task->lease_id;
    out->job_id = task->job_id;
    out->kind = text(task->kind);
    out->inference = task->inference;
    out->spec = text(task->spec);
    out->stage = task->stage;
    out->settled_model = text(task->settled);
    out->model_version = text(task->model_version);
    out->model_config = text(task->model_config);
    out->teacher_version = text(task->teacher_version);
    out->teacher_config = text(task->teacher_config);
    out->others = models(task->others, task->n_others);
    out->n_others = task->n_others;
    out->model_name = text(task->model_name);
    out->note = text(task->note);
    out->epoch = task->epoch;
    out->row_begin = task->row_begin;
    out->row_end = task->row_end;
    out->seed = task->seed;
    out->first_clock = task->first_clock;
    out->said = (uint32_t *)(uintptr_t)task->said;
    out->n_said = task->n_said;
    out->choices = (uint32_t *)(uintptr_t)task->choices;
    out->n_choices = task->n_choices;
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

static ps_data_plan *plan_read(const Psd__V1__PlanResult *message)
{
    ps_data_plan_tensor *tensors = ps_alloc_array(message->n_tensors + 1, sizeof *tensors);
    for (size_t i = 0; i < message->n_tensors; i++) {
        const Psd__V1__TensorPlan *t = message->tensors[i];
        tensors[i] = (ps_data_plan_tensor){.name = t->name,
                                           .shape = t->shape,
                                           .n_shape = t->n_shape,
                                           .initializer = (ps_plan_init)t->initializer,
                                           .scale = t->scale,
                                           .begins_as = t->begins_as,
                                           .role = (ps_plan_role)t->role,
                                           .form = t->form,
                                           .transposed = t->transposed};
    }
    const ps_data_plan borrowed = {.train_rows = message->train_rows,
                                   .test_rows = message->test_rows,
                                   .tensors = tensors,
                                   .n_tensors = message->n_tensors,
                                   .model = message->model};
    ps_data_plan *plan = ps_data_plan_copy(&borrowed);
    free(tensors);
    return plan;
}

/* Older workers have a member a kind: what it says, as others say it. */
static void read_evaluate(const Psd__V1__EvaluateResult *message, ps_task_result *out)
{
    ps_task_result_add(out, "samples", (double)message->samples);
    ps_task_result_add(out, "loss", message->loss);
    for (size_t i = 0; i < message->n_metrics; i++)
        ps_task_result_add(out, message->metrics[i]->name, message->metrics[i]->value);
}

static const char *report_of(Psd__V1__GenerateEnd end)
{
    switch (end) {
    case PSD__V1__GENERATE_END__GENERATE_END_LENGTH:
        return "{\"ended\":\"length\"}";
    case PSD__V1__GENERATE_END__GENERATE_END_STOP:
        return "{\"ended\":\"stop\"}";
    case PSD__V1__GENERATE_END__GENERATE_END_CONTEXT:
        return "{\"ended\":\"context\"}";
    default:
        return NULL;
    }
}

static void read_generate(const Psd__V1__GenerateResult *message, ps_task_result *out)
{
    ps_task_result_add(out, "tokens", (double)message->tokens);
    ps_task_result_add(out, "load_seconds", message->load_seconds);
    ps_task_result_add(out, "prompt_seconds", message->prompt_seconds);
    ps_task_result_add(out, "seconds", message->seconds);
    out->report = report_of(message->end);
}

void ps_task_result_read(const Psd__V1__TaskResult *message, ps_task_result *out)
{
    *out = (ps_task_result){.lease_id = message->lease_id,
                            .code = message->code,
                            .message = message->message,
                            .retry = message->retry,
                            .report = message->report,
                            .artifacts = message->artifacts,
                            .n_artifacts = message->n_artifacts};
    for (size_t i = 0; i < message->n_metrics; i++)
        ps_task_result_add(out, message->metrics[i]->name, message->metrics[i]->value);
    for (size_t i = 0; i < message->n_files && i < PS_RESULT_FILES; i++)
        out->files[i] = (ps_result_file){.path = message->files[i]->path,
                                         .sha256 = message->files[i]->sha256,
                                         .bytes = message->files[i]->bytes};
    out->n_files = message->n_files;
    if (message->plan)
        out->plan = plan_read(message->plan);
    if (message->evaluate && !message->n_metrics)
        read_evaluate(message->evaluate, out);
    if (message->generate && !message->n_metrics)
        read_generate(message->generate, out);
}

void ps_hello_read(const Psd__V1__Hello *message, ps_hello *out)
{
    *out = (ps_hello){.version = message->version,
                      .device = message->device,
                      .device_reason = message->device_reason,
                      .shown_name = message->shown_name,
                      .memory_bytes = message->memory_bytes,
                      .slots = message->slots,
                      .train_slots = message->train_slots,
                      .incarnation = message->incarnation,
                      .kinds = message->kinds,
                      .n_kinds = message->n_kinds,
                      .leases = message->leases,
                      .n_leases = message->n_leases};
}

static uint64_t *numbers(const uint64_t *of, size_t n)
{
    uint64_t *copy = ps_alloc_array(n, sizeof *copy);
    if (n)
        memcpy(copy, of, n * sizeof *copy);
    return copy;
}

static Psd__V1__Hello *hello_new(const ps_hello *hello)
{
    Psd__V1__Hello *out = ps_new(Psd__V1__Hello);
    psd__v1__hello__init(out);
    out->version = ps_strdup(hello->version);
    out->device = ps_strdup(hello->device);
    out->device_reason = ps_strdup(hello->device_reason);
    out->shown_name = ps_strdup(hello->shown_name);
    out->memory_bytes = hello->memory_bytes;
    out->slots = hello->slots;
    out->train_slots = hello->train_slots;
    out->incarnation = hello->incarnation;
    out->kinds = ps_alloc_array(hello->n_kinds, sizeof *out->kinds);
    for (; out->n_kinds < hello->n_kinds; out->n_kinds++)
        out->kinds[out->n_kinds] = ps_strdup(hello->kinds[out->n_kinds]);
    out->leases = numbers(hello->leases, hello->n_leases);
    out->n_leases = hello->n_leases;
    return out;
}

Psd__V1__Worker *ps_worker_message_new(const ps_worker_info *info)
{
    Psd__V1__Worker *out = ps_new(Psd__V1__Worker);
    psd__v1__worker__init(out);
    out->name = ps_strdup(info->name);
    out->address = ps_strdup(info->address);
    out->hello = hello_new(&info->hello);
    out->attached_ms = info->attached_ms;
    out->heard_ms = info->heard_ms;
    out->certificate_starts_ms = info->certificate_starts_ms;
    out->certificate_expires_ms = info->certificate_expires_ms;
    out->state = ps_strdup(info->state);
    out->jobs = numbers(info->jobs, info->n_jobs);
    out->n_jobs = info->n_jobs;
    return out;
}
