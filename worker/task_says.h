/* task_says: what a task says while it runs, on its way to the loop; between task.c, which runs it,
 * and task_says.c. The task's thread. */
#ifndef PS_WORKER_TASK_SAYS_H
#define PS_WORKER_TASK_SAYS_H

#include "worker/task.h"

/* What has not left yet leaves now. */
void ps_task_report_now(ps_task_run *run);
void ps_task_say_now(ps_task_run *run);

/* To the runner's events, on its loop; the message becomes theirs. */
void ps_runner_progress(ps_runner *runner, Psd__V1__TaskProgress *progress);
void ps_runner_output(ps_runner *runner, Psd__V1__TaskOutput *output);

#endif
