/* Happy path: a worker becomes a member with its first training task of the job, and leaves when it
 * has none any more. Cannot fail. */
#include "server/sched/members.h"

#include "common/base/mem.h"

#include <string.h>

typedef struct ps_member {
    char worker[PS_WORKER_MAX];
} ps_member;

void ps_members_add(ps_job *job, const char *worker)
{
    ps_core_require_locked(job->sched);
    for (size_t i = 0; i < job->n_members; i++)
        if (strcmp(job->members[i].worker, worker) == 0)
            return;
    job->members = ps_realloc(job->members, (job->n_members + 1) * sizeof *job->members);
    memcpy(job->members[job->n_members++].worker, worker, strlen(worker) + 1);
}

static bool trains(const ps_job *job, const char *worker)
{
    ps_list_each(node, &job->leases)
    {
        const ps_lease *lease = ps_container(node, ps_lease, of_job);
        if (lease->kind->trains && strcmp(lease->worker->name, worker) == 0)
            return true;
    }
    return false;
}

static void leave_run(const ps_errand *e)
{
    const ps_sched *s = e->job->sched;
    s->out.store->leave(s->out.store_user, e->job->record->id, e->text);
}

void ps_members_leave_unused(ps_job *job)
{
    ps_core_require_locked(job->sched);
    for (size_t i = 0; i < job->n_members;) {
        if (trains(job, job->members[i].worker)) {
            i++;
            continue;
        }
        ps_job_errand(job, job->members[i].worker, leave_run);
        job->members[i] = job->members[--job->n_members];
    }
}

void ps_members_leave_unused_of_all(ps_sched *s)
{
    ps_core_require_locked(s);
    ps_list_each(node, &s->active) ps_members_leave_unused(ps_container(node, ps_job, of_state));
}
