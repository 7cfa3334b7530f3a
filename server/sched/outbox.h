/* outbox: what the scheduler has decided must happen outside, in order.
 *
 * Entries are put in with the mutex held and run without it, by the thread that leaves the mutex
 * first; while one thread runs them, others only add. So everything outside happens one at a time
 * and in the order of the decisions, and a callback may call back in (what it causes comes after).
 * Writing a job's state into the catalog is such an entry too: the mutex is never held over a disk.
 */
#ifndef PS_SCHED_OUTBOX_H
#define PS_SCHED_OUTBOX_H

#include "common/base/list.h"
#include "server/sched/kinds/job_kind.h"
#include "server/sched/sched.h"

#include <pthread.h>

typedef struct ps_outbox {
    ps_list entries;
    ps_list late; /* what of this time in the mutex comes behind all else of it */
    bool running;
    pthread_t runner; /* valid while running */
} ps_outbox;

void ps_outbox_init(ps_outbox *outbox);
void ps_outbox_drop_all(ps_sched *sched); /* when the scheduler is freed: they never happen */

/* Each holds a reference of the job until it has run. */
void ps_outbox_save(ps_job *job);
/* A training job's test of its parameters comes behind the leaves that are decided with it: under
 * bsp the last of these may end a clock, whose update the test must see as a whole. */
void ps_outbox_task(const ps_lease *lease);
void ps_outbox_cancel(ps_sched *sched, uint64_t session, uint64_t lease_id, const char *reason);
void ps_outbox_drop(ps_sched *sched, uint64_t session, const char *reason);
void ps_outbox_leave(ps_job *job, const char *worker);
/* Checks the plan against a stored model of the job's name, then asks for the store. plan is
 * copied. Sets job->waiting. */
void ps_outbox_create(ps_job *job, const Psd__V1__PlanResult *plan);
void ps_outbox_checkpoint(ps_job *job);
void ps_outbox_restore(ps_job *job, const char *unusable);         /* or NULL; sets job->waiting */
void ps_outbox_finish(ps_job *job, const ps_job_outcome *outcome); /* sets job->waiting */
void ps_outbox_ended(ps_job *job);
void ps_outbox_notify(ps_job *job, ps_watch *watch);

/* Called with the mutex held; returns without it. */
void ps_outbox_run_and_unlock(ps_sched *sched);

#endif
