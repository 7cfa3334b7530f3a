#include "server/service/services.h"

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
