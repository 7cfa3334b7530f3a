/* Happy path: a worker attaches, is heard of, and detaches. One that is silent for too long loses
 * its leases; one that comes back in time keeps those it says it still has. A worker is its
 * certificate's name: of two daemons with one name the later wins, and the earlier is told to go.
 * What workers say between is in reports.c. */
#include "server/sched/attach.h"

#include "common/base/mem.h"
#include "server/sched/job.h"
#include "server/sched/lease.h"
#include "server/sched/turn.h"
#include "server/sched/worker.h"

#include <inttypes.h>
#include <string.h>

enum { SLOTS_MAX = 64 };
/* So long one that is silent or has left is still listed. */
#define FORGET_NS (3600 * UINT64_C(1000000000))
/* How long others wait for a worker whose connection has ended: it may be on its way back, and
 * tries after a quarter of a second (psworker.yaml, reconnect.min). */
#define RETURN_NS UINT64_C(1000000000)

void ps_worker_free(ps_worker *worker)
{
    PS_REQUIRE(ps_list_empty(&worker->leases) && worker->n_leases == 0);
    ps_list_remove(&worker->link);
    ps_hello_clear(&worker->hello);
    free(worker->address);
    free(worker->last_model);
    free(worker);
}

static bool lists_lease(const ps_hello *hello, uint64_t id)
{
    for (size_t i = 0; i < hello->n_leases; i++)
        if (hello->leases[i] == id)
            return true;
    return false;
}

/* The worker's side and ours are made to agree on what it holds. */
static void reconcile(ps_sched *s, ps_worker *worker, const ps_hello *hello)
{
    ps_list_each_safe(node, &worker->leases)
    {
        ps_lease *lease = ps_container(node, ps_lease, of_worker);
        if (!lists_lease(hello, lease->id))
            ps_lease_lose(lease); /* the task never reached it, or it has started anew */
    }
    for (size_t i = 0; i < hello->n_leases; i++) {
        const ps_lease *lease = ps_lease_find(worker, hello->leases[i]);
        if (!lease) {
            ps_worker_tell_cancel(s, worker->session, hello->leases[i], "the lease has expired");
            if (worker->n_leases < SLOTS_MAX)
                ps_lease_adopt(worker, hello->leases[i], ps_core_now(s));
        }
        if (lease && lease->cancelled)
            ps_worker_tell_cancel(s, worker->session, lease->id, "the job has been cancelled");
    }
}

void ps_worker_heard(ps_sched *s, ps_worker *worker)
{
    ps_core_require_locked(s);
    worker->heard_ns = ps_core_now(s);
    worker->heard_ms = ps_clock_wall_ms(&s->conf.clock);
    worker->silent = false;
}

static ps_worker *make_worker(ps_sched *s, const char *name)
{
    PS_REQUIRE(strlen(name) < PS_WORKER_MAX);
    ps_worker *worker = ps_new(ps_worker);
    memcpy(worker->name, name, strlen(name) + 1);
    ps_list_init(&worker->leases);
    ps_list_append(&s->workers, &worker->link);
    return worker;
}

/* An earlier psworker is refused even when the later one is gone: whatever the later has pushed
 * makes the earlier one's pushes void. */
static ps_status check_incarnation(const ps_worker *worker, const ps_hello *hello)
{
    if (hello->incarnation >= worker->hello.incarnation)
        return PS_OK;
    if (worker->left || worker->silent)
        return ps_fail(PS_ABORTED,
                       "worker %s: a later psworker of this name was attached and has gone; say "
                       "hello as a new incarnation",
                       worker->name);
    return ps_fail(PS_FAILED_PRECONDITION,
                   "worker %s: a later psworker of this name is attached from %s; two daemons need "
                   "two certificates",
                   worker->name, worker->address);
}

static ps_status attach(ps_sched *s, uint64_t session, const char *name, const char *address,
                        const ps_hello *hello)
{
    ps_worker *worker = ps_worker_find_name(s, name);
    ps_status st = worker ? check_incarnation(worker, hello) : PS_OK;
    if (st)
        return st;
    if (!worker)
        worker = make_worker(s, name);
    if (worker->session)
        ps_worker_tell_drop(s, worker->session, "the worker has attached again");
    ps_hello_clear(&worker->hello);
    ps_hello_copy(hello, &worker->hello);
    free(worker->address);
    worker->address = ps_strdup(address ? address : "");
    worker->session = session;
    worker->detached_ns = 0;
    worker->stopping_ns = 0;
    worker->left = false;
    worker->slots = hello->slots == 0 ? 1 : hello->slots > SLOTS_MAX ? SLOTS_MAX : hello->slots;
    bool mixed = hello->train_slots == 0 || hello->train_slots > worker->slots;
    worker->train_slots = mixed ? worker->slots : hello->train_slots;
    worker->attached_ms = ps_clock_wall_ms(&s->conf.clock);
    ps_worker_heard(s, worker);
    reconcile(s, worker, hello);
    ps_log_info("sched", "worker=%s attached address=%s device=\"%s\" slots=%u leases=%u", name,
                worker->address, worker->hello.device, worker->slots, worker->n_leases);
    return PS_OK;
}

ps_status ps_sched_attach(ps_sched *s, uint64_t session, const char *worker, const char *address,
                          const ps_hello *hello)
{
    ps_status st = ps_hello_check(hello, worker);
    if (st)
        return st;
    ps_error error;
    ps_turn_begin(s);
    st = attach(s, session, worker, address, hello);
    ps_error_save(&error, st);
    ps_turn_end(s);
    return st ? ps_error_raise(&error) : PS_OK;
}

