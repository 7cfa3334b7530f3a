#include "server/service/model_message.h"

#include "common/base/mem.h"

static Psd__V1__ModelTensor *tensor_new(const ps_model_tensor *from)
{
    Psd__V1__ModelTensor *out = ps_new(Psd__V1__ModelTensor);
    psd__v1__model_tensor__init(out);
    out->name = ps_strdup(from->name);
    out->n_shape = from->rank;
    out->shape = ps_alloc_array(from->rank, sizeof *out->shape);
    for (uint32_t i = 0; i < from->rank; i++)
        out->shape[i] = from->shape[i];
    char form[PS_FORM_TEXT] = "float32";
    out->form = ps_strdup(from->form.row ? ps_form_text(from->form, form) : form);
    return out;
}

Psd__V1__Model *ps_model_message_new(const ps_model_record *record)
{
    Psd__V1__Model *out = ps_new(Psd__V1__Model);
    psd__v1__model__init(out);
    out->name = ps_strdup(record->name);
    out->config = ps_strdup(record->config);
    out->version = ps_strdup(record->path);
    out->owner = ps_strdup(record->owner);
    out->parameters = record->parameters;
    out->bytes = record->bytes;
    out->tensor_bytes = record->tensor_bytes;
    out->forms = ps_strdup(record->forms);
    out->job_id = record->job_id;
    out->parent = ps_strdup(record->parent ? record->parent : ""); /* NULL: it was just imported */
    out->parent_version = ps_strdup(record->parent_version ? record->parent_version : "");
    out->lineage = ps_strdup(record->lineage ? record->lineage : "");
    out->created_ms = record->created_ms;
    out->has_test = record->has_test;
    out->test_loss = record->test_loss;
    out->n_test_metrics = record->test_metrics.count;
    out->test_metrics = ps_metric_list_messages(&record->test_metrics);
    out->tensors = ps_alloc_array(record->n_tensors, sizeof *out->tensors);
    for (; out->n_tensors < record->n_tensors; out->n_tensors++)
        out->tensors[out->n_tensors] = tensor_new(&record->tensors[out->n_tensors]);
    return out;
}

Psd__V1__Artifact *ps_artifact_message_new(const ps_artifact_record *record)
{
    Psd__V1__Artifact *out = ps_new(Psd__V1__Artifact);
    psd__v1__artifact__init(out);
    out->job_id = record->job_id;
    out->name = ps_strdup(record->name);
    out->bytes = record->bytes;
    out->created_ms = record->created_ms;
    return out;
}
