#include "server/service/services.h"

#include "common/base/mem.h"

#include <string.h>

static const struct {
    const char *name;
    const ps_rpc_method *methods;
} table[] = {
    {"psd.v1.Parameters", ps_parameters_methods}, {"psd.v1.Jobs", ps_jobs_methods},
    {"psd.v1.Workers", ps_workers_methods},       {"psd.v1.Models", ps_models_methods},
    {"psd.v1.Admin", ps_admin_methods},
};

void ps_services_add(ps_services *services, ps_rpc_server *server)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ps_rpc_service service = {
            .name = table[i].name, .methods = table[i].methods, .state = services};
        ps_rpc_server_add(server, &service);
    }
}

ps_status ps_services_may_touch(ps_services *services, const ps_identity *peer, uint64_t job_id)
{
    if (peer->role != PS_ROLE_WORKER || ps_sched_holds_lease(services->sched, peer->name, job_id))
        return PS_OK;
    return ps_fail(PS_PERMISSION_DENIED, "worker %s holds no lease of job %llu", peer->name,
                   (unsigned long long)job_id);
}

ps_status ps_services_find_run(ps_services *services, const ps_identity *peer, uint64_t job_id,
                               ps_run **out)
{
    ps_status st = ps_services_may_touch(services, peer, job_id);
    return st ? st : ps_runs_find(services->runs, job_id, out);
}

ps_status ps_services_may_use_model(ps_services *services, const ps_identity *peer,
                                    const ps_model_wanted *wanted, char **version)
{
    if (peer->role != PS_ROLE_WORKER) {
        *version = ps_strdup(wanted->version);
        return PS_OK;
    }
    ps_status st = ps_services_may_touch(services, peer, wanted->job_id);
    if (!st)
        st = ps_sched_job_model(services->sched, wanted->job_id, wanted->name, version);
    if (st || !*wanted->version || strcmp(wanted->version, *version) == 0)
        return st;
    ps_free(version);
    return ps_fail(PS_PERMISSION_DENIED, "job %llu works on another version of model %s than %s",
                   (unsigned long long)wanted->job_id, wanted->name, wanted->version);
}
