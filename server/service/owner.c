/* Who may change what exists already: beside the table of call and role, which does not know whose
 * it is. To look at and to use jobs and models is not asked here. */
#include "server/service/unary.h"

#include <stdio.h>
#include <string.h>

static ps_status may_change(const ps_caller *caller, const char *owner, const char *what)
{
    if (caller->identity.role != PS_ROLE_SUBMITTER || strcmp(caller->name, owner) == 0)
        return PS_OK;
    return ps_fail(PS_PERMISSION_DENIED,
                   "%s belongs to %s; only its owner and an admin may change it", what,
                   *owner ? owner : "nobody that is known");
}

ps_status ps_caller_may_change_job(ps_services *services, const ps_caller *caller, uint64_t job_id)
{
    ps_loop_require_off();
    ps_job_record *job = NULL;
    ps_status st = ps_sched_job_get(services->sched, job_id, &job);
    if (st)
        return st;
    char what[32];
    (void)snprintf(what, sizeof what, "job %llu", (unsigned long long)job_id);
    st = may_change(caller, job->submitter, what);
    ps_job_record_free(&job);
    return st;
}

ps_status ps_caller_may_change_model(ps_services *services, const ps_caller *caller,
                                     const char *name)
{
    ps_loop_require_off();
    ps_model_record *model = NULL;
    ps_status st = ps_catalog_model_get(services->files.catalog, name, &model);
    if (st)
        return st == PS_NOT_FOUND ? PS_OK : st;
    char what[80];
    (void)snprintf(what, sizeof what, "model %s", model->name);
    st = may_change(caller, model->owner, what);
    ps_model_record_free(&model);
    return st;
}
