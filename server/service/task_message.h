/* task_message: workers, their tasks and what they say of them, between the messages and psd's own
 * structs. */
#ifndef PS_SERVICE_TASK_MESSAGE_H
#define PS_SERVICE_TASK_MESSAGE_H

#include "psd/v1/workers.pb-c.h"
#include "server/sched/sched.h"

/* *out borrows the task, until it is ended, which frees what it has of its own. */
void ps_task_message_borrow(const ps_task *task, Psd__V1__Task *out);
void ps_task_message_end(Psd__V1__Task *message);
/* These borrow the message. */
void ps_task_report_read(const Psd__V1__TaskProgress *message, ps_task_report *out);
ps_tokens ps_tokens_read(const Psd__V1__Output *message); /* NULL: none */
/* out->plan is a copy: ps_data_plan_free it when it has not been taken. */
void ps_task_result_read(const Psd__V1__TaskResult *message, ps_task_result *out);
void ps_hello_read(const Psd__V1__Hello *message, ps_hello *out);

/* The caller's, with all that is in it. */
Psd__V1__Worker *ps_worker_message_new(const ps_worker_info *info);

#endif
