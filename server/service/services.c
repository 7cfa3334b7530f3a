#include "server/service/services.h"

#include "common/base/mem.h"
#include "common/base/require.h"
#include "server/service/unary.h"

#include <string.h>

enum { METHODS_MAX = 32 }; /* of a service */

static const ps_rpc_method none[] = {{0}};

static const struct {
    const char *name;
    const ps_unary_method *unary;
    const ps_rpc_method *calls;
} table[] = {
    {"psd.v1.Parameters", ps_parameters_unary, ps_parameters_calls},
    {"psd.v1.Jobs", ps_jobs_unary, ps_jobs_calls},
    {"psd.v1.Workers", ps_workers_unary, ps_workers_calls},
    {"psd.v1.Models", ps_models_unary, ps_models_calls},
    {"psd.v1.Admin", ps_admin_unary, none},
    {"psd.v1.Identity", ps_identity_unary, none},
};

const ps_unary_method *const ps_unary_tables[] = {
    ps_parameters_unary, ps_jobs_unary, ps_workers_unary, ps_models_unary, ps_admin_unary,
    ps_identity_unary,   NULL};

const ps_unary_method *ps_unary_find(const char *path)
{
    for (const ps_unary_method *const *t = ps_unary_tables; *t; t++)
        for (const ps_unary_method *m = *t; m->path; m++)
            if (strcmp(m->path, path) == 0)
                return m;
    return NULL;
}

static void unary_cb(ps_call *call, const ProtobufCMessage *request, void *services)
{
    const ps_unary_method *method = ps_unary_find(ps_call_path(call));
    PS_REQUIRE(method); /* that is what it was added under */
    ps_unary_run(call, request, services, method->body);
}

void ps_services_add(ps_services *services, ps_rpc_server *server)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ps_rpc_method methods[METHODS_MAX + 1] = {0};
        size_t n = 0;
        for (const ps_unary_method *m = table[i].unary; m->path; m++) {
            PS_REQUIRE(n < METHODS_MAX);
            methods[n++] = (ps_rpc_method){
                .name = strrchr(m->path, '/') + 1, .request = m->request, .unary = unary_cb};
        }
        for (const ps_rpc_method *m = table[i].calls; m->name; m++) {
            PS_REQUIRE(n < METHODS_MAX);
            methods[n++] = *m;
        }
        ps_rpc_server_add(
            server,
            &(ps_rpc_service){.name = table[i].name, .methods = methods, .state = services});
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
    ps_loop_require_off();
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
