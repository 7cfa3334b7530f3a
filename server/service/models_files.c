/* Models: files in (Import, PutArtifact) and out (Export, GetArtifact). */
#include "common/base/mem.h"
#include "common/format/artifact_name.h"
#include "common/record/influence.h"
#include "psd/v1/models.pb-c.h"
#include "server/files/adapter_in.h"
#include "server/files/artifact_file.h"
#include "server/files/moments_file.h"
#include "server/service/file_in.h"
#include "server/service/file_out.h"
#include "server/service/model_message.h"

#include <string.h>

/* ---- Import ---- */

typedef struct import_data {
    char *name;
    char *config;
    char *base; /* "": it is no adapter */
    bool replace;
} import_data;

static void import_free(void *data)
{
    import_data *d = data;
    ps_free(&d->name);
    ps_free(&d->config);
    ps_free(&d->base);
    ps_free(&d);
}

static bool import_has_header(const ProtobufCMessage *message)
{
    return ((const Psd__V1__ImportRequest *)message)->header != NULL;
}

static ps_status import_begin(ps_services *services, const ps_call *call,
                              const ProtobufCMessage *message, void **data)
{
    const Psd__V1__ImportHeader *header = ((const Psd__V1__ImportRequest *)message)->header;
    if (!ps_job_spec_name_ok(header->name))
        return ps_fail(PS_INVALID_ARGUMENT, "model name: 1 to 64 of a-z, 0-9, '.', '_', '-', "
                                            "first a letter or digit");
    import_data *d = ps_new(import_data);
    d->name = ps_strdup(header->name);
    d->config = ps_strdup(header->config);
    d->base = ps_strdup(header->adapter_of);
    d->replace = header->replace;
    *data = d;
    return PS_OK;
}

static ps_stored_place import_place(const void *data)
{
    return ps_model_place(((const import_data *)data)->name);
}

static ps_status adopt(ps_services *services, const ps_caller *caller, const import_data *d,
                       const ps_stored_place *place, ps_model_record **out)
{
    const ps_adapter_in adapter = {.name = d->name,
                                   .owner = caller->name,
                                   .base = d->base,
                                   .config = d->config,
                                   .replaces = d->replace};
    if (*d->base)
        return ps_adapter_in_adopt(&services->files, place, &adapter, out);
    return ps_model_file_adopt(&services->files, place, d->name, d->config, caller->name,
                               d->replace, &(ps_lineage_from){0}, out);
}

static ps_status import_complete(ps_services *services, const ps_caller *caller, void *data,
                                 const ps_stored_place *place, uint64_t bytes,
                                 ProtobufCMessage **reply)
{
    const import_data *d = data;
    ps_model_record *record = NULL;
    ps_status st = ps_caller_may_change_model(services, caller, d->name);
    if (!st)
        st = adopt(services, caller, d, place, &record);
    st = ps_caller_audit(services, caller, st, d->name);
    if (st)
        return st;
    *reply = &ps_model_message_new(record)->base;
    ps_model_record_free(&record);
    return PS_OK;
}

void ps_models_import(ps_call *call, void *services)
{
    static const ps_file_in_kind kind = {.request = &psd__v1__import_request__descriptor,
                                         .has_header = import_has_header,
                                         .begin = import_begin,
                                         .complete = import_complete,
                                         .free = import_free,
                                         .place = import_place};
    ps_file_in(call, services, &kind);
}

/* ---- PutArtifact ---- */

typedef struct artifact_data {
    uint64_t job_id;
    char *name;
} artifact_data;

static void artifact_free(void *data)
{
    artifact_data *d = data;
    ps_free(&d->name);
    ps_free(&d);
}

static bool artifact_has_header(const ProtobufCMessage *message)
{
    return ((const Psd__V1__PutArtifactRequest *)message)->header != NULL;
}

static ps_status artifact_begin(ps_services *services, const ps_call *call,
                                const ProtobufCMessage *message, void **data)
{
    const Psd__V1__PutArtifactHeader *header =
        ((const Psd__V1__PutArtifactRequest *)message)->header;
    if (!ps_artifact_name_ok(header->name))
        return ps_fail(PS_INVALID_ARGUMENT, "artifact name: " PS_ARTIFACT_NAME_RULE);
    ps_status st = ps_services_may_touch(services, ps_call_peer(call), header->job_id);
    if (st)
        return st;
    artifact_data *d = ps_new(artifact_data);
    d->job_id = header->job_id;
    d->name = ps_strdup(header->name);
    *data = d;
    return PS_OK;
}

