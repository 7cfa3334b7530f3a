/* Looking workers up. Cannot fail. */
#include "server/sched/worker.h"

#include "common/base/mem.h"

#include <string.h>

ps_worker *ps_worker_find_session(ps_sched *s, uint64_t session)
{
    ps_core_require_locked(s);
    ps_list_each(node, &s->workers)
    {
        ps_worker *worker = ps_container(node, ps_worker, link);
        if (session != 0 && worker->session == session)
            return worker;
    }
    return NULL;
}

ps_worker *ps_worker_find_name(ps_sched *s, const char *name)
{
    ps_core_require_locked(s);
    ps_list_each(node, &s->workers)
    {
        ps_worker *worker = ps_container(node, ps_worker, link);
        if (strcmp(worker->name, name) == 0)
            return worker;
    }
    return NULL;
}

/* A worker that says nothing of kinds does all. */
bool ps_worker_does(const ps_worker *worker, const ps_task_kind *kind)
{
    const ps_hello *hello = &worker->hello;
    for (size_t i = 0; i < hello->n_kinds; i++)
        if (strcmp(hello->kinds[i], kind->name) == 0 ||
            (kind->also && strcmp(hello->kinds[i], kind->also) == 0))
            return true;
    return hello->n_kinds == 0;
}

bool ps_worker_others(const ps_worker *worker, ps_sched *s, const ps_task_kind *kind)
{
    ps_core_require_locked(s);
    ps_list_each(node, &s->workers)
    {
        const ps_worker *other = ps_container(node, ps_worker, link);
        if (other != worker && other->session != 0 && ps_worker_does(other, kind))
            return true;
    }
    return false;
}

bool ps_worker_has_slot(const ps_worker *worker, bool inference)
{
    if (worker->n_leases >= worker->slots)
        return false;
    if (worker->train_slots == worker->slots)
        return true;
    return inference ? worker->n_inference < worker->slots - worker->train_slots
                     : worker->n_leases - worker->n_inference < worker->train_slots;
}

ps_worker_state ps_worker_state_of(const ps_sched *s, const ps_worker *worker)
{
    ps_core_require_locked(s);
    if (worker->left)
        return PS_WORKER_LEFT;
    if (worker->silent || worker->session == 0)
        return PS_WORKER_SILENT;
    if (s->draining || ps_core_now(s) < worker->stopping_ns)
        return PS_WORKER_DRAINING;
    return worker->n_leases ? PS_WORKER_BUSY : PS_WORKER_IDLE;
}

/* ---- what it is told ---- */

typedef struct message {
    ps_outbox_entry entry;
    ps_sched *sched;
    uint64_t session, lease_id;
    char *reason;
} message;

static void message_drop(ps_outbox_entry *entry)
{
    message *m = ps_container(entry, message, entry);
    free(m->reason);
    free(m);
}

static void tell(ps_sched *s, void (*run)(ps_outbox_entry *), uint64_t session, uint64_t lease_id,
                 const char *reason)
{
    ps_core_require_locked(s);
    PS_REQUIRE(session != 0);
    message *m = ps_new(message);
    *m = (message){.entry = {.run = run, .drop = message_drop},
                   .sched = s,
                   .session = session,
                   .lease_id = lease_id,
                   .reason = ps_strdup(reason)};
    ps_outbox_add(&s->outbox, &m->entry);
}

static void cancel_run(ps_outbox_entry *entry)
{
    const message *m = ps_container(entry, message, entry);
    m->sched->out.workers->send_cancel(m->sched->out.workers_user, m->session, m->lease_id,
                                       m->reason);
}

void ps_worker_tell_cancel(ps_sched *s, uint64_t session, uint64_t lease_id, const char *reason)
{
    tell(s, cancel_run, session, lease_id, reason);
}

static void drop_run(ps_outbox_entry *entry)
{
    const message *m = ps_container(entry, message, entry);
    m->sched->out.workers->drop_session(m->sched->out.workers_user, m->session, m->reason);
}

void ps_worker_tell_drop(ps_sched *s, uint64_t session, const char *reason)
{
    tell(s, drop_run, session, 0, reason);
}
