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
    out->sealing_key = now.sealing_key; /* are ours */
    out->audit_head = now.audit_head;
    return PS_OK;
}

static ps_status reload(ps_services *services, const ps_caller *caller,
                        const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    Psd__V1__ReloadResponse *out = PS_REPLY_NEW(Psd__V1__ReloadResponse, psd__v1__reload_response);
    *reply = &out->base;
    ps_status st = services->daemon.reload(services->daemon.user, out);
    return ps_caller_audit(services, caller, st, NULL);
}

static ps_status checkpoint(ps_services *services, const ps_caller *caller,
                            const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    Psd__V1__CheckpointResponse *out =
        PS_REPLY_NEW(Psd__V1__CheckpointResponse, psd__v1__checkpoint_response);
    *reply = &out->base;
    ps_status st = ps_lifecycle_checkpoint_all(services->lifecycle, &out->jobs, &out->bytes);
    return ps_caller_audit(services, caller, st, NULL);
}

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
    return ps_caller_audit(services, caller, st, in->off ? "off" : "on");
}

static ps_status use_of_keys(ps_services *services, bool rotate, ProtobufCMessage **reply)
{
    Psd__V1__KeysResponse *out = PS_REPLY_NEW(Psd__V1__KeysResponse, psd__v1__keys_response);
    *reply = &out->base;
    return services->daemon.keys(services->daemon.user, rotate, out);
}

static ps_status keys(ps_services *services, const ps_caller *caller,
                      const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    return use_of_keys(services, false, reply);
}

static ps_status rotate_keys(ps_services *services, const ps_caller *caller,
                             const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    ps_status st = ps_caller_audit_first(services, caller, NULL);
    if (!st)
        st = use_of_keys(services, true, reply);
    return ps_caller_audit(services, caller, st, NULL);
}

static ps_status retire_key(ps_services *services, const ps_caller *caller,
                            const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__RetireKeyRequest *in = (const Psd__V1__RetireKeyRequest *)request;
    Psd__V1__RetireKeyResponse *out =
        PS_REPLY_NEW(Psd__V1__RetireKeyResponse, psd__v1__retire_key_response);
    *reply = &out->base;
    ps_status st = ps_caller_audit_first(services, caller, in->id);
    if (!st)
        st = services->daemon.retire_key(services->daemon.user, in->id);
    return ps_caller_audit(services, caller, st, in->id);
}

const ps_unary_method ps_admin_unary[] = {
    {"/psd.v1.Admin/Status", &psd__v1__status_request__descriptor,
     &psd__v1__status_response__descriptor, status},
    {"/psd.v1.Admin/Reload", &psd__v1__reload_request__descriptor,
     &psd__v1__reload_response__descriptor, reload},
    {"/psd.v1.Admin/Checkpoint", &psd__v1__checkpoint_request__descriptor,
     &psd__v1__checkpoint_response__descriptor, checkpoint},
    {"/psd.v1.Admin/Drain", &psd__v1__drain_request__descriptor,
     &psd__v1__drain_response__descriptor, drain},
    {"/psd.v1.Admin/Keys", &psd__v1__keys_request__descriptor, &psd__v1__keys_response__descriptor,
     keys},
    {"/psd.v1.Admin/RotateKeys", &psd__v1__rotate_keys_request__descriptor,
     &psd__v1__keys_response__descriptor, rotate_keys},
    {"/psd.v1.Admin/Quotas", &psd__v1__quotas_request__descriptor,
     &psd__v1__quotas_response__descriptor, ps_admin_quotas},
    {"/psd.v1.Admin/RetireKey", &psd__v1__retire_key_request__descriptor,
     &psd__v1__retire_key_response__descriptor, retire_key},
    {0},
};
