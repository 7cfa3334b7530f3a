/* assign: who gets what. With the mutex. */
#ifndef PS_SCHED_ASSIGN_H
#define PS_SCHED_ASSIGN_H

#include "server/sched/core.h"

/* Starts queued jobs and gives free slots work, fairly; looks at so many free workers at a time. */
enum { PS_ASSIGN_TRIES = 256 };
void ps_assign(ps_sched *sched);

#endif
