/* send: a task on its way to its worker, by the outbox. With the mutex. */
#ifndef PS_SCHED_SEND_H
#define PS_SCHED_SEND_H

#include "server/sched/core.h"

/* A training job's test of its parameters comes behind the leaves that are decided with it: under
 * bsp the last of these may end a clock, whose update the test must see as a whole. */
void ps_send_task(const ps_lease *lease);

#endif
