/* turn: a call's time with the mutex.
 *
 *     ps_turn_begin(s);
 *     ... change something; what must happen outside is put into the outbox ...
 *     ps_turn_end(s);   // sees to what has become due, gives the mutex back, runs the outbox
 *
 * What becomes due is only marked on the way: a job that is cancelling and holds nothing any more,
 * a free slot, somebody to wake.
 */
#ifndef PS_SCHED_TURN_H
#define PS_SCHED_TURN_H

#include "server/sched/core.h"

void ps_turn_begin(ps_sched *sched);
/* For a call that changes nothing of who can have which task; it says so if it does, by assign_due:
 * what such a call costs does not grow with jobs and workers. */
void ps_turn_begin_quietly(ps_sched *sched);
void ps_turn_end(ps_sched *sched);

#endif