void ps_sched_certified(ps_sched *s, uint64_t session, int64_t starts_ms, int64_t expires_ms)
{
    ps_turn_begin(s);
    ps_worker *worker = ps_worker_find_session(s, session);
    if (worker) {
        worker->certificate_from_ms = starts_ms;
        worker->certificate_ms = expires_ms;
    }
    ps_turn_end(s);
}

void ps_sched_detach(ps_sched *s, uint64_t session)
{
    ps_turn_begin(s);
    ps_worker *worker = ps_worker_find_session(s, session);
    if (worker) {
        worker->session = 0;
        worker->detached_ns = ps_core_now(s);
        ps_log_info("sched", "worker=%s detached leases=%u", worker->name, worker->n_leases);
    }
    ps_turn_end(s);
}

static void give_back(ps_lease *lease)
{
    ps_job *job = lease->job;
    if (job && ps_job_runs(job) && !lease->cancelled)
        lease->kind->back(job, lease, false, "the worker has left");
    ps_lease_end(lease);
}

void ps_sched_leave(ps_sched *s, uint64_t session)
{
    ps_turn_begin(s);
    ps_worker *worker = ps_worker_find_session(s, session);
    if (worker) {
        worker->session = 0;
        worker->left = true;
        ps_log_info("sched", "worker=%s left leases=%u", worker->name, worker->n_leases);
        ps_list_each_safe(node, &worker->leases) give_back(ps_container(node, ps_lease, of_worker));
    }
    ps_turn_end(s);
}

/* Tells every job of the worker's leases once. */
static void say_silent(ps_sched *s, const ps_worker *worker, uint64_t silent_ns)
{
    ps_list_each(node, &s->active)
    {
        ps_job *job = ps_container(node, ps_job, of_state);
        if (ps_lease_index_has(&s->index, worker->name, job->record->id))
            ps_job_say(job, PS_LOG_WARNING, "psd",
                       "worker %s has been silent for %" PRIu64 " s: its work goes to others",
                       worker->name, silent_ns / UINT64_C(1000000000));
    }
}

static void silence(ps_sched *s, ps_worker *worker, uint64_t silent_ns)
{
    ps_core_require_locked(s);
    ps_log_warning("sched", "worker=%s silent ms=%" PRIu64 " leases=%u", worker->name,
                   silent_ns / 1000000, worker->n_leases);
    worker->silent = true;
    say_silent(s, worker, silent_ns);
    ps_list_each_safe(node, &worker->leases) ps_lease_lose(ps_container(node, ps_lease, of_worker));
    if (worker->session)
        ps_worker_tell_drop(s, worker->session, "silent for longer than the lease timeout");
    worker->session = 0;
}

/* Others wait for what it does, and whoever closes a connection is alive or gone: not silent. */
static void lose_waited_for(ps_worker *worker)
{
    ps_list_each_safe(node, &worker->leases)
    {
        ps_lease *lease = ps_container(node, ps_lease, of_worker);
        ps_job *job = lease->job;
        if (!job || !lease->kind->waited_for || !lease->kind->waited_for(job))
            continue;
        ps_job_say(job, PS_LOG_WARNING, "psd",
                   "worker %s has lost its connection: its work goes to others", worker->name);
        ps_lease_lose(lease);
    }
}

/* A worker that lives and never answers for a task that was taken from it gets its slot back in the
 * end: should it still be busy, it will say so. */
static void free_slots(ps_sched *s, ps_worker *worker, uint64_t now)
{
    enum { TIMEOUTS = 4 };
    uint64_t limit_ns = TIMEOUTS * s->conf.lease_timeout_ms * 1000000;
    ps_list_each_safe(node, &worker->leases)
    {
        ps_lease *lease = ps_container(node, ps_lease, of_worker);
        if (!lease->job && now - lease->cancelled_ns > limit_ns)
            ps_lease_end(lease);
    }
}

/* psd itself slept (it was stopped, or the machine was): what workers said meanwhile still waits in
 * its sockets, and that time is nobody's silence. */
static void forgive(ps_sched *s, uint64_t now)
{
    uint64_t slept = s->ticked_ns ? now - s->ticked_ns : 0;
    s->ticked_ns = now;
    if (slept < s->conf.lease_timeout_ms * 1000000 / 2)
        return;
    ps_list_each(node, &s->workers)
    {
        ps_worker *worker = ps_container(node, ps_worker, link);
        uint64_t silent = now - worker->heard_ns;
        worker->heard_ns += slept < silent ? slept : silent;
    }
}

void ps_worker_expire(ps_sched *s)
{
    ps_core_require_locked(s);
    uint64_t now = ps_core_now(s);
    forgive(s, now);
    ps_list_each_safe(node, &s->workers)
    {
        ps_worker *worker = ps_container(node, ps_worker, link);
        uint64_t silent_ns = now - worker->heard_ns;
        free_slots(s, worker, now);
        if (worker->detached_ns && now - worker->detached_ns > RETURN_NS) {
            worker->detached_ns = 0;
            lose_waited_for(worker);
        }
        bool gone = worker->silent || worker->left;
        if (!gone && silent_ns > s->conf.lease_timeout_ms * 1000000)
            silence(s, worker, silent_ns);
        else if (gone && silent_ns > FORGET_NS)
            ps_worker_free(worker);
    }
}
