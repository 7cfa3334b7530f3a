/* Models: what is in the catalog; files come and go in models_files.c. */
#include "psd/v1/models.pb-c.h"

#include "common/base/mem.h"
#include "server/service/model_message.h"
#include "server/service/page.h"
#include "server/service/unary.h"

/* As many of the records as a page holds; one more than `rows` says that there are more. */
static Psd__V1__ListModelsResponse *models_page(ps_model_record *const *records, size_t rows)
{
    Psd__V1__ListModelsResponse *out =
        PS_REPLY_NEW(Psd__V1__ListModelsResponse, psd__v1__list_models_response);
    size_t bytes = 0;
    out->models = ps_alloc_array(rows, sizeof *out->models);
    while (records[out->n_models] && out->n_models < rows && bytes < PS_PAGE_BYTES) {
        Psd__V1__Model *model = ps_model_message_new(records[out->n_models]);
        bytes += psd__v1__model__get_packed_size(model);
        out->models[out->n_models++] = model;
    }
    if (records[out->n_models])
        out->next_page_token = ps_page_token("models", 0, out->models[out->n_models - 1]->name);
    return out;
}

static ps_status list(ps_services *services, const ps_caller *caller,
                      const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__ListModelsRequest *in = (const Psd__V1__ListModelsRequest *)request;
    ps_page page;
    ps_model_record **records = NULL;
    ps_status st = ps_page_read("models", 0, in->page_size, in->page_token, &page);
    if (!st)
        st = ps_catalog_model_list(services->files.catalog, page.after, page.rows + 1, &records);
    if (st)
        return st;
    *reply = &models_page(records, page.rows)->base;
    ps_model_records_free(&records);
    return PS_OK;
}

static ps_status get(ps_services *services, const ps_caller *caller,
                     const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__GetModelRequest *in = (const Psd__V1__GetModelRequest *)request;
    ps_model_record *record = NULL;
    ps_status st =
        ps_catalog_model_version(services->files.catalog, in->name, in->version, &record);
    if (st)
        return st;
    if (in->lineage)
        st = ps_catalog_model_lineage(services->files.catalog, record->path, &record->lineage);
    if (!st) {
        Psd__V1__Model *model = ps_model_message_new(record);
        model->export_recipients =
            services->daemon.export_recipients(services->daemon.user, &model->n_export_recipients);
        *reply = &model->base;
    }
    ps_model_record_free(&record);
    return st;
}

static ps_status remove_model(ps_services *services, const ps_caller *caller,
                              const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__DeleteModelRequest *in = (const Psd__V1__DeleteModelRequest *)request;
    ps_status st = ps_caller_may_change_model(services, caller, in->name);
    if (!st)
        st = ps_caller_audit_first(services, caller, in->name);
    if (!st)
        st = ps_model_file_delete(&services->files, in->name);
    st = ps_caller_audit(services, caller, st, in->name);
    if (st)
        return st;
    ps_quotas_freed(services->quotas);
    *reply = ps_reply_new(sizeof(Psd__V1__DeleteModelResponse),
                          (ps_message_init)psd__v1__delete_model_response__init);
    return PS_OK;
}

static ps_status list_artifacts(ps_services *services, const ps_caller *caller,
                                const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__ListArtifactsRequest *in = (const Psd__V1__ListArtifactsRequest *)request;
    ps_artifact_record **records = NULL;
    ps_job_record *job = NULL;
    ps_status st = ps_sched_job_get(services->sched, in->job_id, &job); /* is there one? */
    ps_job_record_free(&job);
    if (!st)
        st = ps_catalog_artifact_list(services->files.catalog, in->job_id, &records);
    if (st)
        return st;
    Psd__V1__ListArtifactsResponse *out =
        PS_REPLY_NEW(Psd__V1__ListArtifactsResponse, psd__v1__list_artifacts_response);
    size_t n = 0;
    while (records[n])
        n++;
    out->artifacts = ps_alloc_array(n, sizeof *out->artifacts);
    for (; out->n_artifacts < n; out->n_artifacts++)
        out->artifacts[out->n_artifacts] = ps_artifact_message_new(records[out->n_artifacts]);
    ps_artifact_records_free(&records);
    *reply = &out->base;
    return PS_OK;
}

const ps_unary_method ps_models_unary[] = {
    {"/psd.v1.Models/List", &psd__v1__list_models_request__descriptor,
     &psd__v1__list_models_response__descriptor, list},
    {"/psd.v1.Models/Get", &psd__v1__get_model_request__descriptor, &psd__v1__model__descriptor,
     get},
    {"/psd.v1.Models/Delete", &psd__v1__delete_model_request__descriptor,
     &psd__v1__delete_model_response__descriptor, remove_model},
    {"/psd.v1.Models/ListArtifacts", &psd__v1__list_artifacts_request__descriptor,
     &psd__v1__list_artifacts_response__descriptor, list_artifacts},
    {"/psd.v1.Models/DeleteArtifact", &psd__v1__delete_artifact_request__descriptor,
     &psd__v1__removed_response__descriptor, ps_models_delete_artifact},
    {0},
};

const ps_rpc_method ps_models_calls[] = {
    {.name = "Import", .request = &psd__v1__import_request__descriptor, .stream = ps_models_import},
    {.name = "Export", .request = &psd__v1__export_request__descriptor, .unary = ps_models_export},
    {.name = "PutArtifact",
     .request = &psd__v1__put_artifact_request__descriptor,
     .stream = ps_models_put_artifact},
    {.name = "GetArtifact",
     .request = &psd__v1__get_artifact_request__descriptor,
     .unary = ps_models_get_artifact},
    {0},
};
