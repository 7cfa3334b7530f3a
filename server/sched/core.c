/* Happy path: a public call locks, changes, and unlocks; on the way out workers get what there now
 * is to do, and what was decided is carried out. */
#include "server/sched/core.h"

void ps_core_lock_quietly(ps_sched *s)
{
    pthread_mutex_lock(&s->mutex);
}

void ps_core_lock(ps_sched *s)
{
    ps_core_lock_quietly(s);
    s->assign_due = true;
}

void ps_core_unlock(ps_sched *s)
{
    if (s->assign_due) {
        s->assign_due = false;
        ps_assign(s);
        ps_job_leave_unused(s); /* after: a worker that got its next task stays a member */
    }
    ps_outbox_run_and_unlock(s);
}
