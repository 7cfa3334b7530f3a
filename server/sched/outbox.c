/* Happy path: the thread that gives the mutex back takes entries off the front, one at a time,
 * until there are none. Cannot fail. */
#include "server/sched/outbox.h"

#include "common/base/mutex.h"

void ps_outbox_init(ps_outbox *outbox, ps_mutex *mutex)
{
    *outbox = (ps_outbox){.mutex = mutex};
    ps_list_init(&outbox->entries);
    ps_list_init(&outbox->late);
}

static void require_whole(const ps_outbox_entry *entry)
{
    PS_REQUIRE(entry->run && entry->drop);
    PS_REQUIRE(!entry->link.next || ps_list_empty(&entry->link)); /* once, in one place */
}

void ps_outbox_add(ps_outbox *outbox, ps_outbox_entry *entry)
{
    ps_mutex_require_held(outbox->mutex);
    require_whole(entry);
    ps_list_append(&outbox->entries, &entry->link);
}

void ps_outbox_add_late(ps_outbox *outbox, ps_outbox_entry *entry)
{
    ps_mutex_require_held(outbox->mutex);
    require_whole(entry);
    ps_list_append(&outbox->late, &entry->link);
}

static void put_late_ones_in(ps_outbox *outbox)
{
    ps_list_each_safe(node, &outbox->late)
    {
        ps_list_remove(node);
        ps_list_append(&outbox->entries, node);
    }
}

static ps_outbox_entry *take_first(ps_outbox *outbox)
{
    ps_outbox_entry *entry = ps_container(outbox->entries.next, ps_outbox_entry, link);
    ps_list_remove(&entry->link);
    return entry;
}

void ps_outbox_drop_all(ps_outbox *outbox)
{
    ps_mutex_require_held(outbox->mutex);
    PS_REQUIRE(!outbox->running);
    put_late_ones_in(outbox);
    while (!ps_list_empty(&outbox->entries)) {
        ps_outbox_entry *entry = take_first(outbox);
        entry->drop(entry);
    }
}

bool ps_outbox_runs_here(const ps_outbox *outbox)
{
    ps_mutex_require_held(outbox->mutex);
    return outbox->running && pthread_equal(outbox->runner, pthread_self());
}

static bool any_left(ps_outbox *outbox, void (*due)(void *), void *user)
{
    ps_mutex_require_held(outbox->mutex);
    due(user);
    put_late_ones_in(outbox);
    return !ps_list_empty(&outbox->entries);
}

void ps_outbox_run_and_unlock(ps_outbox *outbox, void (*due)(void *), void *user)
{
    bool others = outbox->running; /* another thread, or this one further up, sees to them */
    bool any = any_left(outbox, due, user);
    if (!others && any) {
        outbox->running = true;
        outbox->runner = pthread_self();
        do {
            ps_outbox_entry *entry = take_first(outbox);
            ps_mutex_unlock(outbox->mutex);
            entry->run(entry);
            ps_mutex_lock(outbox->mutex);
            entry->drop(entry);
        } while (any_left(outbox, due, user));
        outbox->running = false;
    }
    ps_mutex_unlock(outbox->mutex);
}
