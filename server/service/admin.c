/* Admin: the daemon itself. */
#include "psd/v1/admin.pb-c.h"

#include "common/base/mem.h"
#include "server/service/unary.h"

static ps_status status(ps_services *services, const ps_caller *caller,
                        const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    Psd__V1__StatusResponse *out = PS_REPLY_NEW(Psd__V1__StatusResponse, psd__v1__status_response);
    *reply = &out->base;
    Psd__V1__StatusResponse now;
    psd__v1__status_response__init(&now);
    services->daemon.status(services->daemon.user, &now);
    *out = now;
    out->version = ps_strdup(now.version);
    out->cluster = ps_strdup(now.cluster);
    return PS_OK;
}
PS_UNARY(status)

static ps_status reload(ps_services *services, const ps_caller *caller,
                        const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    Psd__V1__ReloadResponse *out = PS_REPLY_NEW(Psd__V1__ReloadResponse, psd__v1__reload_response);
    *reply = &out->base;
    ps_status st = services->daemon.reload(services->daemon.user, &out->certificate_expires_ms);
    ps_error error;
    ps_error_save(&error, st);
    ps_caller_audit(services, caller, "/psd.v1.Admin/Reload", st, st ? error.message : NULL);
    return ps_error_raise(&error);
}
PS_UNARY(reload)

static ps_status checkpoint(ps_services *services, const ps_caller *caller,
                            const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    Psd__V1__CheckpointResponse *out =
        PS_REPLY_NEW(Psd__V1__CheckpointResponse, psd__v1__checkpoint_response);
    *reply = &out->base;
    ps_status st = ps_lifecycle_checkpoint_all(services->lifecycle, &out->jobs, &out->bytes);
    ps_error error;
    ps_error_save(&error, st);
    ps_caller_audit(services, caller, "/psd.v1.Admin/Checkpoint", st, st ? error.message : NULL);
    return ps_error_raise(&error);
}
PS_UNARY(checkpoint)

static ps_status drain(ps_services *services, const ps_caller *caller,
                       const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__DrainRequest *in = (const Psd__V1__DrainRequest *)request;
    Psd__V1__DrainResponse *out = PS_REPLY_NEW(Psd__V1__DrainResponse, psd__v1__drain_response);
    *reply = &out->base;
    ps_status st = services->daemon.drain(services->daemon.user, !in->off);
    ps_sched_counts counts;
    ps_sched_count(services->sched, &counts);
    out->running_tasks = counts.leases;
    ps_error error;
    ps_error_save(&error, st);
    ps_caller_audit(services, caller, "/psd.v1.Admin/Drain", st,
                    st        ? error.message
                    : in->off ? "off"
                              : "on");
    return ps_error_raise(&error);
}
PS_UNARY(drain)

const ps_rpc_method ps_admin_methods[] = {
    {.name = "Status", .request = &psd__v1__status_request__descriptor, .unary = status_cb},
    {.name = "Reload", .request = &psd__v1__reload_request__descriptor, .unary = reload_cb},
    {.name = "Checkpoint",
     .request = &psd__v1__checkpoint_request__descriptor,
     .unary = checkpoint_cb},
    {.name = "Drain", .request = &psd__v1__drain_request__descriptor, .unary = drain_cb},
    {0},
};
