/* What a job waits for, in words for people: asked when somebody looks, so that it costs nothing
 * while nobody does. Cannot fail. */
#include "server/sched/waits.h"

#include "server/sched/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void queued(const ps_job *job, char out[PS_WAITS_MAX])
{
    const ps_sched *s = job->sched;
    int64_t needed = job->spec->min_workers > 1 ? job->spec->min_workers : 1;
    ps_tally now;
    ps_tally_count(s, &now);
    uint32_t running = now.running[job->kind->inference];
    if (s->draining)
        (void)snprintf(out, PS_WAITS_MAX, "waits: psd is draining and starts no jobs");
    else if (running >= s->conf.max_running)
        (void)snprintf(out, PS_WAITS_MAX, "waits its turn: jobs running: %u, at most %u may",
                       running, s->conf.max_running);
    else if (now.here < needed)
        (void)snprintf(out, PS_WAITS_MAX, "waits for workers: %u here, %" PRId64 " needed",
                       now.here, needed);
}

enum { JOBS_NAMED = 3 };

/* The workers that there are, for a job that none works for. */
typedef struct workers {
    uint32_t here, able, stopping, busy; /* able: of those here; the others: of those able */
    uint64_t jobs[JOBS_NAMED];           /* that keep them busy: some */
    size_t n_jobs;
} workers;

static void note_job(workers *w, const ps_lease *lease)
{
    for (size_t i = 0; lease->job && i < w->n_jobs; i++)
        if (w->jobs[i] == lease->job->record->id)
            return;
    if (lease->job && w->n_jobs < JOBS_NAMED)
        w->jobs[w->n_jobs++] = lease->job->record->id;
}

static void look_at(workers *w, const ps_job *job, const ps_worker *worker)
{
    if (worker->session == 0)
        return;
    w->here++;
    if (!ps_worker_does(worker, job->kind->task))
        return;
    w->able++;
    if (ps_core_now(job->sched) < worker->stopping_ns) {
        w->stopping++;
    } else if (!ps_worker_has_slot(worker, job->kind->inference)) {
        w->busy++;
        ps_list_each(node, &worker->leases)
        {
            note_job(w, ps_container(node, ps_lease, of_worker));
        }
    }
}

static void put_busy(const workers *w, const char *task, char out[PS_WAITS_MAX])
{
    int at = snprintf(out, PS_WAITS_MAX, "waits for a worker: %u here, %u of %u for %s tasks busy",
                      w->here, w->busy, w->able, task);
    for (size_t i = 0; i < w->n_jobs && at < PS_WAITS_MAX; i++)
        at += snprintf(out + at, (size_t)(PS_WAITS_MAX - at), "%s%" PRIu64,
                       i               ? ", "
                       : w->n_jobs > 1 ? " with jobs "
                                       : " with job ",
                       w->jobs[i]);
    if (w->stopping && at < PS_WAITS_MAX)
        (void)snprintf(out + at, (size_t)(PS_WAITS_MAX - at), ", %u stopping", w->stopping);
}

static void running(const ps_job *job, char out[PS_WAITS_MAX])
{
    const char *task = job->kind->task->name;
    workers w = {0};
    ps_list_each(node, &job->sched->workers)
    {
        look_at(&w, job, ps_container(node, ps_worker, link));
    }
    if (job->sched->draining)
        (void)snprintf(out, PS_WAITS_MAX, "waits: psd is draining and gives out no tasks");
    else if (w.here == 0)
        (void)snprintf(out, PS_WAITS_MAX, "waits for workers: 0 here, 1 needed");
    else if (w.able == 0)
        (void)snprintf(out, PS_WAITS_MAX, "waits for a worker that does %s tasks: %u here, 0 do",
                       task, w.here);
    else if (w.busy + w.stopping == w.able)
        put_busy(&w, task, out);
    else
        (void)snprintf(out, PS_WAITS_MAX, "waits a moment before a task is tried again");
}

void ps_job_waits_for(const ps_job *job, char out[PS_WAITS_MAX])
{
    ps_core_require_locked(job->sched);
    out[0] = 0;
    if (!job->spec) /* read from the catalog for somebody who watches */
        return;
    if (job->record->state == PS_JOB_QUEUED)
        queued(job, out);
    else if (ps_job_runs(job) && job->work && ps_list_empty(&job->leases) && !job->waiting &&
             !job->finish_ns && !job->again)
        running(job, out);
}
