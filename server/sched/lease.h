/* lease: that a worker has a task, until it answers or is lost. With the mutex. */
#ifndef PS_SCHED_LEASE_H
#define PS_SCHED_LEASE_H

#include "server/sched/core.h"

ps_lease *ps_lease_begin(ps_job *job, ps_worker *worker, const ps_lease *task);
/* One that the worker says it holds and nobody here knows (psd has restarted, or it has expired):
 * it is no job's, but takes the slot until the worker has answered for it. */
void ps_lease_adopt(ps_worker *worker, uint64_t id, uint64_t now_ns);
ps_lease *ps_lease_find(ps_worker *worker, uint64_t id);
/* The lease is over: out of all tables and freed. The kind has been told before. */
void ps_lease_end(ps_lease *lease);
void ps_lease_lose(ps_lease *lease);                       /* its work goes back to the job */
void ps_lease_cancel(ps_lease *lease, const char *reason); /* the worker is told */
void ps_lease_orphan(ps_lease *lease);                     /* its job ended; the slot stays taken */

#endif
