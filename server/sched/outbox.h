/* outbox: what has been decided under a mutex and must happen without it, in order.
 *
 * Entries are put in with the mutex held and run without it, by the thread that gives the mutex
 * back first; while one thread runs them, others only add. So everything outside happens one at a
 * time and in the order of the decisions, and what runs may call back in (what it causes comes
 * after). Writing a job's state into the catalog is such an entry too: the mutex is never held over
 * a disk.
 *
 * A queue and no more: an entry is a member of its owner's struct, which says what it does.
 */
#ifndef PS_SCHED_OUTBOX_H
#define PS_SCHED_OUTBOX_H

#include "common/base/list.h"
#include "common/base/mutex.h"

#include <pthread.h>
#include <stdbool.h>

typedef struct ps_outbox_entry {
    ps_list link;
    void (*run)(struct ps_outbox_entry *entry);  /* without the mutex */
    void (*drop)(struct ps_outbox_entry *entry); /* then, with it; or without having run: frees */
} ps_outbox_entry;

typedef struct ps_outbox {
    ps_mutex *mutex; /* its owner's, which guards all of this */
    ps_list entries;
    ps_list late; /* what of this time in the mutex comes behind all else of it */
    bool running;
    pthread_t runner; /* valid while running */
} ps_outbox;

/* Borrows the mutex. All that follows: with the mutex held. */
void ps_outbox_init(ps_outbox *outbox, ps_mutex *mutex);
void ps_outbox_drop_all(ps_outbox *outbox); /* they never happen */
/* Takes the entry, whose hooks are set. */
void ps_outbox_add(ps_outbox *outbox, ps_outbox_entry *entry);
void ps_outbox_add_late(ps_outbox *outbox, ps_outbox_entry *entry);
/* Is this thread in the middle of an entry? */
bool ps_outbox_runs_here(const ps_outbox *outbox);
/* Returns without the mutex. due(user) is called with it before each look for an entry, and may add
 * some: an entry that took the mutex may have left something to be seen to. */
void ps_outbox_run_and_unlock(ps_outbox *outbox, void (*due)(void *user), void *user);

#endif