static ps_stored_place artifact_place(const void *data)
{
    return ps_artifact_place(((const artifact_data *)data)->job_id);
}

static ps_status artifact_complete(ps_services *services, const ps_caller *caller, void *data,
                                   const ps_stored_place *place, uint64_t bytes,
                                   ProtobufCMessage **reply)
{
    const artifact_data *d = data;
    ps_artifact_record *record = NULL;
    /* again: a worker that has lost its lease since the header must not replace what another, who
     * has it now, has left */
    ps_status st = ps_services_may_touch(services, &caller->identity, d->job_id);
    if (!st)
        st = ps_caller_may_change_job(services, caller, d->job_id);
    if (!st)
        st = ps_artifact_file_adopt(&services->files, place, d->job_id, d->name, bytes, &record);
    st = ps_caller_audit(services, caller, st, d->name);
    if (st)
        return st;
    *reply = &ps_artifact_message_new(record)->base;
    ps_artifact_record_free(&record);
    return PS_OK;
}

void ps_models_put_artifact(ps_call *call, void *services)
{
    static const ps_file_in_kind kind = {.request = &psd__v1__put_artifact_request__descriptor,
                                         .has_header = artifact_has_header,
                                         .begin = artifact_begin,
                                         .complete = artifact_complete,
                                         .free = artifact_free,
                                         .place = artifact_place};
    ps_file_in(call, services, &kind);
}

/* ---- Export, GetArtifact ---- */

static ps_status open_model(ps_services *services, const ps_caller *caller,
                            const ProtobufCMessage *request, ps_file_opened *out)
{
    const Psd__V1__ExportRequest *in = (const Psd__V1__ExportRequest *)request;
    const ps_model_wanted wanted = {.name = in->name, .version = in->version, .job_id = in->job_id};
    char *which = NULL;
    ps_status st = ps_services_may_use_model(services, &caller->identity, &wanted, &which);
    if (!st && in->moments)
        st = ps_moments_file_open(&services->files, in->name, which, &out->file, &out->version);
    else if (!st)
        st = ps_model_file_open(&services->files, in->name, which, &out->file, &out->version);
    ps_free(&which);
    out->begin = in->begin;
    out->end = in->end;
    return st;
}

/* A worker has no business with other jobs than those it holds a lease of: of a job that explains a
 * model by the record of its training it asks for that record by the job's own number. */
static ps_status find_record(ps_services *services, const ps_caller *caller,
                             const Psd__V1__GetArtifactRequest *in, uint64_t *job_id)
{
    *job_id = in->job_id;
    if (caller->identity.role != PS_ROLE_WORKER || strcmp(in->name, PS_INFLUENCE_FILE) != 0)
        return PS_OK;
    return ps_sched_job_record(services->sched, in->job_id, job_id);
}

static ps_status open_artifact(ps_services *services, const ps_caller *caller,
                               const ProtobufCMessage *request, ps_file_opened *out)
{
    const Psd__V1__GetArtifactRequest *in = (const Psd__V1__GetArtifactRequest *)request;
    if (caller->identity.role == PS_ROLE_OBSERVER && !ps_artifact_name_is_report(in->name))
        return ps_fail(PS_PERMISSION_DENIED,
                       "an observer may read what jobs report (" PS_ARTIFACT_REPORTS
                       "), and no other artifact");
    uint64_t job_id = 0;
    ps_status st = ps_services_may_touch(services, &caller->identity, in->job_id);
    if (!st)
        st = find_record(services, caller, in, &job_id);
    return st ? st : ps_artifact_file_open(&services->files, job_id, in->name, &out->file);
}

void ps_models_export(ps_call *call, const ProtobufCMessage *request, void *services)
{
    ps_file_out(call, services, request, open_model,
                ((const Psd__V1__ExportRequest *)request)->name);
}

void ps_models_get_artifact(ps_call *call, const ProtobufCMessage *request, void *services)
{
    ps_file_out(call, services, request, open_artifact,
                ((const Psd__V1__GetArtifactRequest *)request)->name);
}
