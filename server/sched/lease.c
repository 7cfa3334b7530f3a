/* Happy path: begun, answered, ended. A lease is known to its worker, to its job and to the index
 * that pushes are checked against; it enters and leaves all three together. */
#include "server/sched/lease.h"

#include "common/base/mem.h"
#include "server/sched/book.h"
#include "server/sched/members.h"
#include "server/sched/send.h"
#include "server/sched/worker.h"

#include <inttypes.h>
#include <stdlib.h>

ps_lease *ps_lease_begin(ps_job *job, ps_worker *worker, const ps_lease *task)
{
    ps_core_require_locked(job->sched);
    PS_REQUIRE(ps_job_runs(job) && worker->session && worker->n_leases < worker->slots);
    ps_sched *s = job->sched;
    ps_lease *lease = ps_new(ps_lease);
    *lease = *task;
    lease->id = s->next_lease++;
    lease->job = job;
    lease->worker = worker;
    lease->inference = job->kind->inference;
    ps_list_append(&job->leases, &lease->of_job);
    ps_list_append(&worker->leases, &lease->of_worker);
    job->n_leases++;
    worker->n_leases++;
    worker->n_inference += lease->inference;
    worker->used_ns = ps_core_now(s);
    worker->last_job = job->record->id;
    ps_lease_index_add(&s->index, worker->name, job->record->id);
    if (job->kind->keeps_model) {
        free(worker->last_model);
        worker->last_model = ps_strdup(job->record->model_version);
    }
    if (lease->kind->trains) {
        ps_book_begin(lease);
        ps_members_add(job, worker->name);
    }
    s->tasks_sent++;
    ps_send_task(lease);
    ps_log_debug("sched",
                 "lease=%" PRIu64 " begins job=%" PRIu64 " worker=%s task=%s epoch=%u rows=%" PRIu64
                 "..%" PRIu64,
                 lease->id, job->record->id, worker->name, lease->kind->name, lease->piece.epoch,
                 lease->piece.begin, lease->piece.end);
    return lease;
}

void ps_lease_adopt(ps_worker *worker, uint64_t id, uint64_t now_ns)
{
    ps_lease *lease = ps_new(ps_lease);
    *lease = (ps_lease){.id = id, .worker = worker, .cancelled = true, .cancelled_ns = now_ns};
    ps_list_append(&worker->leases, &lease->of_worker);
    worker->n_leases++;
}

ps_lease *ps_lease_find(ps_worker *worker, uint64_t id)
{
    ps_list_each(node, &worker->leases)
    {
        ps_lease *lease = ps_container(node, ps_lease, of_worker);
        if (lease->id == id)
            return lease;
    }
    return NULL;
}

void ps_lease_orphan(ps_lease *lease)
{
    ps_job *job = lease->job;
    if (!job)
        return;
    ps_core_require_locked(job->sched);
    PS_REQUIRE(lease->cancelled || job->n_leases > 0);
    ps_lease_index_remove(&job->sched->index, lease->worker->name, job->record->id);
    ps_list_remove(&lease->of_job);
    if (!lease->cancelled)
        job->n_leases--;
    job->sched->freed = true;
    lease->job = NULL;
}

void ps_lease_end(ps_lease *lease)
{
    ps_trace("sched", "lease=%" PRIu64 " ends worker=%s", lease->id, lease->worker->name);
    ps_lease_orphan(lease);
    PS_REQUIRE(lease->worker->n_leases > 0);
    PS_REQUIRE(lease->worker->n_inference >= lease->inference);
    ps_list_remove(&lease->of_worker);
    lease->worker->n_leases--;
    lease->worker->n_inference -= lease->inference;
    free(lease);
}

void ps_lease_lose(ps_lease *lease)
{
    ps_job *job = lease->job;
    if (job) {
        job->sched->leases_lost++;
        if (ps_job_runs(job))
            lease->kind->back(job, lease, false, "");
    }
    ps_lease_end(lease);
}

void ps_lease_cancel(ps_lease *lease, const char *reason)
{
    PS_REQUIRE(lease->job && !lease->cancelled);
    lease->cancelled = true;
    lease->cancelled_ns = ps_core_now(lease->job->sched);
    lease->job->n_leases--;
    if (lease->worker->session)
        ps_worker_tell_cancel(lease->job->sched, lease->worker->session, lease->id, reason);
}
