/* attach: how workers come and go. With the mutex; what the outside calls is in sched.h. */
#ifndef PS_SCHED_ATTACH_H
#define PS_SCHED_ATTACH_H

#include "server/sched/core.h"

void ps_worker_expire(ps_sched *sched); /* those silent for too long */
void ps_worker_free(ps_worker *worker);
void ps_worker_heard(ps_sched *sched, ps_worker *worker); /* a sign of life */

#endif
