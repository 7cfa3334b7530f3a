/* report: a task's reports as whoever runs it sees them: begun before the task, and sent to the
 * last one after it. The task's thread. */
#ifndef PS_TASK_REPORT_H
#define PS_TASK_REPORT_H

#include "worker/task/task.h"

/* Nothing is reported yet; env, task and sink are set. */
void ps_task_report_begin(ps_task_run *run);
/* What has not left yet leaves now: numbers, were there any since the last or always, and tokens.
 */
void ps_task_report_end(ps_task_run *run, bool always);

#endif
