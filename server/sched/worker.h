/* worker: what can be asked of a worker that is known, and said to it. How one comes and goes is in
 * attach.c. With the mutex. */
#ifndef PS_SCHED_WORKER_H
#define PS_SCHED_WORKER_H

#include "server/sched/core.h"

ps_worker *ps_worker_find_session(ps_sched *sched, uint64_t session); /* NULL: none */
ps_worker *ps_worker_find_name(ps_sched *sched, const char *name);    /* NULL: none */
bool ps_worker_does(const ps_worker *worker, const ps_task_kind *kind);
/* Could any other worker than this one take tasks of this kind? */
bool ps_worker_others(const ps_worker *worker, ps_sched *sched, const ps_task_kind *kind);
/* Is one of its free slots for jobs such as these? */
bool ps_worker_has_slot(const ps_worker *worker, bool inference);

/* As people see it. */
typedef enum ps_worker_state {
    PS_WORKER_IDLE,
    PS_WORKER_BUSY,
    PS_WORKER_DRAINING,
    PS_WORKER_SILENT, /* or its stream has broken and it may come back */
    PS_WORKER_LEFT,   /* stopped in order */
    PS_WORKER_STATES,
} ps_worker_state;
ps_worker_state ps_worker_state_of(const ps_sched *sched, const ps_worker *worker);

/* Told by the outbox. What comes to a session that has gone meanwhile is lost. */
void ps_worker_tell_cancel(ps_sched *sched, uint64_t session, uint64_t lease_id,
                           const char *reason);
void ps_worker_tell_drop(ps_sched *sched, uint64_t session,
                         const char *reason); /* end the stream */

#endif
