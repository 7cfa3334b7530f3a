#include "server/service/job_message.h"

#include "common/base/mem.h"

void ps_job_message_borrow(const ps_job_record *record, ps_job_parts *parts, Psd__V1__Job *out)
{
    psd__v1__job__init(out);
    parts->progress = ps_job_progress_message(record, &parts->lists);
    out->id = record->id;
    out->name = record->name;
    out->kind = record->kind;
    out->state = (Psd__V1__JobState)record->state;
    out->reason = record->reason;
    out->submitter = record->submitter;
    out->submitted_ms = record->submitted_ms;
    out->started_ms = record->started_ms;
    out->ended_ms = record->ended_ms;
    out->spec = record->spec ? record->spec : (char *)(uintptr_t)protobuf_c_empty_string;
    out->result = record->result;
    out->model_version = record->model_version;
    out->progress = &parts->progress;
}

Psd__V1__Job *ps_job_message_new(const ps_job_record *record)
{
    ps_job_parts parts;
    Psd__V1__Job *out = ps_new(Psd__V1__Job);
    ps_job_message_borrow(record, &parts, out);
    out->progress = ps_new(Psd__V1__Progress);
    *out->progress = parts.progress;
    out->progress->metrics = ps_metric_list_messages(&record->metrics);
    out->progress->test_metrics = ps_metric_list_messages(&record->test_metrics);
    char **const texts[] = {&out->name, &out->kind,   &out->reason,        &out->submitter,
                            &out->spec, &out->result, &out->model_version, &out->progress->phase};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = ps_strdup(*texts[i] ? *texts[i] : "");
    return out;
}
