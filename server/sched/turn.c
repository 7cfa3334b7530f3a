/* Happy path: workers get what there now is to do, those who watch are woken, and what was decided
 * is carried out. Cannot fail. */
#include "server/sched/turn.h"

#include "common/loop/loop.h"
#include "server/sched/assign.h"
#include "server/sched/job.h"
#include "server/sched/members.h"
#include "server/sched/watch.h"

void ps_turn_begin_quietly(ps_sched *s)
{
    ps_loop_require_off(); /* what is decided is carried out at its end, and may wait */
    ps_core_lock(s);
}

void ps_turn_begin(ps_sched *s)
{
    ps_loop_require_off();
    ps_core_lock(s);
    s->assign_due = true;
}

static void due(void *user)
{
    ps_sched *s = user;
    ps_job_end_cancelled(s); /* first: others may start in their place */
    if (s->assign_due) {
        s->assign_due = false;
        ps_assign(s);
        ps_members_leave_unused_of_all(s); /* after: one that got its next task stays a member */
    }
    ps_watch_wake_changed(s);
}

void ps_turn_end(ps_sched *s)
{
    ps_core_require_locked(s);
    ps_outbox_run_and_unlock(&s->outbox, due, s);
}
