/* watch: those who follow a job. A watch holds no events, only how much of the job it has seen: the
 * lines are the job's (the last 64), and the job's state is read when it is asked for. With the
 * mutex; what the outside calls of a watch is in sched.h. */
#ifndef PS_SCHED_WATCH_H
#define PS_SCHED_WATCH_H

#include "server/sched/core.h"

/* Takes a reference of the job over. notify() comes soon for the first time: *out is set before. */
void ps_watch_open(ps_job *job, void (*notify)(void *user), void *user, ps_watch **out);
void ps_watch_wake_changed(ps_sched *sched); /* those of the jobs that are marked: ps_job_wake */

#endif
