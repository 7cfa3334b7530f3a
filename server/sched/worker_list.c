/* Happy path: the known workers, by name, for people. Cannot fail. */
#include "common/base/mem.h"
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

/* Of the leases that it holds, each once. */
static void list_jobs(const ps_worker *worker, ps_worker_info *out)
{
    out->jobs = ps_alloc_array(worker->n_leases + 1, sizeof *out->jobs);
    ps_list_each(node, &worker->leases)
    {
        const ps_lease *lease = ps_container(node, ps_lease, of_worker);
        bool known = !lease->job;
        for (size_t i = 0; !known && i < out->n_jobs; i++)
            known = out->jobs[i] == lease->job->record->id;
        if (!known)
            out->jobs[out->n_jobs++] = lease->job->record->id;
    }
}

static void describe(const ps_sched *s, const ps_worker *worker, ps_worker_info *out)
{
    *out = (ps_worker_info){.name = ps_strdup(worker->name),
                            .address = ps_strdup(worker->address),
                            .attached_ms = worker->attached_ms,
                            .heard_ms = worker->heard_ms,
                            .certificate_starts_ms = worker->certificate_from_ms,
                            .certificate_expires_ms = worker->certificate_ms,
                            .state = state_name(ps_worker_state_of(s, worker))};
    ps_hello_copy(&worker->hello, &out->hello);
    list_jobs(worker, out);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(ps_worker *const *)a)->name, (*(ps_worker *const *)b)->name);
}

/* Those after `after`, by name: *n of them. */
static ps_worker **sorted(ps_sched *s, const char *after, size_t *n)
{
    ps_core_require_locked(s);
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

ps_worker_info *ps_sched_workers(ps_sched *s, const char *after, size_t limit, size_t *n)
{
    ps_core_lock(s);
    ps_worker **workers = sorted(s, after, n);
    if (limit && *n > limit)
        *n = limit;
    ps_worker_info *out = ps_alloc_array(*n + 1, sizeof *out);
    for (size_t i = 0; i < *n; i++)
        describe(s, workers[i], &out[i]);
    ps_core_unlock(s);
    free(workers);
    return out;
}

void ps_worker_infos_free(ps_worker_info **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ps_worker_info *info = &(*list)[i];
        free(info->name);
        free(info->address);
        free(info->jobs);
        ps_hello_clear(&info->hello);
    }
    ps_free(list);
}
