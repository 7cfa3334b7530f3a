/* recover: a running job whose checkpoint could not be read is tried again. With the mutex. */
#ifndef PS_SCHED_RECOVER_H
#define PS_SCHED_RECOVER_H

#include "server/sched/core.h"

void ps_recover_tick(ps_job *job, uint64_t now);

#endif
