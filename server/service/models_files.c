/* Models: files in (Import, PutArtifact) and out (Export, GetArtifact). */
#include "common/base/mem.h"
#include "psd/v1/models.pb-c.h"
#include "server/service/file_in.h"
#include "server/service/file_out.h"
#include "server/service/model_message.h"

#include <string.h>

/* ---- Import ---- */

typedef struct import_data {
    char *name;
    char *config;
    bool replace;
} import_data;

static void import_free(void *data)
{
    import_data *d = data;
    ps_free(&d->name);
    ps_free(&d->config);
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
    d->replace = header->replace;
    *data = d;
    return PS_OK;
}

static ps_status import_complete(ps_services *services, const ps_caller *caller, void *data,
                                 const char *path, uint64_t bytes, ProtobufCMessage **reply)
{
    const import_data *d = data;
    const ps_disk *disk = services->files.disk;
    /* incoming-N is unique for this process only; the time makes the final name unique for good */
    char *final = ps_asprintf("models/%s.import-%lld.safetensors", d->name,
                              (long long)ps_clock_wall_ms(&services->files.clock));
    char *from = ps_asprintf("%s/%s", services->files.data_dir, path);
    char *to = ps_asprintf("%s/%s", services->files.data_dir, final);
    ps_model_record *record = NULL;
    ps_status st = disk->rename(disk->state, from, to);
    if (!st) {
        st = ps_model_file_adopt(&services->files, final, d->name, d->config, d->replace, &record);
        if (st) { /* back to the name that is removed */
            ps_error error;
            ps_error_save(&error, st);
            ps_status back = disk->rename(disk->state, to, from);
            (void)back;
            st = ps_error_raise(&error);
        }
    }
    ps_free(&final);
    ps_free(&from);
    ps_free(&to);
    ps_error error;
    ps_error_save(&error, st);
    ps_caller_audit(services, caller, "/psd.v1.Models/Import", st, st ? error.message : d->name);
    if (st)
        return ps_error_raise(&error);
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
                                         .folder = "models"};
    ps_file_in(call, services, &kind);
}

/* ---- PutArtifact ---- */

static bool artifact_name_ok(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);
    return len >= 1 && len <= 64 && name[0] != '.' && strspn(name, allowed) == len;
}

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
    if (!artifact_name_ok(header->name))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "artifact name: 1 to 64 letters, digits, '.', '_', '-', not first a '.'");
    ps_status st = ps_services_may_touch(services, call, header->job_id);
    if (st)
        return st;
    artifact_data *d = ps_new(artifact_data);
    d->job_id = header->job_id;
    d->name = ps_strdup(header->name);
    *data = d;
    return PS_OK;
}

static ps_status artifact_complete(ps_services *services, const ps_caller *caller, void *data,
                                   const char *path, uint64_t bytes, ProtobufCMessage **reply)
{
    const artifact_data *d = data;
    const ps_disk *disk = services->files.disk;
    ps_artifact_record record = {.job_id = d->job_id,
                                 .name = d->name,
                                 .bytes = bytes,
                                 .created_ms = ps_clock_wall_ms(&services->files.clock)};
    record.path = ps_asprintf("artifacts/%llu.%s", (unsigned long long)d->job_id, d->name);
    char *from = ps_asprintf("%s/%s", services->files.data_dir, path);
    char *to = ps_asprintf("%s/%s", services->files.data_dir, record.path);
    ps_status st = disk->rename(disk->state, from, to);
    if (!st)
        st = ps_catalog_artifact_put(services->files.catalog, &record);
    if (!st)
        *reply = &ps_artifact_message_new(&record)->base;
    ps_free(&record.path);
    ps_free(&from);
    ps_free(&to);
    return st;
}

void ps_models_put_artifact(ps_call *call, void *services)
{
    static const ps_file_in_kind kind = {.request = &psd__v1__put_artifact_request__descriptor,
                                         .has_header = artifact_has_header,
                                         .begin = artifact_begin,
                                         .complete = artifact_complete,
                                         .free = artifact_free,
                                         .folder = "artifacts"};
    ps_file_in(call, services, &kind);
}

/* ---- Export, GetArtifact ---- */

/* Weights and reports that leave are on record, as are those that were asked for in vain. */
static void audit_file_out(ps_services *services, const ps_call *call, ps_status st,
                           const char *name)
{
    ps_audit_event event = {.event = "call",
                            .address = ps_call_peer_address(call),
                            .identity = ps_call_peer(call),
                            .call = ps_call_path(call),
                            .outcome = st ? PS_AUDIT_FAILED : PS_AUDIT_ALLOWED,
                            .reason = st ? ps_error_message() : name};
    ps_audit_write(services->audit, &event);
}

/* A worker gets the weights of the model that a job of its lease works on, and of no other. */
static ps_status may_export(ps_services *services, const ps_call *call,
                            const Psd__V1__ExportRequest *in)
{
    if (ps_call_peer(call)->role != PS_ROLE_WORKER)
        return PS_OK;
    ps_status st = ps_services_may_touch(services, call, in->job_id);
    if (st)
        return st;
    ps_job_record *record = NULL;
    ps_job_spec *spec = NULL;
    st = ps_sched_job_get(services->sched, in->job_id, &record);
    if (!st)
        st = ps_job_spec_parse(ps_slice_str(record->spec), "job", &spec);
    if (!st && strcmp(spec->model_name, in->name) != 0)
        st = ps_fail(PS_PERMISSION_DENIED, "job %llu does not work on model %s",
                     (unsigned long long)in->job_id, in->name);
    if (spec)
        ps_job_spec_free(&spec);
    ps_job_record_free(&record);
    return st;
}

void ps_models_export(ps_call *call, const ProtobufCMessage *request, void *state)
{
    ps_services *services = state;
    const Psd__V1__ExportRequest *in = (const Psd__V1__ExportRequest *)request;
    ps_model_record *record = NULL;
    ps_status st = may_export(services, call, in);
    if (!st)
        st = ps_catalog_model_get(services->files.catalog, in->name, &record);
    audit_file_out(services, call, st, in->name);
    if (st) {
        ps_call_fail(call, st);
        return;
    }
    ps_file_out(call, services->files.disk,
                ps_asprintf("%s/%s", services->files.data_dir, record->path));
    ps_model_record_free(&record);
}

void ps_models_get_artifact(ps_call *call, const ProtobufCMessage *request, void *state)
{
    ps_services *services = state;
    const Psd__V1__GetArtifactRequest *in = (const Psd__V1__GetArtifactRequest *)request;
    ps_artifact_record *record = NULL;
    ps_status st = ps_catalog_artifact_get(services->files.catalog, in->job_id, in->name, &record);
    audit_file_out(services, call, st, in->name);
    if (st) {
        ps_call_fail(call, st);
        return;
    }
    ps_file_out(call, services->files.disk,
                ps_asprintf("%s/%s", services->files.data_dir, record->path));
    ps_artifact_record_free(&record);
}
