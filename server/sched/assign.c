/* Who gets what. Queued jobs start in the order of their submission, as long as max_running allows
 * and enough workers are there (one that waits for workers does not hold up those behind it). Then,
 * again and again, the running job with the fewest leases gets a task for one of the workers with a
 * free slot, until no job can use any: so slots are shared evenly up to what each job wants. A job
 * over its share gives way when one of its (short) tasks ends; nothing is taken from it.
 *
 * Jobs on stored models are short, and somebody waits for their answer: they are counted apart, so
 * that trainings do not keep them from starting, have slots of their own where the worker has some
 * (train_slots), and are given theirs before any training gets its next task.
 *
 * Of the free workers a job gets one that had its last task (data and code are warm there), or, to
 * generate, the last of its model (which is still loaded there), else
 * the least loaded, else the one that has waited longest. */
#include "server/sched/assign.h"

#include "server/sched/job.h"
#include "server/sched/lease.h"
#include "server/sched/worker.h"

#include <stdlib.h>
#include <string.h>

static bool may_start(const ps_tally *now, const ps_job *job)
{
    return now->here >= (job->spec->min_workers > 1 ? job->spec->min_workers : 1);
}

/* Could one of those start that could not when they were last looked at? */
static bool worth_a_look(const ps_sched *s, const ps_tally *now, int inference)
{
    const ps_tally *then = &s->tally;
    return s->newly_queued || now->here > then->here ||
           now->running[inference] < then->running[inference];
}

static void start_some(ps_sched *s, ps_tally *now, int inference)
{
    ps_list_each_safe(node, &s->queued[inference])
    {
        ps_job *job = ps_container(node, ps_job, of_state);
        if (now->running[inference] >= s->conf.max_running || now->here == 0)
            break;
        if (!may_start(now, job))
            continue;
        ps_job_start(job);
        now->running[inference]++;
    }
}

static void start_jobs(ps_sched *s)
{
    ps_tally now;
    ps_tally_count(s, &now);
    for (int inference = 0; inference < 2; inference++)
        if (worth_a_look(s, &now, inference))
            start_some(s, &now, inference);
    s->newly_queued = false;
    s->tally = now;
}

static bool is_warm(const ps_job *job, const ps_worker *worker)
{
    if (worker->last_job == job->record->id)
        return true;
    return job->kind->keeps_model && worker->last_model &&
           strcmp(worker->last_model, job->record->model_version) == 0;
}

static bool is_free(const ps_worker *worker, uint64_t now)
{
    return worker->session != 0 && now >= worker->stopping_ns && worker->n_leases < worker->slots;
}

typedef struct candidate {
    ps_worker *worker;
    bool warm;
} candidate;

/* The best for its job first. */
static int by_merit(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->warm != y->warm)
        return x->warm ? -1 : 1;
    if (x->worker->n_leases != y->worker->n_leases)
        return x->worker->n_leases < y->worker->n_leases ? -1 : 1;
    if (x->worker->used_ns != y->worker->used_ns)
        return x->worker->used_ns < y->worker->used_ns ? -1 : 1;
    return strcmp(x->worker->name, y->worker->name);
}

/* One task of the job to the best worker that can take one. */
static bool give_one(ps_job *job, ps_worker *const *free_workers, size_t n_free)
{
    candidate at[PS_ASSIGN_TRIES];
    size_t n = 0;
    for (size_t i = 0; i < n_free; i++)
        if (ps_worker_has_slot(free_workers[i], job->kind->inference))
            at[n++] = (candidate){free_workers[i], is_warm(job, free_workers[i])};
    qsort(at, n, sizeof *at, by_merit);
    for (size_t i = 0; i < n; i++) {
        ps_lease task = {0};
        if (!job->kind->next(job, at[i].worker, &task))
            continue;
        ps_lease_begin(job, at[i].worker, &task);
        return true;
    }
    return false;
}

static size_t collect_free(ps_sched *s, ps_worker *out[PS_ASSIGN_TRIES])
{
    ps_core_require_locked(s);
    size_t n = 0;
    uint64_t now = ps_core_now(s);
    ps_list_each(node, &s->workers)
    {
        ps_worker *worker = ps_container(node, ps_worker, link);
        if (is_free(worker, now) && n < PS_ASSIGN_TRIES)
            out[n++] = worker;
    }
    return n;
}

/* Is it a's turn before b's? Those on stored models, then those with fewer leases, then older. */
static bool before(const ps_job *a, const ps_job *b)
{
    if (a->kind->inference != b->kind->inference)
        return a->kind->inference;
    if (a->n_leases != b->n_leases)
        return a->n_leases < b->n_leases;
    return a->record->id < b->record->id;
}

/* The running job whose turn comes next after that one's; NULL: the first. */
static ps_job *next_job(ps_sched *s, const ps_job *after)
{
    ps_job *best = NULL;
    ps_list_each(node, &s->active)
    {
        ps_job *job = ps_container(node, ps_job, of_state);
        if (ps_job_runs(job) && job->work && (!after || before(after, job)) &&
            (!best || before(job, best)))
            best = job;
    }
    return best;
}

static bool give_any(ps_sched *s)
{
    ps_worker *free_workers[PS_ASSIGN_TRIES];
    size_t n = collect_free(s, free_workers);
    for (ps_job *job = NULL; n > 0 && (job = next_job(s, job));)
        if (give_one(job, free_workers, n))
            return true;
    return false;
}

void ps_assign(ps_sched *s)
{
    ps_core_require_locked(s);
    if (s->draining || !s->recovered)
        return;
    start_jobs(s);
    while (give_any(s))
        ;
}
