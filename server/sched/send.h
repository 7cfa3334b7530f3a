/* send: a task on its way to its worker, by the outbox. With the mutex. */
#ifndef PS_SCHED_SEND_H
#define PS_SCHED_SEND_H

#include "server/sched/core.h"

/* What a task's kind adds to (ps_task_kind.fill). */
struct ps_parcel {
    ps_outbox_entry entry;
    ps_job *job; /* a reference */
    uint64_t session;
    char *worker;
    ps_tokens *said; /* owned; NULL: nothing */
    bool trains;     /* its worker enters the controller first, which says task.first_clock */
    /* Borrows of the job what does not change once it is made, and of `said`. Of what the task's
     * kind may fill nothing is said: no seed, nothing settled. */
    ps_task task;
};

/* A task that is late comes behind the leaves that are decided with it: under bsp the last of these
 * may end a clock, whose update the test of the parameters must see as a whole. */
void ps_send_task(const ps_lease *lease);

#endif
