/* Who gets what. Queued jobs start in the order of their submission, as long as max_running allows
 * and enough workers are there (one that waits for workers does not hold up those behind it). Then,
 * again and again, the running job with the fewest leases gets a task for one of the workers with a
 * free slot, until no job can use any: so slots are shared evenly up to what each job wants. A job
 * over its share gives way when one of its (short) tasks ends; nothing is taken from it.
 *
 * Of the free workers a job gets one that had its last task (data and code are warm there), or, to
 * generate, the last of its model (which is still loaded there), else
 * the least loaded, else the one that has waited longest. */
#include "common/base/mem.h"
#include "server/sched/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint32_t workers_here(const ps_sched *s)
{
    uint32_t n = 0;
    ps_list_each(node, &s->workers) n += ps_container(node, ps_worker, link)->session != 0;
    return n;
}

/* Why a queued job still waits, for people. */
static void say_why(ps_job *job, const char *why)
{
    if (strcmp(job->record->reason, why) == 0)
        return;
    free(job->record->reason);
    job->record->reason = ps_strdup(why);
    ps_job_changed(job);
}

static void start_jobs(ps_sched *s)
{
    uint32_t running = 0;
    uint32_t here = workers_here(s);
    ps_list_each(node, &s->jobs)
    {
        ps_job_state state = ps_container(node, ps_job, link)->record->state;
        running += state == PS_JOB_RUNNING || state == PS_JOB_CANCELLING;
    }
    ps_list_each(node, &s->jobs)
    {
        ps_job *job = ps_container(node, ps_job, link);
        char why[96];
        if (job->record->state != PS_JOB_QUEUED)
            continue;
        if (running >= s->conf.max_running) {
            (void)snprintf(why, sizeof why, "waits its turn: jobs running: %u, at most %u may",
                           running, s->conf.max_running);
            say_why(job, why);
        } else if (here == 0 || here < job->spec->min_workers) {
            (void)snprintf(why, sizeof why, "waits for workers: %u here, %" PRId64 " needed", here,
                           job->spec->min_workers > 1 ? job->spec->min_workers : 1);
            say_why(job, why);
        } else {
            ps_job_start(job);
            running++;
        }
    }
}

static bool is_warm(const ps_job *job, const ps_worker *worker)
{
    if (worker->last_job == job->record->id)
        return true;
    return job->spec->kind == PS_SPEC_GENERATE && worker->last_model &&
           strcmp(worker->last_model, job->record->model_version) == 0;
}

/* Is a better than b for this job? */
static bool better(const ps_job *job, const ps_worker *a, const ps_worker *b)
{
    bool warm_a = is_warm(job, a), warm_b = is_warm(job, b);
    if (warm_a != warm_b)
        return warm_a;
    if (a->n_leases != b->n_leases)
        return a->n_leases < b->n_leases;
    return a->used_ns < b->used_ns;
}

static bool is_free(const ps_worker *worker, uint64_t now)
{
    return worker->session != 0 && now >= worker->stopping_ns && worker->n_leases < worker->slots;
}

/* One task of the job to the best worker that can take one. */
static bool give_one(ps_job *job, ps_worker **free_workers, size_t n)
{
    bool tried[PS_ASSIGN_TRIES] = {false};
    uint64_t now = ps_core_now(job->sched);
    for (size_t round = 0; round < n; round++) {
        size_t best = n;
        for (size_t i = 0; i < n; i++)
            if (!tried[i] && is_free(free_workers[i], now) &&
                (best == n || better(job, free_workers[i], free_workers[best])))
                best = i;
        if (best == n)
            return false;
        tried[best] = true;
        ps_lease task = {0};
        if (!job->kind->next(job, free_workers[best], &task))
            continue;
        ps_lease_begin(job, free_workers[best], &task);
        return true;
    }
    return false;
}

static size_t collect_free(ps_sched *s, ps_worker *out[PS_ASSIGN_TRIES])
{
    size_t n = 0;
    ps_list_each(node, &s->workers)
    {
        ps_worker *worker = ps_container(node, ps_worker, link);
        if (is_free(worker, ps_core_now(s)) && n < PS_ASSIGN_TRIES)
            out[n++] = worker;
    }
    return n;
}

/* The running job that has the fewest leases, after (fewest, oldest) = (*leases, *id). */
static ps_job *next_job(ps_sched *s, uint32_t *leases, uint64_t *id, bool first)
{
    ps_job *best = NULL;
    ps_list_each(node, &s->jobs)
    {
        ps_job *job = ps_container(node, ps_job, link);
        bool after =
            first || job->n_leases > *leases || (job->n_leases == *leases && job->record->id > *id);
        if (!ps_job_runs(job) || !after)
            continue;
        if (!best || job->n_leases < best->n_leases)
            best = job; /* the list is oldest first */
    }
    if (best) {
        *leases = best->n_leases;
        *id = best->record->id;
    }
    return best;
}

static bool give_any(ps_sched *s)
{
    ps_worker *free_workers[PS_ASSIGN_TRIES];
    size_t n = collect_free(s, free_workers);
    uint32_t leases = 0;
    uint64_t id = 0;
    bool first = true;
    for (ps_job *job; n > 0 && (job = next_job(s, &leases, &id, first)); first = false)
        if (give_one(job, free_workers, n))
            return true;
    return false;
}

void ps_assign(ps_sched *s)
{
    if (s->draining || !s->recovered)
        return;
    start_jobs(s);
    while (give_any(s))
        ;
}
