/* Happy path: the known workers, for people. Cannot fail. */
#include "common/base/mem.h"
#include "server/sched/core.h"

#include <string.h>

static const char *state_of(const ps_sched *s, const ps_worker *worker)
{
    if (worker->silent || worker->session == 0)
        return "silent";
    if (s->draining || ps_core_now(s) < worker->stopping_ns)
        return "draining";
    return worker->n_leases ? "busy" : "idle";
}

static Psd__V1__Worker *describe(const ps_sched *s, const ps_worker *worker)
{
    Psd__V1__Worker *w = ps_new(Psd__V1__Worker);
    psd__v1__worker__init(w);
    w->name = ps_strdup(worker->name);
    w->address = ps_strdup(worker->address);
    w->hello = ps_worker_hello_copy(worker->hello);
    w->attached_ms = worker->attached_ms;
    w->heard_ms = worker->heard_ms;
    w->state = ps_strdup(state_of(s, worker));
    w->jobs = ps_alloc_array(worker->n_leases + 1, sizeof *w->jobs);
    ps_list_each(node, &worker->leases)
    {
        const ps_lease *lease = ps_container(node, ps_lease, of_worker);
        bool known = !lease->job;
        for (size_t i = 0; !known && i < w->n_jobs; i++)
            known = w->jobs[i] == lease->job->record->id;
        if (!known)
            w->jobs[w->n_jobs++] = lease->job->record->id;
    }
    return w;
}

Psd__V1__ListWorkersResponse *ps_sched_workers(ps_sched *s)
{
    Psd__V1__ListWorkersResponse *r = ps_new(Psd__V1__ListWorkersResponse);
    psd__v1__list_workers_response__init(r);
    pthread_mutex_lock(&s->mutex);
    size_t n = 0;
    ps_list_each(node, &s->workers) n++;
    r->workers = ps_alloc_array(n + 1, sizeof *r->workers);
    ps_list_each(node, &s->workers) r->workers[r->n_workers++] =
        describe(s, ps_container(node, ps_worker, link));
    pthread_mutex_unlock(&s->mutex);
    return r;
}
