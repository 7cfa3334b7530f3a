/* Happy path: the known workers, by name, for people. Cannot fail. */
#include "common/base/mem.h"
#include "server/sched/attach.h"
#include "server/sched/worker.h"

#include <stdlib.h>
#include <string.h>

static const char *state_name(ps_worker_state state)
{
    static const char *const names[PS_WORKER_STATES] = {
        [PS_WORKER_IDLE] = "idle",     [PS_WORKER_BUSY] = "busy", [PS_WORKER_DRAINING] = "draining",
        [PS_WORKER_SILENT] = "silent", [PS_WORKER_LEFT] = "left",
    };
    return names[state];
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
    w->certificate_expires_ms = worker->certificate_ms;
    w->state = ps_strdup(state_name(ps_worker_state_of(s, worker)));
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

static int by_name(const void *a, const void *b)
{
    return strcmp((*(ps_worker *const *)a)->name, (*(ps_worker *const *)b)->name);
}

/* Those after `after`, by name: *n of them. */
static ps_worker **sorted(ps_sched *s, const char *after, size_t *n)
{
    size_t all = 0;
    ps_list_each(node, &s->workers) all++;
    ps_worker **out = ps_alloc_array(all + 1, sizeof(ps_worker *));
    *n = 0;
    ps_list_each(node, &s->workers)
    {
        ps_worker *worker = ps_container(node, ps_worker, link);
        if (strcmp(worker->name, after) > 0)
            out[(*n)++] = worker;
    }
    qsort(out, *n, sizeof *out, by_name);
    return out;
}

Psd__V1__ListWorkersResponse *ps_sched_workers(ps_sched *s, const char *after, size_t limit)
{
    Psd__V1__ListWorkersResponse *r = ps_new(Psd__V1__ListWorkersResponse);
    psd__v1__list_workers_response__init(r);
    size_t n;
    ps_core_lock(s);
    ps_worker **workers = sorted(s, after, &n);
    if (limit && n > limit)
        n = limit;
    r->workers = ps_alloc_array(n + 1, sizeof *r->workers);
    while (r->n_workers < n) {
        r->workers[r->n_workers] = describe(s, workers[r->n_workers]);
        r->n_workers++;
    }
    ps_core_unlock(s);
    free(workers);
    return r;
}
