/* Jobs.Delete, Jobs.Prune and Models.DeleteArtifact: what has ended, and what it left, goes. */
#include "server/runs/removal.h"

#include "common/base/mem.h"
#include "psd/v1/models.pb-c.h"
#include "server/service/unary.h"

#include <inttypes.h>
#include <stdio.h>

/* The audit line, and the reply or the failure. what: "job 7". */
static ps_status answer(ps_services *services, const ps_caller *caller, ps_status st,
                        const char *what, const ps_removed *removed, bool more,
                        ProtobufCMessage **reply)
{
    st = ps_caller_audit(services, caller, st, what);
    if (st)
        return st;
    ps_quotas_freed(services->quotas);
    Psd__V1__RemovedResponse *out =
        PS_REPLY_NEW(Psd__V1__RemovedResponse, psd__v1__removed_response);
    out->jobs = removed->jobs;
    out->artifacts = removed->artifacts;
    out->artifact_bytes = removed->bytes;
    out->more = more;
    *reply = &out->base;
    return PS_OK;
}

ps_status ps_jobs_delete(ps_services *services, const ps_caller *caller,
                         const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    uint64_t job_id = ((const Psd__V1__DeleteJobRequest *)request)->job_id;
    ps_removed removed = {0};
    char what[32];
    (void)snprintf(what, sizeof what, "job %" PRIu64, job_id);
    ps_status st = ps_caller_may_change_job(services, caller, job_id);
    if (!st)
        st = ps_caller_audit_first(services, caller, what);
    if (!st)
        st = ps_remove_job(&services->files, job_id, &removed);
    return answer(services, caller, st, what, &removed, false, reply);
}

ps_status ps_models_delete_artifact(ps_services *services, const ps_caller *caller,
                                    const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__DeleteArtifactRequest *in = (const Psd__V1__DeleteArtifactRequest *)request;
    ps_removed removed = {0};
    char what[128];
    (void)snprintf(what, sizeof what, "job %" PRIu64 " %.64s", in->job_id, in->name);
    ps_status st = ps_caller_may_change_job(services, caller, in->job_id);
    if (!st)
        st = ps_caller_audit_first(services, caller, what);
    if (!st)
        st = ps_remove_artifact(&services->files, in->job_id, in->name, &removed);
    return answer(services, caller, st, what, &removed, false, reply);
}

ps_status ps_jobs_prune(ps_services *services, const ps_caller *caller,
                        const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__PruneRequest *in = (const Psd__V1__PruneRequest *)request;
    const char *owner = caller->identity.role == PS_ROLE_ADMIN ? NULL : caller->name;
    ps_removed removed = {0};
    bool more = false;
    char what[96];
    (void)snprintf(what, sizeof what, "older than %" PRIu64 " s", in->older_than_ms / 1000);
    ps_status st = ps_caller_audit_first(services, caller, what);
    if (!st)
        st = ps_prune(&services->files, owner, in->older_than_ms, in->artifacts_only, &removed,
                      &more);
    (void)snprintf(what, sizeof what,
                   "older than %" PRIu64 " s: %" PRIu64 " jobs, %" PRIu64 " artifacts",
                   in->older_than_ms / 1000, removed.jobs, removed.artifacts);
    return answer(services, caller, st, what, &removed, more, reply);
}
